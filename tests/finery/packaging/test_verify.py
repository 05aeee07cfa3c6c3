"""Every way in which a package can differ from its manifest."""

import json
import os
import shutil
from pathlib import Path

import pytest
from dvc.repo import Repo
from huggingface_hub import snapshot_download

from finery.packaging.errors import PackageError
from finery.packaging.manifest import MANIFEST, write_manifest
from finery.packaging.verify import verify
from tests.finery.sources.hub import REPO, Hub


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
    (package / "sub/a.txt").unlink()
    os.mkfifo(package / "sub/a.txt")
    os.mkfifo(package / "pipe")
    assert verify(package) == [
        "config.json: not a plain file",
        "loop: not in MANIFEST.json",
        "pipe: not in MANIFEST.json",
        "sub/a.txt: not a plain file",
    ]


def test_a_manifest_that_is_a_pipe_is_not_waited_for(package: Path):
    (package / MANIFEST).unlink()
    os.mkfifo(package / MANIFEST)
    with pytest.raises(PackageError, match=r"MANIFEST\.json: not a plain file; is .* a package\?"):
        verify(package)


def test_folders_that_nobody_packaged(package: Path):
    (package / "empty/emptier").mkdir(parents=True)
    (package / "full").mkdir()
    (package / "full/x.py").write_text("pass")
    (package / "linked").symlink_to("sub")
    names = ("empty/emptier", "full/x.py", "linked")
    assert verify(package) == [f"{name}: not in MANIFEST.json" for name in names]


@pytest.fixture(params=["dvc", "hub"])
def linked(package: Path, tmp_path: Path, request, monkeypatch) -> Path:
    """The package as DVC links it from a cache on another disk, and as the hub's cache has it."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / "dvc"))
    if request.param == "dvc":
        with Repo.init(str(tmp_path), no_scm=True) as repo, repo.config.edit() as settings:
            settings["cache"] = {"type": "symlink", "dir": str(tmp_path / "disk/cache")}
        with Repo(str(tmp_path)) as repo:
            repo.add(str(package))
        return package
    with Hub(files_of(package)) as hub:
        made = snapshot_download(REPO, endpoint=hub.url, cache_dir=tmp_path / "disk")
    return Path(made)


def files_of(package: Path) -> dict[str, bytes]:
    """What a repository on the hub holds once the package is uploaded."""
    files = [file for file in package.rglob("*") if file.is_file()]
    uploaded = {file.relative_to(package).as_posix(): file.read_bytes() for file in files}
    return uploaded | {".gitattributes": b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n"}


def test_a_file_that_its_cache_links_is_judged_by_its_content(linked: Path):
    links = [file for file in linked.rglob("*") if file.is_symlink()]
    assert len(links) >= 4
    assert verify(linked) == []
    stored = (linked / "sub/a.txt").resolve()
    stored.chmod(0o644)
    stored.write_text("b")
    assert verify(linked) == ["sub/a.txt: changed"]
    stored.unlink()
    assert verify(linked) == ["sub/a.txt: a symbolic link to nothing"]


def test_a_link_in_a_cache_is_no_way_out_of_it(linked: Path, tmp_path: Path):
    """Neither to another file, nor to the right content elsewhere, nor to more files."""
    elsewhere = tmp_path / "elsewhere"
    shutil.copy(linked / "config.json", elsewhere)
    other = (linked / "model.safetensors").resolve()
    for name, target in {
        "config.json": elsewhere,
        "model.safetensors": "/etc/passwd",
        "sub/a.txt": (linked / "config.json").resolve(),
        "more.json": other,
        "folder": other.parent,
    }.items():
        (linked / name).unlink(missing_ok=True)
        (linked / name).symlink_to(target)
    leads = "a symbolic link that leads outside the package"
    assert verify(linked) == [
        f"config.json: {leads}",
        f"folder: {leads}",
        f"model.safetensors: {leads}",
        "more.json: not in MANIFEST.json",
        "sub/a.txt: changed: 2 bytes, not 1",
    ]


def test_what_a_download_from_the_hub_adds_is_no_damage(package: Path, tmp_path: Path):
    with Hub(files_of(package)) as hub:
        folder = Path(snapshot_download(REPO, endpoint=hub.url, local_dir=tmp_path / "here"))
    found = {file.relative_to(folder).as_posix() for file in folder.rglob("*")}
    assert {".gitattributes", ".cache/huggingface/CACHEDIR.TAG"} < found
    assert verify(folder) == []

    for name in (".cache/huggingface/evil.py", ".cache/evil.lock", "sub/.gitattributes", "a.lock"):
        (folder / name).write_text("pass")
    (folder / ".cache/huggingface/x.metadata").symlink_to("/etc/passwd")
    (folder / ".gitattributes").unlink()
    (folder / ".gitattributes").symlink_to("/etc/passwd")
    leads = "a symbolic link that leads outside the package"
    assert verify(folder) == [
        ".cache/evil.lock: not in MANIFEST.json",
        ".cache/huggingface/evil.py: not in MANIFEST.json",
        f".cache/huggingface/x.metadata: {leads}",
        f".gitattributes: {leads}",
        "a.lock: not in MANIFEST.json",
        "sub/.gitattributes: not in MANIFEST.json",
    ]


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
