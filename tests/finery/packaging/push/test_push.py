"""A package goes to two hubs and to a registry: whole, once, and without telling the token."""

from collections.abc import Iterator
from pathlib import Path

import huggingface_hub.constants
import pytest

from finery.packaging.errors import PackageError
from finery.packaging.manifest import hashed, write_manifest
from finery.packaging.push import oci
from finery.packaging.push.errors import PushError
from finery.packaging.push.push import push

from .places import TOKEN, Place

WEIGHTS = {f"model-0000{n}-of-00002.safetensors": bytes([n]) * 3000 for n in (1, 2)}
TEXTS = {
    "config.json": b'{"model_type": "llama"}',
    "README.md": b"---\nlicense: mit\n---\n\n# boat\n",
    "additional_chat_templates/short.jinja": b"{{ messages[0].content }}",
}


@pytest.fixture
def package(tmp_path: Path) -> Path:
    folder = tmp_path / "boat"
    for name, content in (WEIGHTS | TEXTS).items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    facts = {"chat_template_sha256": "", "chat_template_kwargs": {}, "git": {}, "gate": {}}
    write_manifest(folder, hashed(folder), name="boat", **facts, metrics={}, params={}, lineage={})
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    files = (file for file in folder.rglob("*") if file.is_file())
    return {file.relative_to(folder).as_posix(): file.read_bytes() for file in files}


@pytest.fixture(scope="module")
def served() -> Iterator[Place]:
    with Place() as place:
        yield place


@pytest.fixture
def place(served: Place, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Place:
    served.empty()
    monkeypatch.setattr("time.sleep", lambda _: None)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", served.url)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_DISABLE_XET", True)
    for name, value in {
        "HF_TOKEN": TOKEN, "MODELSCOPE_API_TOKEN": TOKEN, "MODELSCOPE_ENDPOINT": served.url,
        "HOME": str(tmp_path), "NO_PROXY": "*", "MODELSCOPE_CACHE": str(tmp_path / "cache"),
    }.items():  # fmt: skip
        monkeypatch.setenv(name, value)
    return served


def target(place: Place, kind: str) -> str:
    return f"oci://{place.host}/acme/boat:v1" if kind == "oci" else f"{kind}:acme/boat"


KINDS = ["hf", "modelscope", "oci"]


@pytest.mark.parametrize("kind", KINDS)
def test_all_of_a_package_is_there_and_nothing_is_put_into_it(
    place: Place, package: Path, kind: str, caplog: pytest.LogCaptureFixture, capfd
) -> None:
    before = contents(package)
    said = push(package, target(place, kind))
    assert place.files == contents(package) == before
    assert place.private == ([] if kind == "oci" else [True])
    assert place.host in said
    told = "".join(capfd.readouterr()) + caplog.text
    assert TOKEN not in told + said


@pytest.mark.parametrize("kind", KINDS)
def test_an_unfinished_push_goes_on(place: Place, package: Path, kind: str) -> None:
    place.break_after = 1
    with pytest.raises(PushError) as refusal:
        push(package, target(place, kind))
    assert "\n" not in str(refusal.value) and TOKEN not in str(refusal.value)
    assert place.files != contents(package)
    first, place.break_after = place.uploads[0], None
    push(package, target(place, kind))
    assert place.uploads.count(first) == 1
    assert place.files == contents(package)


def test_a_large_file_goes_to_a_registry_in_pieces(
    place: Place, package: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(oci, "CHUNKED", 1000)
    push(package, target(place, "oci"))
    assert place.files == contents(package)
    assert place.manifest["artifactType"] == oci.KIND


@pytest.mark.parametrize("kind", KINDS)
def test_who_may_not_write_is_told_in_one_line(place: Place, package: Path, kind: str) -> None:
    place.refuse = True
    with pytest.raises(PushError, match=r"token|TOKEN|docker login") as refusal:
        push(package, target(place, kind))
    assert "\n" not in str(refusal.value) and TOKEN not in str(refusal.value)


def test_a_changed_package_is_not_pushed(place: Place, package: Path) -> None:
    (package / "config.json").write_text("{}")
    with pytest.raises(PackageError, match=r"config\.json.*; nothing was pushed"):
        push(package, "hf:acme/boat")
    assert place.private == [] and place.uploads == []


@pytest.mark.parametrize(
    "target", ["hf:boat", "hf:a/b/c", "oci://host/name", "ftp://x", "oci://host:1", "hf:../x", ""]
)
def test_no_place(package: Path, target: str) -> None:
    with pytest.raises(PushError, match=r"no place to push to; say hf:ORG/NAME, modelscope:ORG/"):
        push(package, target)
