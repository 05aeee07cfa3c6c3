"""Packed samples are trained on as if each were alone."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    GemmaConfig,
    LlamaConfig,
    MambaConfig,
    MistralConfig,
    PhiConfig,
    Qwen2Config,
    Qwen3Config,
)

from finery.data.prepared import write_parquet
from finery.errors import UserError
from finery.lineage import LINEAGE
from finery.models.load import load_model
from finery.training.packing import IGNORED, PackingError, collate, packed, refuse_if_samples_meet
from finery.training.prepared import read_samples, refuse_other_kinds
from finery.training.supervised import supervised
from tests.steps import step

SIZES = (30, 9, 21, 12, 40, 5, 17, 2, 1, 26)
SMALL = {
    "vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16, "pad_token_id": 0,
}  # fmt: skip


def samples() -> list[dict[str, Any]]:
    """Each with a question of a third of its tokens."""
    generator = torch.Generator().manual_seed(3)
    made = []
    for size in SIZES:
        ids = torch.randint(5, 300, (size,), generator=generator).tolist()
        made.append({"input_ids": ids, "labels": [IGNORED] * (size // 3) + ids[size // 3 :]})
    return made


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = [{"dataset": "d"} | sample for sample in samples()]
    write_parquet(tmp_path / "train.parquet", "samples", rows)
    write_parquet(tmp_path / "validation.parquet", "samples", rows[:4])
    return tmp_path


def pack_to(data: Path, length: int) -> None:
    (data / LINEAGE).write_text(json.dumps({"prepare@sft": {"packed_to": length}}))


def losses(model: Any, batch: dict[str, torch.Tensor]) -> dict[tuple[int, ...], float]:
    """The summed loss of each sample of a batch, by its tokens."""
    with torch.no_grad():
        given = {key: value for key, value in batch.items() if key != "labels"}
        logits = model(**given, use_cache=False).logits.float()
    found = {}
    for row, ids in enumerate(batch["input_ids"]):
        starts = (batch["position_ids"][row] == 0).nonzero().flatten().tolist()
        for start, end in zip(starts, [*starts[1:], len(ids)], strict=True):
            words = tuple(ids[start:end].tolist())
            if words == (0,):  # padding
                continue
            found[words] = torch.nn.functional.cross_entropy(
                logits[row, start : end - 1], batch["labels"][row, start + 1 : end], reduction="sum"
            ).item()
    return found


def alone(sample: dict[str, Any]) -> dict[str, Any]:
    return sample | {"seq_lengths": [len(sample["input_ids"])]}


@pytest.mark.parametrize("attention", ["sdpa", "eager"])
@pytest.mark.parametrize(
    "config",
    [
        LlamaConfig(**SMALL), Qwen2Config(**SMALL), Qwen3Config(**SMALL), MistralConfig(**SMALL),
        GemmaConfig(**SMALL), PhiConfig(**SMALL), MistralConfig(**SMALL, sliding_window=8),
    ],
    ids=lambda config: f"{config.model_type} {getattr(config, 'sliding_window', None)}",
)  # fmt: skip
def test_each_sample_has_the_loss_it_has_alone(data: Path, config: Any, attention: str):
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config, attn_implementation=attention).eval()
    refuse_if_samples_meet(model, step())
    rows = packed(read_samples(data / "train.parquet"), 48)
    assert len(rows) < len(SIZES) and max(map(len, rows["input_ids"])) <= 48
    together = losses(model, collate(list(rows)))
    single = {}
    for sample in samples():
        single |= losses(model, collate([alone(sample)]))
    assert together.keys() == single.keys() and len(single) == len(SIZES)
    assert together == pytest.approx(single, rel=1e-4, abs=1e-4)


def test_the_comparison_notices_samples_that_see_each_other(data: Path, tiny_model: Path):
    model = load_model(tiny_model, "float32")
    row = packed(read_samples(data / "train.parquet"), 48)[0]
    assert len(row["seq_lengths"]) > 1
    batch = collate([row])
    apart = losses(model, batch)
    one_long = {"attention_mask": torch.ones_like(batch["input_ids"])}
    assert losses(model, batch | one_long) != pytest.approx(apart, rel=1e-2)


def test_models_in_which_samples_meet_are_refused():
    torch.manual_seed(0)
    stateful = MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, state_size=8)
    with pytest.raises(PackingError, match=r"see each other: .* set train.sft.data.packing: false"):
        refuse_if_samples_meet(
            Positionless(AutoModelForCausalLM.from_config(stateful).eval()), step()
        )


class Positionless(torch.nn.Module):
    """A model that takes positions, as all do here, and makes no use of them."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model, self.device = model, model.device

    def forward(self, position_ids: Any, **given: Any) -> Any:
        return self.model(**given)


def test_packing_loses_nothing_and_is_the_same_twice(data: Path):
    rows = packed(read_samples(data / "train.parquet"), 48)
    again = packed(read_samples(data / "train.parquet"), 48)
    assert list(rows) == list(again)
    pieces = []
    for row in rows:
        assert sum(row["seq_lengths"]) == len(row["input_ids"]) == len(row["labels"])
        ends = torch.tensor(row["seq_lengths"]).cumsum(0).tolist()
        for start, end in zip([0, *ends[:-1]], ends, strict=True):
            ids, labels = row["input_ids"][start:end], row["labels"][start:end]
            pieces.append({"input_ids": ids, "labels": labels})
    in_order = sorted(pieces, key=lambda piece: piece["input_ids"])
    assert in_order == sorted(samples(), key=lambda piece: piece["input_ids"])


def test_no_token_is_predicted_from_another_sample():
    row = {"input_ids": [5, 6, 7, 8, 9], "labels": [5, 6, 7, 8, 9], "seq_lengths": [2, 3]}
    shorter = {"input_ids": [5, 6], "labels": [IGNORED, 6], "seq_lengths": [2]}
    batch = collate([row, shorter])
    assert batch["labels"].tolist() == [
        [IGNORED, 6, IGNORED, 8, 9],
        [IGNORED, 6, IGNORED, IGNORED, IGNORED],
    ]
    assert batch["position_ids"].tolist() == [[0, 1, 0, 1, 2], [0, 1, 0, 0, 0]]
    assert batch.keys() == {"input_ids", "labels", "position_ids"}


def test_the_trainer_has_the_same_loss_and_gradients_packed_and_not(data: Path, tiny_model: Path):
    def evaluated() -> Any:
        params = step(precision="fp32", per_device_batch_size=10)
        trainer = supervised(params, tiny_model, data, data / "checkpoints")
        loss = trainer.evaluate()["eval_loss"]
        batch = next(iter(trainer.get_train_dataloader()))
        total = trainer.compute_loss(trainer.model, dict(batch), num_items_in_batch=1)
        total.backward()
        named = trainer.model.named_parameters()
        gradients = {name: weight.grad for name, weight in named if "lora_B" in name}
        return len(trainer.train_dataset), loss, total.item(), gradients

    rows, loss, total, gradients = evaluated()
    pack_to(data, 48)
    packed_rows, packed_loss, packed_total, packed_gradients = evaluated()
    assert rows == len(SIZES) and packed_rows < rows
    assert packed_loss == pytest.approx(loss, rel=1e-4)
    assert packed_total == pytest.approx(total, rel=1e-4)
    assert gradients and max(gradient.abs().max() for gradient in gradients.values()) > 0.1
    torch.testing.assert_close(packed_gradients, gradients, atol=1e-3, rtol=1e-3)


def test_packed_training_runs(data: Path, tiny_model: Path):
    pack_to(data, 48)
    params = step(precision="fp32", num_train_epochs=2, learning_rate=1e-2)
    trainer = supervised(params, tiny_model, data, data / "checkpoints")
    before = trainer.evaluate()["eval_loss"]
    trainer.train()
    assert trainer.evaluate()["eval_loss"] < before


@pytest.mark.parametrize("kind, more, said", [
    ("preference", {"rejected_input_ids": [1], "rejected_labels": [1]}, "holds preferences"),
    ("kto", {"desirable": True}, r"holds verdicts \(KTO\)"),
])  # fmt: skip
def test_other_kinds_are_refused(tmp_path: Path, kind: str, more: dict, said: str):
    row = {"dataset": "d", "input_ids": [1], "labels": [1]} | more
    write_parquet(tmp_path / "train.parquet", kind, [row])
    with pytest.raises(UserError, match=said) as caught:
        refuse_other_kinds(tmp_path, step())
    assert caught.value.exit_status == 2 and "\n" not in str(caught.value)
