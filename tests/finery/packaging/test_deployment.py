"""A Modelfile for Ollama and compose.yaml for vLLM say what the package's own files say."""

import json
import shutil
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from finery.packaging.deployment import CHATML, compose, deployment, modelfile

OWN = "{% if messages[0].role != 'system' %}<|im_start|>system\nBe brief.<|im_end|>\n{% endif %}"
GPTQ = {"quant_method": "gptq", "bits": 4, "sym": True}


@pytest.fixture
def package(tiny_model: Path, tmp_path: Path) -> Path:
    folder = shutil.copytree(tiny_model, tmp_path / "package")
    (folder / "model.safetensors").rename(folder / "model.gguf")
    return folder


def generation(package: Path, **settings: object) -> None:
    (package / "generation_config.json").write_text(json.dumps(settings))


def test_a_modelfile_has_stops_context_and_sampling(package: Path) -> None:
    generation(package, eos_token_id=[2, 0])
    assert modelfile(package).splitlines()[:5] == [
        "FROM ./model.gguf",
        'PARAMETER stop "<|im_end|>"',
        'PARAMETER stop "<|endoftext|>"',
        "PARAMETER num_ctx 512",
        "PARAMETER temperature 0",
    ]
    generation(package, eos_token_id=2, do_sample=True, temperature=0.7, repetition_penalty=1.1)
    made = modelfile(package)
    assert "\nPARAMETER temperature 0.7\nPARAMETER repeat_penalty 1.1\n" in made
    assert "top_p" not in made


def test_chatml_is_translated_with_the_system_prompt_it_begins_with(package: Path) -> None:
    template = package / "chat_template.jinja"
    assert modelfile(package).endswith(CHATML + "\n")
    template.write_text(OWN + template.read_text())
    assert modelfile(package).endswith(f'{CHATML}\nSYSTEM """Be brief."""\n')


@pytest.mark.parametrize(
    "change",
    [
        ("<|im_end|>", "</s>"),
        ("message['content']", "message['content'] | trim"),
        ("<|im_start|>assistant", "<|im_start|>assistant\\n<think>"),
        ("{% for", "{{ raise_exception('no') }}{% for"),
    ],
)
def test_any_other_template_is_left_to_ollama(package: Path, change: tuple[str, str]) -> None:
    template = package / "chat_template.jinja"
    text = template.read_text()
    assert change[0] in text
    template.write_text(text.replace(*change))
    assert "TEMPLATE" not in modelfile(package)


def test_vllm_serves_on_this_machine_alone() -> None:
    service = YAML(typ="safe").load(compose("boat-gptq", trusted=True))["services"]["vllm"]
    assert service["ports"] == ["127.0.0.1:8000:8000"]
    assert service["volumes"] == ["./:/model:ro"]
    assert service["command"] == [
        "--model", "/model", "--served-model-name", "boat-gptq", "--trust-remote-code",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("quantization", "names"),
    [
        ({}, ["compose.yaml"]),
        (GPTQ, ["compose.yaml"]),
        ({"quant_method": "awq", "bits": 4}, ["compose.yaml"]),
        (GPTQ | {"bits": 3}, []),
        (GPTQ | {"sym": False}, []),
    ],
)
def test_only_what_vllm_can_serve_is_composed(
    tiny_model: Path, quantization: dict, names: list[str]
) -> None:
    assert list(deployment(tiny_model, "boat", quantization)) == names


def test_of_gguf_there_is_a_modelfile_alone(package: Path) -> None:
    assert list(deployment(package, "boat", {"quant_method": "gguf"})) == ["Modelfile"]
