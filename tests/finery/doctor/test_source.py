"""Where the base model comes from: there, not there, silent, or not needed any more."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from finery.doctor.finding import Finding
from finery.doctor.network import proxy, status, without_password
from finery.doctor.source import source

from .conftest import change

HASH = "0" * 64


def look(name: str) -> Finding:
    (finding,) = source(
        change({"model.source": name, "model.sha256": HASH if name.startswith("pypi") else None})
    )
    return finding


def downloaded(name: str) -> None:
    Path("models/base").mkdir(parents=True)
    record = {"download": {"source": name}}
    Path("models/base/lineage.json").write_text(json.dumps(record))


def test_a_folder(project: Path):
    assert look("path:tiny").level == "ok"
    assert look("path:gone").what == "path:gone: no such folder"
    Path("tiny/model.safetensors").unlink()
    assert "no config.json with *.safetensors" in look("path:tiny").what


@pytest.mark.parametrize(
    "answer, level, said",
    [
        (200, "ok", "has it"),
        (307, "ok", "has it"),
        (401, "problem", "refuses access (401)"),
        (404, "problem", "not found"),
        (503, "problem", "answers with status 503"),
    ],
)
@pytest.mark.parametrize(
    "name, variable", [("hf:acme/lm", "HF_ENDPOINT"), ("modelscope:acme/lm", "MODELSCOPE_ENDPOINT")]
)
def test_a_hub(
    project: Path,
    served: Callable[[int], str],
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    variable: str,
    answer: int,
    level: str,
    said: str,
):
    monkeypatch.setenv(variable, served(answer))
    found = look(name)
    assert (found.level, said in found.what) == (level, True), found


def test_a_hub_that_is_silent(project: Path, silent: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", silent)
    found = look("hf:acme/lm")
    assert found.level == "problem" and "cannot be reached (no answer" in found.what
    assert "HF_ENDPOINT" in found.advice
    downloaded("hf:acme/lm@main")
    found = look("hf:acme/lm")
    assert found.level == "note" and found.what.startswith("models/base has it; but ")
    assert look("hf:acme/lm@v2").level == "problem"


def test_a_hub_that_is_not_there(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    assert "Connection refused" in look("hf:acme/lm").what


def test_offline(project: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = look("hf:acme/lm")
    assert found.level == "problem" and "unset HF_HUB_OFFLINE" in found.advice


def pip(monkeypatch: pytest.MonkeyPatch, **settings: str) -> None:
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")
    for name in ("FIND_LINKS", "EXTRA_INDEX_URL", "INDEX_URL"):
        monkeypatch.delenv(f"PIP_{name}", raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(f"PIP_{name.upper()}", value)


def test_a_folder_of_wheels(project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pip(monkeypatch, find_links=str(tmp_path), no_index="1")
    assert look("pypi:llm-tiny==1.0").what.endswith("pip has no index to look in")
    (tmp_path / "llm_tiny-1.0-py3-none-any.whl").touch()
    assert look("pypi:llm-tiny==1.0").what == f"pypi:llm-tiny==1.0: {tmp_path} has it"


def test_an_index(project: Path, served: Callable[[int], str], monkeypatch: pytest.MonkeyPatch):
    address = served(200)
    pip(monkeypatch, index_url=address.replace("//", "//me:secret@"))
    assert look("pypi:llm-tiny==1.0").what == f"pypi:llm-tiny==1.0: {address} has it"
    empty = served(404)
    pip(monkeypatch, index_url=empty, extra_index_url="http://127.0.0.1:9")
    found = look("pypi:llm-tiny==1.0")
    assert found.level == "problem"
    assert f"{empty} lacks it; http://127.0.0.1:9 cannot be reached" in found.what


def test_passwords_are_not_shown():
    shown = without_password("https://me:secret@host:8/a?token=b#c")
    assert shown == "https://host:8/a"


def test_what_is_no_address(project: Path):
    assert "unknown url type" in status("nonsense")


def test_a_proxy_for_loopback(monkeypatch: pytest.MonkeyPatch, project: Path):
    assert list(proxy()) == []
    monkeypatch.setenv("http_proxy", "http://proxy.example:3128")
    (found,) = proxy()
    assert (found.level, found.advice) == ("note", "export NO_PROXY=127.0.0.1,localhost")
    monkeypatch.setenv("no_proxy", "localhost,127.0.0.1")
    assert [f.level for f in proxy()] == ["ok"]
