"""Every way in which a package can differ from its manifest."""

import json
from pathlib import Path

import pytest

from finery.packaging.errors import PackageError
from finery.packaging.manifest import MANIFEST, write_manifest
from finery.packaging.verify import verify


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "package"
    (folder / "sub").mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(bytes(3_000_000))
    (folder / "sub/a.txt").write_text("a")
    facts = {key: {} for key in ("git", "gate", "params", "lineage")}
    metrics = {"t": {"loss": float("nan")}}
    write_manifest(folder, name="p", chat_template_sha256="0" * 64, metrics=metrics, **facts)
    return folder


def test_an_untouched_package_is_clean(package: Path):
    assert verify(package) == []
    manifest = json.loads((package / MANIFEST).read_text())
    paths = [file["path"] for file in manifest["files"]]
    assert paths == ["config.json", "model.safetensors", "sub/a.txt"]
    assert manifest["metrics"] == {"t": {"loss": None}}


def test_each_difference_is_named(package: Path):
    (package / "config.json").write_text('{"a": 1}')
    with (package / "model.safetensors").open("r+b") as file:
        file.seek(2_999_999)
        file.write(b"\1")
    (package / "sub/a.txt").unlink()
    (package / "sub/b.txt").write_text("b")
    assert verify(package) == [
        "config.json: changed: 8 bytes, not 2",
        "model.safetensors: changed",
        "sub/a.txt: missing",
        "sub/b.txt: not in MANIFEST.json",
    ]


def test_links_that_lead_outside(package: Path, tmp_path: Path):
    outside = tmp_path / "outside"
    (package / "sub").rename(outside)
    (package / "sub").symlink_to(outside)
    (package / "config.json").rename(outside / "config.json")
    (package / "config.json").symlink_to(outside / "config.json")
    (package / MANIFEST).rename(outside / MANIFEST)
    (package / MANIFEST).symlink_to(outside / MANIFEST)
    leads = "a symbolic link that leads outside the package"
    names = (MANIFEST, "config.json", "sub", "sub/a.txt")
    assert verify(package) == [f"{name}: {leads}" for name in names]


def test_what_is_no_plain_file(package: Path):
    (package / "config.json").unlink()
    (package / "config.json").mkdir()
    (package / "loop").symlink_to("loop")
    assert verify(package) == ["config.json: not a plain file", "loop: not in MANIFEST.json"]


@pytest.mark.parametrize(
    "change, message",
    [
        ({"files": [{"path": "../x", "sha256": "0" * 64, "size": 1}]}, "leads outside"),
        ({"files": [{"path": "/x", "sha256": "0" * 64, "size": 1}]}, "leads outside"),
        ({"files": [{"path": "x", "sha256": "0", "size": 1}]}, r"malformed: files\.0\.sha256"),
        ({"files": [{"path": "x", "sha256": "0" * 64}]}, r"malformed: files\.0\.size"),
        ({"files": {}}, "malformed: files"),
    ],
)
def test_a_malformed_manifest_is_an_error(package: Path, change: dict, message: str):
    manifest = json.loads((package / MANIFEST).read_text())
    (package / MANIFEST).write_text(json.dumps(manifest | change))
    with pytest.raises(PackageError, match=message):
        verify(package)


def test_no_manifest_and_no_json(package: Path):
    (package / MANIFEST).write_bytes(b"\xff{")
    with pytest.raises(PackageError, match="malformed: JSON"):
        verify(package)
    (package / MANIFEST).unlink()
    with pytest.raises(PackageError, match="No such file or directory; is "):
        verify(package)
