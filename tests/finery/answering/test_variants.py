"""What names stand for, in a project and outside one."""

import json
import re
import shutil
from pathlib import Path

import pytest

from finery.answering.variants import VariantError, variant

PARAMS = """\
train:
  sft: {after: base}
  dpo: {after: sft}
merge: {step: dpo}
starts: {champion: "release:merged@prod"}
"""


def nowhere(name: str) -> Path:
    raise AssertionError(f"{name} was fetched")


@pytest.fixture
def project(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project whose models are all there but gptq, awq, champion and that of sft's merge."""
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text(PARAMS)
    for name in ("base", "dpo", "packages/merged", "packages/gptq"):
        shutil.copytree(tiny_model, Path("models", name))
    adapter = Path("models/adapters/sft")
    adapter.mkdir(parents=True)
    config = {"peft_type": "LORA", "base_model_name_or_path": "models/base"}
    (adapter / "adapter_config.json").write_text(json.dumps(config))
    (adapter / "adapter_model.safetensors").touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "where"),
    [
        ("base", "models/base"),
        ("dpo", "models/dpo"),
        ("merged", "models/dpo"),
        ("gptq", "models/packages/gptq"),
        ("sft", "models/base + models/adapters/sft"),
        ("models/adapters/sft", "models/base + models/adapters/sft"),
        ("models/packages/merged", "models/packages/merged"),
        ("./models/base", "models/base"),
    ],
)
def test_names_of_a_project(project: Path, name: str, where: str) -> None:
    assert variant(name, nowhere).where == where


def test_without_the_last_model_its_package_is_taken(project: Path) -> None:
    shutil.rmtree("models/dpo")
    assert variant("merged", nowhere).where == "models/packages/merged"


@pytest.mark.parametrize("params", [None, "train: [", "- no settings", "train: 3\nmerge: x"])
def test_settings_that_are_wrong_or_missing_keep_nobody_from_talking(
    project: Path, params: str | None
) -> None:
    Path("params.yaml").unlink() if params is None else Path("params.yaml").write_text(params)
    assert variant("base", nowhere).where == "models/base"
    assert variant("merged", nowhere).where == "models/packages/merged"


def test_a_release_is_fetched(project: Path) -> None:
    asked = []

    def fetched(name: str) -> Path:
        asked.append(name)
        return Path("models/packages/merged")

    assert variant("merged@prod", fetched).where == "models/packages/merged"
    assert asked == ["merged@prod"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mergd", "no such model; did you mean merged? there are base, champion, sft, dpo, merged"),
        ("awq", "models/awq is not there; run `dvc repro quantize@awq`, or `dvc pull models/awq`"),
        ("champion", "models/champion is not there; run `dvc repro start@champion`"),
        ("models", "models: no model, it has no config.json"),
        ("no/such", "no/such: no such model; there are base"),
    ],
)
def test_what_is_not_there(project: Path, name: str, said: str) -> None:
    with pytest.raises(VariantError, match=re.escape(said)):
        variant(name, nowhere)


def test_a_step_that_has_not_run(project: Path) -> None:
    shutil.rmtree("models/adapters")
    with pytest.raises(VariantError, match="models/sft is not there; run `dvc repro merge@sft`"):
        variant("sft", nowhere)


def spoil_weights(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")


def spoil_template(folder: Path) -> None:
    (folder / "chat_template.jinja").unlink()


def spoil_head(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    config["architectures"] = ["LlamaForSequenceClassification"]
    (folder / "config.json").write_text(json.dumps(config))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (spoil_weights, "no weights in safetensors, and pickled ones are refused; convert them"),
        (spoil_template, "no chat template in chat_template.jinja or tokenizer_config.json; put"),
        (spoil_head, "a reward model, which scores texts and writes none"),
    ],
)
def test_folders_that_cannot_talk(project: Path, spoil, said: str) -> None:
    spoil(Path("models/dpo"))
    with pytest.raises(VariantError, match=f"models/dpo: .*{re.escape(said)}"):
        variant("dpo", nowhere)


def test_adapters_that_cannot_be_put_on(project: Path) -> None:
    config = Path("models/adapters/sft/adapter_config.json")
    config.write_text(json.dumps({"base_model_name_or_path": "org/model"}))
    with pytest.raises(VariantError, match="base_model_name_or_path: org/model is no folder here"):
        variant("sft", nowhere)
    assert variant("sft", nowhere, Path("models/base")).where == "models/base + models/adapters/sft"
    with pytest.raises(VariantError, match="nowhere: no model, it has no"):
        variant("sft", nowhere, Path("nowhere"))
    with pytest.raises(VariantError, match="--base models/base: models/dpo is a whole model"):
        variant("dpo", nowhere, Path("models/base"))
    record = {"download": {"source": "hf:org/model@0123abc"}}
    Path("models/base/lineage.json").write_text(json.dumps(record))
    assert variant("sft", nowhere).folder == Path("models/base")
    Path("models/adapters/sft/adapter_model.safetensors").unlink()
    with pytest.raises(VariantError, match="pickled weights are refused"):
        variant("sft", nowhere)
    Path("models/adapters/sft/trained.json").write_text("{}")
    with pytest.raises(VariantError, match="put in by merging; run `dvc repro merge@sft`"):
        variant("sft", nowhere)


def test_outside_a_project_a_folder_will_do(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert variant(str(tiny_model), nowhere).folder == tiny_model
    with pytest.raises(VariantError, match="merged: no such model; there are NAME@STAGE"):
        variant("merged", nowhere)
