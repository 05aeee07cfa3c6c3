"""What GPTQModel cannot quantize is one line before any work."""

import shutil
from pathlib import Path

import pytest
import torch

from finery.inference.loading import load_for_inference
from finery.params.quantize import AwqParams, GptqParams
from finery.quantization.fitting import UnfitError
from finery.quantization.quantizer import quantize_model

TOKENS = {"vocab_size": 400, "bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}


@pytest.fixture
def made(wide_model: Path, tmp_path: Path):
    """A model of a config, with random weights."""

    def make(config) -> Path:
        from transformers import AutoModelForCausalLM

        shutil.copytree(wide_model, tmp_path / "model")
        torch.manual_seed(0)
        model = AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
        model.save_pretrained(tmp_path / "model")
        return tmp_path / "model"

    return make


@pytest.fixture
def refused(made, tmp_path: Path, rows: list[list[int]]):
    """The reason why a model of this config is not quantized."""

    def refuse(config, params: GptqParams | AwqParams) -> str:
        made(config)
        with pytest.raises(UnfitError) as error:
            quantize_model(tmp_path / "model", params, rows, tmp_path / "out", tmp_path / "work")
        assert error.value.exit_status == 2
        assert not (tmp_path / "out").exists() and not (tmp_path / "work").exists()
        assert "\n" not in str(error.value)
        return str(error.value).replace(str(tmp_path), "")

    return refuse


@pytest.mark.parametrize("params", [GptqParams(group_size=64), AwqParams(group_size=64)])
def test_a_group_that_does_not_divide_a_layer(refused, params: GptqParams | AwqParams):
    from transformers import LlamaConfig

    heads = {"num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 48}
    config = LlamaConfig(
        hidden_size=128, intermediate_size=160, num_hidden_layers=1, **heads, **TOKENS
    )
    format = "gptq" if isinstance(params, GptqParams) else "awq"
    assert refused(config, params) == (
        f"quantize.{format}.group_size: 64 does not divide the layer widths 96, 160"
        " (model.layers.0.self_attn.o_proj); use 32"
    )


def test_layers_outside_of_layers_count_too(refused):
    from transformers import GPT2Config

    config = GPT2Config(n_embd=96, n_layer=1, n_head=2, n_positions=64, **TOKENS)
    assert refused(config, GptqParams(group_size=64)) == (
        "quantize.gptq.group_size: 64 does not divide the layer widths 96"
        " (transformer.h.0.attn.c_attn); use 32"
    )


def test_a_kind_of_layer_that_awq_does_not_scale(refused):
    from transformers import GPT2Config

    config = GPT2Config(n_embd=128, n_layer=1, n_head=2, n_positions=64, **TOKENS)
    assert refused(config, AwqParams(group_size=64)) == (
        "quantize.awq: transformer.h.0.attn.c_attn is a Conv1D, which AWQ cannot scale"
    )


def test_a_kind_of_model_that_gptqmodel_does_not_know(refused):
    from transformers import MambaConfig

    config = MambaConfig(hidden_size=64, num_hidden_layers=1, **TOKENS)
    said = refused(config, GptqParams(group_size=32))
    assert said.startswith("/model: GPTQModel 7.6.0 cannot quantize a model of type mamba (Unsupp")
    assert said.endswith("; take another base model (model.source)")


def test_a_model_whose_head_gptqmodel_calls_otherwise(made, tmp_path: Path, rows: list[list[int]]):
    from transformers import GPTNeoXConfig

    sizes = {"hidden_size": 64, "intermediate_size": 128, "num_attention_heads": 2}
    model = made(GPTNeoXConfig(num_hidden_layers=1, **sizes, **TOKENS))
    quantize_model(model, GptqParams(group_size=32), rows, tmp_path / "out", tmp_path / "work")
    with torch.inference_mode():
        expected, actual = (
            load_for_inference(folder)(input_ids=torch.tensor(rows[:2])).logits
            for folder in (model, tmp_path / "out")
        )
    assert 1e-4 < ((expected - actual).norm() / expected.norm()).item() < 0.2
