"""A model folder as GGUF: what llama.cpp makes of it is what transformers makes of the folder."""

import json
import shutil
from pathlib import Path

import pytest

from finery.models.gguf.convert import convert
from finery.models.gguf.errors import GgufError
from tests.conftest import CHATML

TEXTS = [
    "Who are you? I'm made for a test: 0123456789 times!\n\n  Naïve – 日本語 \t🚀",
    "<|im_start|>user\nHow many boats?<|im_end|>\n",
]


def fields(file: Path) -> dict:
    import gguf

    reader = gguf.GGUFReader(file)
    return {name: field.contents() for name, field in reader.fields.items()}


def test_a_file_says_what_the_folder_does(gguf_file: Path) -> None:
    said = fields(gguf_file)
    assert said["general.name"] == "model"
    assert said["tokenizer.chat_template"] == CHATML.read_text()
    assert said["tokenizer.ggml.eos_token_id"] == 2
    assert said["tokenizer.ggml.eot_token_id"] == 0  # the other that generation_config.json names
    assert said["tokenizer.ggml.add_bos_token"] is False
    assert said["tokenizer.ggml.pre"] == "gpt-2"
    assert gguf_file.stat().st_mode & 0o777 == 0o644
    assert [file.name for file in gguf_file.parent.iterdir()] == ["model.gguf"]


def test_llama_cpp_reads_the_same_tokens_and_says_the_same(
    gguf_file: Path, stopping_model: Path
) -> None:
    xllamacpp = pytest.importorskip("xllamacpp")
    import httpx
    import torch

    from finery.models.load import load_model
    from finery.models.tokenizer import load_tokenizer

    params = xllamacpp.CommonParams()
    params.model.path, params.n_ctx, params.n_parallel = str(gguf_file), 512, 1
    params.cpuparams.n_threads = 1
    server = xllamacpp.Server(params)
    tokenizer, model = load_tokenizer(stopping_model), load_model(stopping_model, "float32")
    for text in TEXTS:
        ids = tokenizer(text)["input_ids"]
        asked = {"content": text, "add_special": True, "parse_special": True}
        found = httpx.post(f"{server.listening_address}/tokenize", json=asked, trust_env=False)
        assert found.json()["tokens"] == ids
        answer = server.handle_completions(
            {"prompt": ids, "max_tokens": 8, "temperature": 0, "return_tokens": True}
        )
        prompt = torch.tensor([ids])
        expected = model.generate(prompt, max_new_tokens=8, do_sample=False)[0, len(ids) :]
        assert answer["choices"][0]["text"] == tokenizer.decode(expected, skip_special_tokens=True)


def test_the_same_folder_gives_the_same_bytes(
    gguf_file: Path, stopping_model: Path, tmp_path: Path
) -> None:
    elsewhere = shutil.copytree(stopping_model, tmp_path / "elsewhere-7b-v2")
    convert(elsewhere, tmp_path / "again.gguf", "f32")
    assert (tmp_path / "again.gguf").read_bytes() == gguf_file.read_bytes()


@pytest.fixture
def copy(tiny_model: Path, tmp_path: Path) -> Path:
    return shutil.copytree(tiny_model, tmp_path / "copy")


def rewrite(file: Path, **changes: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | changes))


def refused(model: Path, outtype: str = "f16") -> str:
    with pytest.raises(GgufError) as refusal:
        convert(model, model / "out" / "model.gguf", outtype)
    assert not (model / "out").exists()
    assert "\n" not in str(refusal.value)
    return str(refusal.value).removeprefix(f"{model}: ")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"architectures": ["NewForCausalLM"]}, "llama.cpp's converter knows no NewForCausalLM"),
        ({"quantization_config": {"quant_method": "awq"}}, "its weights are in awq"),
        ({"vision_config": {"depth": 2}}, "models that read images are not converted"),
    ],
)
def test_what_cannot_be_converted_is_refused_before_any_time_is_spent(
    copy: Path, changes: dict, said: str
) -> None:
    rewrite(copy / "config.json", **changes)
    assert refused(copy).startswith(said)


def test_no_pickle_is_read(copy: Path) -> None:
    (copy / "model.safetensors").rename(copy / "pytorch_model.bin")
    assert refused(copy).startswith("no config.json with safetensors beside it")


@pytest.mark.parametrize(
    ("outtype", "value", "said"),
    [
        ("f16", 98304.0, "9.83e+04, and f16 ends at 6.55e+04; take f32 or bf16"),
        ("q8_0", -1e7, "1e+07, and q8_0 ends at 8.32e+06; take f32 or bf16"),
    ],
)
def test_a_weight_too_large_for_the_type_is_named(
    copy: Path, outtype: str, value: float, said: str
) -> None:
    from safetensors.torch import load_file, save_file

    tensors = load_file(copy / "model.safetensors")
    name = "model.layers.1.mlp.up_proj.weight"
    tensors[name][3, 5] = value
    save_file(tensors, copy / "model.safetensors", {"format": "pt"})
    assert refused(copy, outtype) == f"{name} has {said}"
