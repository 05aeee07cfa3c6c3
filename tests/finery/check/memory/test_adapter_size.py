"""The numbers that an adapter trains are as many as PEFT makes of it."""

from pathlib import Path

import pytest

from finery.check.memory.adapter_size import adapter_size
from finery.models.layer_widths import linears
from finery.models.load import load_model
from finery.models.tensors import tensors
from finery.training.start import peft_config
from tests.steps import step


@pytest.mark.parametrize(("tuner", "close"), [
    ({"type": "lora", "rank": 4}, 1.0),
    ({"type": "lora", "rank": 4, "use_dora": True}, 1.0),
    ({"type": "adalora", "init_rank": 6, "target_rank": 4}, 1.0),
    ({"type": "boft", "block_size": 8}, 1.0),
    ({"type": "fourierft", "n_frequency": 100}, 1.0),
    ({"type": "hra", "rank": 4}, 1.0),
    ({"type": "loha", "rank": 4}, 1.0),
    ({"type": "lokr", "rank": 4}, 1.5),
    ({"type": "miss", "rank": 8}, 1.0),
    ({"type": "oft", "block_size": 16}, 1.0),
    ({"type": "randlora", "rank": 4}, 1.1),
    ({"type": "vera", "rank": 256}, 1.0),
])  # fmt: skip
def test_as_many_as_peft_makes(tuner: dict, close: float, tiny_model: Path):
    from peft import get_peft_model

    params = step(tuner=tuner)
    start = load_model(tiny_model, "float32")
    model = get_peft_model(start, peft_config(params, start))
    made = sum(weight.numel() for weight in model.parameters() if weight.requires_grad)
    layers, rank = linears(tensors(tiny_model)).values(), getattr(params.tuner, "rank", 0)
    told = sum(adapter_size(params.tuner, *layer, rank) for layer in layers)
    assert made / close <= told <= made * close
