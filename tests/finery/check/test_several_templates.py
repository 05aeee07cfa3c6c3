"""A model with several chat templates: one is taken, by its name."""

import json
import shutil
from pathlib import Path

import pytest
from typer.testing import CliRunner

from finery.check.settings import notes
from finery.cli import app
from finery.models.chat_template import chat_template, chat_templates
from finery.params.schema import load
from stages.download import download

from .conftest import CHATML, change, make, problems

TOOLS = CHATML + "{# with tools #}"
LIST = [{"name": "tool_use", "template": TOOLS}, {"name": "default", "template": CHATML}]
NOTE = "chat template: default is taken; model.chat_template can name another: tool_use"


def embedded(folder: Path, several: list = LIST) -> Path:
    return make(folder, template=several)


def in_files(folder: Path) -> Path:
    make(folder, template="not read beside files")
    (folder / "chat_template.jinja").write_text(CHATML)
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates/tool_use.jinja").write_text(TOOLS)
    return folder


forms = pytest.mark.parametrize("form", [embedded, in_files])


@forms
def test_the_default_is_taken_and_the_check_says_so(project: Path, form):
    form(project / "tiny")
    assert problems() == []
    assert notes(load(Path("params.yaml"))) == [NOTE]
    done = CliRunner().invoke(app, ["check"])
    assert done.output == f"params.yaml: valid\n{NOTE}\n"
    change(**{"model.chat_template": "templates/chatml.jinja"})
    assert notes(load(Path("params.yaml"))) == []


@forms
@pytest.mark.parametrize(("name", "text"), [(None, CHATML), ("tool_use", TOOLS)])
def test_download_leaves_one(project: Path, capsys, form, name: str | None, text: str):
    from transformers.tokenization_utils_tokenizers import TokenizersBackend

    form(project / "tiny")
    change(**{"model.chat_template": name})
    assert problems() == []
    params, base = load(Path("params.yaml")), Path("models/base")
    base.parent.mkdir()
    download(params.model, Path("templates"), base=base)
    taken, other = name or "default", "tool_use" if name is None else "default"
    said = f"chat template: {taken} is taken; model.chat_template can name another: {other}\n"
    assert said in capsys.readouterr().err
    assert chat_templates(base) == {"default": text}
    assert TokenizersBackend.from_pretrained(base).chat_template == text
    record = json.loads((base / "lineage.json").read_text())["download"]
    assert record["chat_template"] == taken
    assert set(record["chat_templates"]) == {"default", "tool_use"}
    assert len(chat_templates(project / "tiny")) == 2

    shutil.rmtree("tiny")  # a machine that has only what was downloaded
    assert problems() == []
    change(**{"model.chat_template": other})
    assert problems() == []
    change(**{"model.chat_template": "rag"})
    assert problems()[0].startswith("model: models/base: no chat template is called rag; set")


@forms
def test_a_name_that_no_template_has(project: Path, form):
    form(project / "tiny")
    change(**{"model.chat_template": "tool-use"})
    assert problems() == [
        "model: tiny: no chat template is called tool-use; set model.chat_template to a file in"
        " templates/ or to one of the model's: default, tool_use"
    ]


def test_the_one_that_is_named_is_looked_at(project: Path):
    words = CHATML.replace("<|im_end|>", "<|end|>")
    embedded(project / "tiny", [*LIST[1:], {"name": "rag", "template": words}])
    assert problems() == []
    change(**{"model.chat_template": "rag"})
    assert "ends a turn with <|end|>" in problems()[0]


def test_several_and_none_is_the_default(project: Path):
    embedded(project / "tiny", [LIST[0], {"name": "rag", "template": CHATML}])
    (found,) = problems()
    assert "several chat templates (tool_use, rag) and none is called default; set" in found
    change(**{"model.chat_template": "rag"})
    assert problems() == []


def test_the_only_one_is_taken_whatever_its_name(project: Path):
    folder = embedded(project / "tiny", LIST[:1])
    assert problems() == [] and chat_template(folder) == TOOLS


def test_one_template_is_none_to_speak_of(project: Path):
    make(project / "tiny")
    assert notes(load(Path("params.yaml"))) == []
    change(**{"model.chat_template": "default"})
    assert problems() == []
