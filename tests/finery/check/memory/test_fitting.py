"""A step that cannot fit is refused, with changes that each make it fit; limits of containers."""

import json
import re
import shutil
import struct
from math import prod
from pathlib import Path
from typing import Any

import psutil
import pytest

from finery.check.facts import read_model
from finery.check.memory.activations import Batch
from finery.check.memory.batches import longest_batch, prepared_batch
from finery.check.memory.fitting import (
    CLOSE,
    NOTHING,
    FitError,
    Fitting,
    Plan,
    refuse_what_cannot_fit,
)
from finery.check.memory.room import Room, main_memory
from finery.check.memory.shape import shape
from finery.check.memory.step import step_memory, trained_by
from finery.data.prepared import write_parquet
from finery.params.data import DataParams
from tests.steps import step

ROOT = Path(__file__).resolve().parents[4]
GB = 10**9
CONFIG = {
    "model_type": "llama", "vocab_size": 32000, "hidden_size": 2048, "intermediate_size": 5632,
    "num_hidden_layers": 22, "num_attention_heads": 32, "num_key_value_heads": 4, "head_dim": 64,
    "tie_word_embeddings": False,
}  # fmt: skip
BLOCK = {
    "self_attn.q_proj": [2048, 2048], "self_attn.k_proj": [256, 2048],
    "self_attn.v_proj": [256, 2048], "self_attn.o_proj": [2048, 2048],
    "mlp.gate_proj": [5632, 2048], "mlp.up_proj": [5632, 2048], "mlp.down_proj": [2048, 5632],
    "input_layernorm": [2048], "post_attention_layernorm": [2048],
}  # fmt: skip
SHARED = DataParams.model_construct(cutoff_len=2048)


@pytest.fixture
def billion(tmp_path: Path) -> Path:
    """A Llama of 1.1 billion weights: its config and the headers of its weights alone."""
    shapes = {"model.embed_tokens.weight": [32000, 2048], "lm_head.weight": [32000, 2048]}
    shapes["model.norm.weight"] = [2048]
    for layer in range(22):
        shapes |= {f"model.layers.{layer}.{name}.weight": size for name, size in BLOCK.items()}
    header, end = {}, 0
    for name, size in shapes.items():
        start, end = end, end + 2 * prod(size)
        header[name] = {"dtype": "BF16", "shape": size, "data_offsets": [start, end]}
    folder = tmp_path / "billion"
    folder.mkdir()
    text = json.dumps(header).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)
    (folder / "config.json").write_text(json.dumps(CONFIG))
    return folder


def fitting(model: Path, size: float, gpu: bool = False, **settings: Any) -> Fitting:
    params = step(**{"per_device_batch_size": 8, "gradient_accumulation_steps": 2} | settings)
    plan = Plan(params, longest_batch(params, 2048))
    return Fitting(plan, shape(read_model(model)), Room(size, "a card", gpu), "data.cutoff_len")


def test_the_parts_of_full_training(billion: Path) -> None:
    """What is trained is in float32; computing in half precision makes a copy of 2 bytes."""
    form = shape(read_model(billion))
    assert form.parameters == 1_100_048_384
    params = step(tuner={"type": "full"}, per_device_batch_size=1)
    for half, size in ((False, 4), (True, 6)):
        need = step_memory(form, params, longest_batch(params, 128), half=half, gpu=True)
        assert need.weights == form.parameters * size
        assert need.gradients == form.parameters * 4
        assert need.optimizer == form.parameters * 8


def test_the_parts_of_some_layers(billion: Path) -> None:
    form = shape(read_model(billion))
    tuner = {"type": "freeze", "trainable_layers": 2}
    params = step(tuner=tuner, per_device_batch_size=1, optim="sgd")
    need = step_memory(form, params, longest_batch(params, 128), half=False, gpu=False)
    inside = sum(prod(size) for size in BLOCK.values() if len(size) == 2)
    assert (need.gradients, need.optimizer) == (2 * inside * 4, 0)
    assert need.weights == form.parameters * 4


def test_the_parts_of_an_adapter(billion: Path) -> None:
    form = shape(read_model(billion))
    params = step(tuner={"type": "lora", "rank": 16}, per_device_batch_size=1)
    need = step_memory(form, params, longest_batch(params, 128), half=True, gpu=True)
    inside = sum(size[0] + size[1] for size in BLOCK.values() if len(size) == 2)
    assert need.gradients == 22 * 16 * inside * 4
    assert need.optimizer == 2 * need.gradients
    assert need.weights == form.parameters * 2 + need.gradients


def test_only_the_layers_that_are_trained_have_gradients(billion: Path) -> None:
    form = shape(read_model(billion))
    tuner = {"type": "lora", "rank": 4, "target_modules": ["q_proj"]}
    params = step(tuner=tuner, per_device_batch_size=1)
    need = step_memory(form, params, longest_batch(params, 128), half=True, gpu=True)
    assert need.gradients == 22 * 4 * (2048 + 2048) * 4


@pytest.mark.parametrize(
    "settings, weights",
    [
        ({"rank_pattern": {"q_proj": 16}}, 22 * (16 * 4096 + 4 * 2304)),
        ({"layers_to_transform": [0, 21]}, 2 * 4 * (4096 + 2304)),
        ({"exclude_modules": ["q_proj"]}, 22 * 4 * 2304),
        ({"modules_to_save": ["lm_head"]}, 22 * 4 * (4096 + 2304) + 32000 * 2048),
    ],
)
def test_what_an_adapter_trains(settings: dict, weights: int, billion: Path) -> None:
    tuner = {"type": "lora", "rank": 4, "target_modules": ["q_proj", "k_proj"]} | settings
    assert trained_by(shape(read_model(billion)), step(tuner=tuner)).weights == weights


def test_the_parts_of_a_quantized_model(billion: Path) -> None:
    """Only the linear layers of the blocks are in 4 bits, with a byte and a bit for 64 of them."""
    form = shape(read_model(billion))
    assert form.inside == 22 * sum(prod(size) for size in BLOCK.values() if len(size) == 2)
    params = step(quantization={"method": "bnb"}, per_device_batch_size=1)
    need = step_memory(form, params, longest_batch(params, 128), half=True, gpu=True)
    rest = (form.parameters - form.inside) * 2
    assert need.weights == int(form.inside * (0.5 + (1 + 4 / 256) / 64)) + rest + need.gradients


def test_a_model_that_is_quantized_after_it_was_loaded_has_been_whole(billion: Path) -> None:
    form = shape(read_model(billion))
    tuner = {"type": "lora", "target_modules": ["q_proj"]}
    params = step(quantization={"method": "hqq"}, tuner=tuner, per_device_batch_size=1)
    need = step_memory(form, params, longest_batch(params, 64), half=False, gpu=False)
    assert need.total == need.runtime + form.parameters * 4


def test_few_bits_are_named_where_the_weights_are_what_is_large(billion: Path) -> None:
    params = step(per_device_batch_size=1, gradient_accumulation_steps=1)
    plan = Plan(params, longest_batch(params, 128))
    found = Fitting(plan, shape(read_model(billion)), Room(3 * GB, "this machine"), "")
    assert found.refused
    assert found.advice.startswith("it fits with train.sft.quantization: {method: bnb} (")
    assert "tuner" not in found.advice


CHECKPOINTING = "train.sft.gradient_checkpointing: true"
BATCH = "train.sft.per_device_batch_size: {} with gradient_accumulation_steps: {}"
LORA = "train.sft.tuner: {type: lora}"
FULL = {"tuner": {"type": "full"}}


@pytest.mark.parametrize(
    "size, gpu, settings, changes",
    [
        (30 * GB, True, {}, [CHECKPOINTING, BATCH.format(4, 4), "data.cutoff_len: 1024"]),
        (60 * GB, False, {}, [CHECKPOINTING, BATCH.format(4, 4), "data.cutoff_len: 1024"]),
        (9 * GB, False, {}, [f"{CHECKPOINTING} and {BATCH.format(2, 8)}", "data.cutoff_len: 64"]),
        (20 * GB, True, FULL | {"precision": "fp32"},
         [f"{CHECKPOINTING} and {BATCH.format(1, 16)} and train.sft.precision: auto"
          f" and {LORA}"]),
        (10 * GB, False, FULL, [f"{CHECKPOINTING} and {BATCH.format(1, 16)} and {LORA}"]),
        (1 * GB, True, {}, []),
    ],
)  # fmt: skip
def test_the_cheapest_changes_that_make_it_fit(
    size: float, gpu: bool, settings: dict, changes: list[str], billion: Path
) -> None:
    """What is named first costs time, what is named last data; each says what is then taken."""
    found = fitting(billion, size, gpu, **settings)
    assert found.refused
    if not changes:
        assert found.advice == NOTHING
        return
    said = re.split(r" \(([\d.]+) GB\)(?:, or )?", found.advice.removeprefix("it fits with "))
    assert said[:-1:2] == changes
    assert all(float(taken) * GB <= size for taken in said[1::2])


def test_a_change_that_is_named_is_enough(billion: Path) -> None:
    found = fitting(billion, 60 * GB)
    length = shape(read_model(billion))
    shorter = step(per_device_batch_size=8, gradient_accumulation_steps=2)
    batch = longest_batch(shorter, 1024)
    need = step_memory(length, shorter, batch, half=False, gpu=False).total
    assert f"data.cutoff_len: 1024 ({need / GB:.1f} GB)" in found.advice


def test_a_step_in_parts_takes_the_memory_of_a_part(billion: Path, tmp_path: Path) -> None:
    """Of the longest samples that fit into it, or of one; what is advised then fits as it says."""
    cut = {"max_tokens_per_batch": 4096}
    found = fitting(billion, 24 * GB, **cut)
    assert found.plan.batch == Batch(1, 4096, 4096, 4096, padded=False)
    assert found.need.total < fitting(billion, 24 * GB).need.total / 2
    shorter = "data.cutoff_len: 2048 with train.sft.max_tokens_per_batch: 2048"
    assert shorter in found.advice and "batch_size" not in found.advice
    params = step(max_tokens_per_batch=2048, per_device_batch_size=8, gradient_accumulation_steps=2)
    form, batch = shape(read_model(billion)), longest_batch(params, 2048)
    total = step_memory(form, params, batch, half=False, gpu=False).total
    assert f"{shorter} ({total / GB:.1f} GB)" in found.advice

    rows = [{"dataset": "d", "input_ids": [5] * n, "labels": [-100] * 4 + [5] * (n - 4)}
            for n in (30, 9, 21, 40, 12)]  # fmt: skip
    data = write(tmp_path, rows)
    (data / "lineage.json").write_text("{}")
    for most, length, counted in ((10, 40, 36), (70, 70, 62), (90, 70, 62), (91, 91, 79)):
        params = step(max_tokens_per_batch=most, effective_batch_size=5)
        assert prepared_batch(params, data, 512) == Batch(1, length, counted, counted, False)
    auto = step(max_tokens_per_batch="auto", effective_batch_size=2)
    assert prepared_batch(auto, data, 512).length == 70
    assert prepared_batch(auto, data, 512, gpu=True).rows == 2


def write(data: Path, samples: list[dict]) -> Path:
    write_parquet(data / "train.parquet", "samples", samples)
    return data


def sample(length: int, counted: int) -> dict:
    ids = list(range(5, 5 + length))
    labels = [-100] * (length - counted) + ids[length - counted :]
    return {"dataset": "d", "input_ids": ids, "labels": labels}


def test_the_largest_batch_is_of_the_longest_samples(tmp_path: Path) -> None:
    data = write(tmp_path, [sample(10, 5), sample(30, 3), sample(7, 7), sample(20, 10)])
    params = step(per_device_batch_size=2)
    assert prepared_batch(params, data, 512) == Batch(2, 30, 13, 13, padded=True)
    assert prepared_batch(step(per_device_batch_size=1), data, 512) == Batch(1, 30, 3, 3, False)
    (data / "lineage.json").write_text('{"prepare@sft": {"packed_to": 64}}\n')
    assert prepared_batch(params, data, 512) == Batch(2, 64, 128, 64, padded=True)


def test_what_cannot_fit_is_refused_in_one_line(billion: Path, tmp_path: Path) -> None:
    data = write(tmp_path / "data", [sample(500, 250)] * 20)
    params = step(per_device_batch_size=8, tuner={"type": "full"})
    with pytest.raises(FitError) as caught:
        refuse_what_cannot_fit(params, SHARED, billion, data, Room(16 * GB, "this machine"))
    said = str(caught.value)
    assert caught.value.exit_status == 2 and "\n" not in said
    assert said.startswith("train.sft takes about 34.5 GB (activations 15.4 GB, ")
    assert "of the 16.0 GB of this machine; it fits with " in said
    assert "train.sft.tuner: {type: lora}" in said


def test_what_is_close_is_said_and_tried(
    billion: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = write(tmp_path / "data", [sample(500, 250)] * 20)
    params = step(per_device_batch_size=8)
    plan = Plan(params, prepared_batch(params, data, 512))
    need = Fitting(plan, shape(read_model(billion)), Room(1, ""), "").need.total
    close, enough = Room(need / CLOSE + 1, "this machine"), Room(need, "this machine")
    assert not refuse_what_cannot_fit(params, SHARED, billion, data, close)
    assert "it may run out; it fits with train.sft.gradient_checkpointing: true" in (
        capsys.readouterr().out
    )
    assert not refuse_what_cannot_fit(params, SHARED, billion, data, enough)
    plenty = Room(2 * need, "this machine")
    assert refuse_what_cannot_fit(params, SHARED, billion, data, plenty)
    assert capsys.readouterr().out == ""


def test_the_train_stage_refuses_before_it_loads(
    billion: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """As started by DVC, on a machine that is too small: a control group allows it 2 GB."""
    from finery.stage import run as harness
    from stages.train import train

    data = write(tmp_path / "data", [sample(500, 250)] * 20)
    (tmp_path / "cgroup").mkdir()
    (tmp_path / "cgroup/memory.max").write_text(f"{2 * GB}\n")
    allowed = main_memory(cgroup=tmp_path / "cgroup")
    monkeypatch.setattr(harness, "room", lambda: Room(allowed, "this machine"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DVC_STAGE", raising=False)
    shutil.copyfile(ROOT / "params.yaml", "params.yaml")
    files = ("adapter", "loss", "plot", "metrics")
    given = [f"--{name}={tmp_path / name}" for name in files]
    with pytest.raises(SystemExit) as ended:
        harness.run(train, ["--step=sft", f"--start={billion}", f"--data={data}", *given])
    said = capsys.readouterr().err
    assert ended.value.code == 2 and said.count("\n") == 1
    assert said.startswith("train: train.sft takes about ") and "of the 2.0 GB" in said
    assert not any((tmp_path / name).exists() for name in files)


@pytest.mark.parametrize(
    "line, file, limit",
    [
        ("0::/", "memory.max", 3 * GB),
        ("0::/user.slice/job", "user.slice/memory.max", 3 * GB),
        ("0::/user.slice/job", "user.slice/job/memory.max", 3 * GB),
        ("5:cpu,memory:/docker/abc", "memory/docker/abc/memory.limit_in_bytes", 3 * GB),
        ("5:memory:/docker/abc", "memory/memory.limit_in_bytes", 3 * GB),
        ("0::/", "memory.max", "max"),
        ("5:memory:/", "memory/memory.limit_in_bytes", 9223372036854771712),
        ("0::/user.slice", "system.slice/memory.max", 3 * GB),
    ],
)
def test_the_limits_of_control_groups(line: str, file: str, limit: Any, tmp_path: Path) -> None:
    own, place = tmp_path / "own", tmp_path / "cgroup" / file
    own.write_text(f"1:name=systemd:/x\n{line}\n")
    place.parent.mkdir(parents=True)
    place.write_text(f"{limit}\n")
    free = limit != 3 * GB or "system.slice" in file
    expected = psutil.virtual_memory().total if free else limit
    assert main_memory(own, tmp_path / "cgroup") == expected
