"""A step in parts of so many tokens learns what it learns at once, from the same samples."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    GPT2Config,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    Qwen3Config,
)

from finery.data.prepared import write_parquet
from finery.training.by_tokens import ATTENTION, TokensError, collate, part_size, parts, split
from finery.training.packing import IGNORED
from finery.training.start import built
from tests.finery.training.test_packing import SIZES, SMALL, Positionless, pack_to, samples
from tests.resuming import differences
from tests.steps import step

STEP = {
    "precision": "fp32", "learning_rate": 1e-2, "num_train_epochs": 2, "logging_steps": 1,
    "per_device_batch_size": 2, "gradient_accumulation_steps": 2, "warmup_ratio": 0.0,
    "eval_steps": 2, "save_steps": 2, "tuner": {"type": "lora", "rank": 4},
}  # fmt: skip
IN_PARTS = STEP | {"max_tokens_per_batch": 48}


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"dataset": "d"} | sample for sample in samples() if len(sample["labels"]) > 1]
    write_parquet(tmp_path / "train.parquet", "samples", rows)
    write_parquet(tmp_path / "validation.parquet", "samples", rows[:4])
    return tmp_path


@pytest.mark.parametrize("most", [1, 40, 48, 90, 1000])
def test_parts_are_few_whole_and_no_larger_than_asked_for(most: int) -> None:
    made = parts(SIZES, most)
    assert made == parts(SIZES, most)
    assert sorted(number for part in made for number in part) == list(range(len(SIZES)))
    sizes = [sum(SIZES[number] for number in part) for part in made]
    assert max(sizes) <= max(most, max(SIZES)) and min(sizes) > 0
    assert len(made) <= -(-sum(SIZES) // max(most, max(SIZES))) + 1


def sums(model: Any, batches: list[dict[str, Any]]) -> tuple[list[float], dict[str, Any]]:
    """The summed loss of each batch, and the gradients of them all."""
    model.zero_grad()
    found = []
    for batch in batches:
        given = {key: value for key, value in batch.items() if key != "labels"}
        logits = model(**given, use_cache=False).logits[:, :-1].float()
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), batch["labels"][:, 1:].flatten(), reduction="sum"
        )
        loss.backward()
        found.append(loss.item())
    return found, {n: w.grad.clone() for n, w in model.named_parameters() if w.grad is not None}


@pytest.mark.parametrize(
    "config, attention",
    [
        (LlamaConfig(**SMALL), ATTENTION), (Qwen3Config(**SMALL), ATTENTION),
        (LlamaConfig(**SMALL), "eager"), (MistralConfig(**SMALL, sliding_window=8), ATTENTION),
        (GemmaConfig(**SMALL), ATTENTION), (MistralConfig(**SMALL, sliding_window=8), "eager"),
        (GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=2, n_positions=64), ATTENTION),
    ],
    ids=lambda value: getattr(value, "model_type", value),
)  # fmt: skip
def test_each_sample_has_the_loss_and_the_gradient_it_has_alone(config: Any, attention: str):
    torch.manual_seed(0)
    kind = "sdpa" if attention == ATTENTION else attention
    model = AutoModelForCausalLM.from_config(config, attn_implementation=kind).eval()
    assert part_size(step(max_tokens_per_batch=64), model, sees=False) == 64
    assert part_size(step(max_tokens_per_batch="auto"), model, sees=False) == 1024
    assert part_size(step(), model, sees=False) is None
    assert model.config._attn_implementation == attention
    rows = [row for row in samples() if len(row["labels"]) > 1]
    alone, gradients = sums(
        model,
        [
            {
                "input_ids": torch.tensor([row["input_ids"]]),
                "labels": torch.tensor([[IGNORED, *row["labels"][1:]]]),
            }
            for row in rows
        ],
    )
    batch = collate(rows)
    sizes = batch["seq_lengths"].tolist()
    expected = [sum(alone[n] for n in part) for part in parts(sizes, 64)]
    together, found = sums(model, list(split(model, batch, 64)))
    assert 1 < len(together) < len(rows) and together == pytest.approx(expected, rel=1e-5)
    assert found.keys() == gradients.keys()
    for name, gradient in gradients.items():
        torch.testing.assert_close(found[name], gradient, rtol=1e-3, atol=1e-4)


def learnt(data: Path, model: Path, **settings: Any) -> tuple[list[dict], dict[str, Any], int]:
    """The logged losses of a training, its adapter, and how often the model was called."""
    trainer = built(step(**settings), model, data, data / f"checkpoints-{len(settings)}")
    calls = []
    hook = trainer.model.register_forward_pre_hook(
        lambda model, given, named: calls.append(named["input_ids"].shape) or None, with_kwargs=True
    )
    trainer.train()
    hook.remove()
    kept = ("loss", "eval_loss", "learning_rate", "grad_norm", "num_input_tokens_seen", "step")
    log = [{k: each[k] for k in kept if k in each} for each in trainer.state.log_history]
    weights = {n: w.detach() for n, w in trainer.model.named_parameters() if w.requires_grad}
    return log, weights, calls


@pytest.mark.parametrize("packed", [False, True])
def test_a_training_in_parts_is_the_training(packed: bool, data: Path, tiny_model: Path) -> None:
    if packed:
        pack_to(data, 60)
    log, weights, _ = learnt(data, tiny_model, **STEP)
    found, again, calls = learnt(data, tiny_model, **IN_PARTS)
    assert len(found) == len(log) > (3 if packed else 6) and any(
        "eval_loss" in each for each in log
    )
    for mine, expected in zip(found, log, strict=True):
        assert mine == pytest.approx(expected, rel=1e-3, abs=1e-6)
    assert {rows for rows, _ in calls} >= {1} and min(tokens for _, tokens in calls) > 2
    moved = max(weight.abs().max() for name, weight in weights.items() if "lora_B" in name)
    assert moved > 0.01
    torch.testing.assert_close(again, weights, rtol=0, atol=2e-3 * moved)


def test_a_training_in_parts_resumes_to_the_byte(data: Path, tiny_model: Path) -> None:
    params = step(**IN_PARTS | {"tuner": {"type": "lora", "dropout": 0.2}})
    found = differences(params, tiny_model, data, data / "runs")
    assert len(found) > 2 and set(map(tuple, found.values())) == {()}


def test_what_cannot_be_cut_is_left_whole_or_refused() -> None:
    torch.manual_seed(0)
    small = {"vocab_size": 300, "hidden_size": 32, "num_hidden_layers": 2}
    mamba = AutoModelForCausalLM.from_config(MambaConfig(**small, state_size=8))
    stateful = Positionless(mamba)
    stateful.config, stateful.set_attn_implementation = mamba.config, None
    longest = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    stretched = AutoModelForCausalLM.from_config(LlamaConfig(**SMALL, rope_parameters=longest))
    plain = AutoModelForCausalLM.from_config(LlamaConfig(**SMALL))
    for model, sees, said in (
        (stateful, False, "lets samples that follow each other see each other"),
        (stretched, False, "rotation follows from the longest sample"),
        (plain, True, "images have places"),
    ):
        assert part_size(step(max_tokens_per_batch="auto"), model, sees) is None
        with pytest.raises(TokensError, match=f"^train.sft.max_tokens_per_batch: 64: .*{said}"):
            part_size(step(max_tokens_per_batch=64), model, sees)
    assert plain.config._attn_implementation == "sdpa"
    assert part_size(step(max_tokens_per_batch="auto", optim="lomo"), plain, False) is None
