"""Whatever can be trained can be merged, and nothing else can."""

from importlib import import_module
from pathlib import Path
from typing import get_args

from finery.merging.adapter import Config, OwnTuner
from finery.models.load import load_model
from finery.params.step import Tuner
from finery.training.start import peft_config
from tests.steps import step


def test_merging_takes_what_the_tuners_make(tiny_model: Path):
    model = load_model(tiny_model, "float32")
    tuners = [get_args(each.model_fields["type"].annotation)[0]
              for each in get_args(get_args(Tuner)[0])]  # fmt: skip
    made = {tuner: peft_config(step(tuner={"type": tuner}), model) for tuner in tuners}
    adapters = {str(config.peft_type.value) for config in made.values() if config}
    assert adapters == set(get_args(Config.model_fields["peft_type"].annotation))
    own = {tuner for tuner, config in made.items() if config is None}
    assert own == set(get_args(OwnTuner.model_fields["type"].annotation))
    for tuner in own:
        assert hasattr(import_module(f"finery.training.tuners.{tuner}"), "open_weights")
