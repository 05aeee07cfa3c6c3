"""What is merged by rows is, to the byte, what PEFT merges in memory and transformers saves."""

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from safetensors.torch import load_file, save_file

from finery.merging.fidelity import MergeError
from finery.merging.lora import merge_lora
from finery.merging.own_weights import merge_own_weights
from finery.merging.room import RoomError
from finery.merging.streamed.merge import (
    NotByRowsError,
    builder,
    merge_by_rows,
    merged_weights,
    write,
)
from finery.models.files import save_model
from finery.models.load import load_model
from finery.training.own_weights import save_own_weights, train_only

PROBES = [list(range(5, 30)), [7, 30, 12], [2, 1]]
SHAPE = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "pad_token_id": 0,
    "bos_token_id": 1, "eos_token_id": 2, "max_position_embeddings": 64,
}  # fmt: skip
EXPERTS = {"num_experts_per_tok": 2, "moe_intermediate_size": 16}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "llama": {"tie_word_embeddings": False},
    "qwen2": {"tie_word_embeddings": True},
    "qwen3": {"tie_word_embeddings": True},
    "gemma3_text": {},
    "phi3": {},  # q, k and v are one weight, and gate and up another
    "glm4": {},
    "gpt2": {"n_embd": 32, "n_layer": 2, "n_head": 4, "n_positions": 64},  # inputs x outputs
    "mixtral": {"num_local_experts": 3},  # each expert apart in the checkpoint
    "qwen3_moe": EXPERTS | {"num_experts": 3},
    "gpt_oss": {"num_local_experts": 3, "num_experts_per_tok": 2},  # all experts in one weight
}


@dataclass
class Case:
    """A model, an adapter that does something, and what PEFT makes of the two in float32."""

    folder: Path
    wrapped: Any

    @property
    def base(self) -> Path:
        return self.folder / "base"

    @property
    def adapter(self) -> Path:
        return self.folder / "adapter"

    def by_rows(self, dtype: str) -> dict[str, bytes]:
        build = builder(self.base, self.adapter)
        write(merged_weights(self.base, self.adapter, build), build, dtype, self.folder / dtype)
        return contents(self.folder / dtype)

    def by_peft(self, dtype: str) -> dict[str, bytes]:
        merged = self.wrapped.merge_and_unload().to(getattr(torch, dtype))
        save_model(merged, self.folder / "peft")
        return contents(self.folder / "peft")


def contents(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def made(folder: Path, kind: str, **adapter: Any) -> Case:
    torch.manual_seed(0)
    config = transformers.AutoConfig.for_model(kind, **SHAPE | ARCHITECTURES[kind])
    model = transformers.AutoModelForCausalLM.from_config(config)
    for weight in model.parameters():
        weight.data.normal_(std=0.1)
    model.to(torch.bfloat16).save_pretrained(folder / "base")
    return adapted(folder, **adapter)


def adapted(folder: Path, save: Callable[[Any], object] = lambda model: model, **lora: Any) -> Case:
    """LoRA of random weights on the model in `folder`, with experts if it has some."""
    torch.manual_seed(1)
    model = load_model(folder / "base", "float32")
    experts = sorted(
        {
            ".".join(n.split(".")[-3:])
            for n, w in model.named_parameters()
            if ".experts." in n and w.ndim == 3
        }
    )
    settings = {
        "r": 3, "lora_alpha": 7, "target_modules": "all-linear", "task_type": "CAUSAL_LM",
        "target_parameters": experts or None,
    }  # fmt: skip
    wrapped = get_peft_model(model, LoraConfig(**settings | lora))
    for name, weight in wrapped.named_parameters():
        if weight.requires_grad and "lora_A" not in name:
            weight.data += 0.1 * torch.randn(weight.shape)
    save(wrapped)
    wrapped.save_pretrained(folder / "adapter")
    return Case(folder, wrapped)


@pytest.mark.parametrize("kind", ARCHITECTURES)
def test_it_is_what_peft_makes(kind: str, tmp_path: Path) -> None:
    case = made(tmp_path, kind)
    rounded, exact = case.by_rows("bfloat16"), case.by_rows("float32")
    by_peft = case.by_peft("float32")
    assert exact == by_peft
    files = [load_file(tmp_path / name / "model.safetensors") for name in ("bfloat16", "peft")]
    assert all(torch.equal(files[0][name], each.bfloat16()) for name, each in files[1].items())
    before = load_file(case.base / "model.safetensors")
    changed = [n for n, w in before.items() if not torch.equal(w, files[0][n])]
    assert before.keys() == files[0].keys() and len(changed) >= 8
    assert json.loads(rounded["config.json"])["dtype"] == "bfloat16"


@pytest.mark.parametrize("kind", ["llama", "qwen3_moe"])
def test_it_is_within_a_step_of_what_peft_rounds_twice(kind: str, tmp_path: Path) -> None:
    case = made(tmp_path, kind)
    case.by_rows("bfloat16")
    half = PeftModel.from_pretrained(load_model(case.base, "bfloat16"), case.adapter)
    save_model(half.merge_and_unload(), tmp_path / "half")
    before, ours, theirs = (
        {n: w.float() for n, w in load_file(tmp_path / name / "model.safetensors").items()}
        for name in ("base", "bfloat16", "half")
    )
    for name, weight in ours.items():
        parts = torch.stack([weight, before[name], weight - before[name]])
        step = parts.abs().amax(0) * 2**-7  # of the largest of what was added, and the sum
        assert ((weight - theirs[name]).abs() <= step).all(), name


@pytest.mark.parametrize(
    "options",
    [
        {"use_rslora": True, "rank_pattern": {"down_proj": 5}, "alpha_pattern": {"q_proj": 2}},
        {"use_dora": True},
        {"bias": "all"},
        {"bias": "lora_only", "lora_bias": True, "target_modules": ["q_proj"]},
        {"modules_to_save": ["embed_tokens", "lm_head"], "ensure_weight_tying": True},
        {"modules_to_save": ["norm", "gate_proj"], "target_modules": ["o_proj"]},
        {"trainable_token_indices": [3, 9]},
        {"layers_to_transform": [1], "target_modules": ["v_proj"], "init_lora_weights": "gaussian"},
    ],
    ids=lambda options: next(iter(options)),
)
def test_with_the_options_of_lora(options: dict[str, Any], tmp_path: Path) -> None:
    case = made(tmp_path, "qwen2", **options)
    assert case.by_rows("float32") == case.by_peft("float32")


def test_an_adapter_in_half_precision(tmp_path: Path) -> None:
    case = made(tmp_path, "llama", save=lambda model: model.to(torch.bfloat16))
    case.wrapped.to(torch.float32)
    assert case.by_rows("float32") == case.by_peft("float32")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_in_several_files_and_blocks(
    dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    case = made(tmp_path, "llama")
    model = load_model(case.base, "bfloat16")
    shutil.rmtree(case.base)
    model.save_pretrained(case.base, max_shard_size="9KB")
    assert len(list(case.base.glob("*.safetensors"))) > 3
    monkeypatch.setattr("finery.merging.streamed.shards.SHARD", "20KB")
    monkeypatch.setattr("finery.models.stored.BLOCK", 300)
    first = case.by_rows(dtype)
    assert len(first) > 4 and case.by_rows(dtype) == first
    merged = case.wrapped.merge_and_unload().to(getattr(torch, dtype))
    save_model(merged, tmp_path / "peft", "20KB")
    assert first == contents(tmp_path / "peft")


@pytest.mark.parametrize("kind", ["llama", "gpt2"])
def test_large_weights_are_the_same_to_the_bit(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wide = {"hidden_size": 1040, "n_embd": 1040, "intermediate_size": 2111, "n_inner": 2111}
    monkeypatch.setitem(ARCHITECTURES, kind, ARCHITECTURES[kind] | wide)
    monkeypatch.setitem(SHAPE, "num_hidden_layers", 1)
    monkeypatch.setitem(ARCHITECTURES["gpt2"], "n_layer", 1)
    case = made(tmp_path, kind, r=16)
    assert case.by_rows("float32") == case.by_peft("float32")


def test_one_adapter_after_another(tmp_path: Path) -> None:
    case = made(tmp_path / "first", "qwen3")
    case.by_rows("float32")
    shutil.copytree(tmp_path / "first/float32", tmp_path / "second/base")
    then = adapted(tmp_path / "second", target_modules=["q_proj", "up_proj"], r=2)
    both = PeftModel.from_pretrained(case.wrapped.merge_and_unload(), then.adapter)
    save_model(both.merge_and_unload(), tmp_path / "peft")
    assert then.by_rows("float32") == contents(tmp_path / "peft")


@pytest.mark.parametrize(
    "options",
    [
        {"target_modules": ["embed_tokens"]},
        {"target_modules": ["lm_head", "q_proj"]},
        {"target_modules": ["embed_tokens"], "ensure_weight_tying": True},
    ],
    ids=["input", "output", "both"],
)
def test_a_table_that_is_both_ends(options: dict[str, Any], tmp_path: Path) -> None:
    """PEFT changes the other end as well, or both twice; here each is what it was trained as."""
    case = made(tmp_path, "qwen2", **options)
    fidelity, _ = merge_by_rows(case.base, case.adapter, "float32", PROBES, tmp_path / "merged")
    assert fidelity["rounded"]["relative_difference"] < 1e-6
    merged = load_model(tmp_path / "merged", "float32")
    tied = "ensure_weight_tying" in options
    assert merged.config.tie_word_embeddings is tied
    assert (merged.lm_head.weight is merged.model.embed_tokens.weight) is tied
    with pytest.raises(MergeError, match="merging changed the logits"):
        merge_lora(case.base, case.adapter, "float32", PROBES)


@pytest.mark.parametrize("kind", ["llama", "qwen2"])
def test_new_words(kind: str, tmp_path: Path) -> None:
    made(tmp_path, kind)
    model = load_model(tmp_path / "base", "float32")
    model.resize_token_embeddings(67, mean_resizing=False)
    saved = ["embed_tokens", *(["lm_head"] if kind == "llama" else [])]
    config = LoraConfig(
        r=2, target_modules=["q_proj"], modules_to_save=saved, task_type="CAUSAL_LM"
    )
    wrapped = get_peft_model(model, config)
    for weight in wrapped.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn(weight.shape)
    shutil.rmtree(tmp_path / "adapter")
    wrapped.save_pretrained(tmp_path / "adapter")
    case = Case(tmp_path, wrapped)
    probes = [[5, 66, 65, 3]]
    fidelity, _ = merge_by_rows(case.base, case.adapter, "float32", probes, tmp_path / "merged")
    assert fidelity["rounded"]["relative_difference"] < 1e-6
    merged = load_model(tmp_path / "merged", "float32")
    assert merged.config.vocab_size == len(merged.model.embed_tokens.weight) == 67
    with torch.inference_mode():
        expected = wrapped(torch.tensor(probes)).logits
        torch.testing.assert_close(merged(torch.tensor(probes)).logits, expected)


@pytest.mark.parametrize("chosen", [".mlp.", "embed_tokens", ""], ids=["freeze", "table", "full"])
@pytest.mark.parametrize("kind", ["qwen2", "mixtral"])
def test_weights_of_its_own(chosen: str, kind: str, tmp_path: Path) -> None:
    case = made(tmp_path, kind)
    model = load_model(case.base, "bfloat16")
    train_only(model, lambda name: chosen in name)
    for weight in model.parameters():
        if weight.requires_grad:
            weight.data += 0.1 * torch.randn(weight.shape)
    shutil.rmtree(case.adapter)
    save_own_weights(model, {"type": "freeze"}, case.base, case.adapter)
    merged, expected = merge_own_weights(case.base, case.adapter, "bfloat16", PROBES)
    save_model(merged, tmp_path / "memory")
    found, _ = merge_by_rows(case.base, case.adapter, "bfloat16", PROBES, tmp_path / "rows")
    assert contents(tmp_path / "rows") == contents(tmp_path / "memory")
    assert found["rounded"] == pytest.approx(expected["rounded"], rel=1e-2, abs=1e-6)
    assert found["exact"]["relative_difference"] < 1e-6


@pytest.mark.parametrize("reading", ["qwen_vl", "llava"])
def test_a_model_that_reads_images(
    reading: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    shutil.copytree(request.getfixturevalue(reading), tmp_path / "base")
    case = adapted(tmp_path, target_modules=r".*language_model.*\.(q_proj|down_proj)")
    ours, theirs = case.by_rows("float32"), case.by_peft("float32")
    assert ours["model.safetensors"] == theirs["model.safetensors"]
    assert json.loads(ours["config.json"]) == json.loads(theirs["config.json"])


def test_where_the_type_has_no_room_nothing_is_left(tmp_path: Path) -> None:
    case = made(tmp_path, "llama", save=lambda model: enlarge(model, 1e6))
    with pytest.raises(RoomError, match=r"merge.dtype: float16 is too small .* set it to bfloat16"):
        case.by_rows("float16")
    assert not list((tmp_path / "float16").glob("*safetensors*"))
    assert not list((tmp_path / "float16").glob(".partial*"))


def enlarge(model: Any, factor: float) -> None:
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data *= factor


def test_a_checkpoint_that_lacks_a_weight(tmp_path: Path) -> None:
    case = made(tmp_path, "llama")
    weights = load_file(case.base / "model.safetensors")
    del weights["model.layers.1.mlp.up_proj.weight"]
    save_file(weights, case.base / "model.safetensors", {"format": "pt"})
    with pytest.raises(NotByRowsError, match=r"base has no model.layers.1.mlp.up_proj.weight"):
        case.by_rows("float32")
