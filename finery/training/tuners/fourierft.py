"""Sparse spectra of the change of the weights, by PEFT."""

from typing import Any

from finery.params.tuners.fourierft import FourierftParams
from finery.training.places import places


def peft_config(params: FourierftParams) -> Any:
    """PEFT's configuration; it begins as no change. The task type is the method's to set."""
    from peft import FourierFTConfig

    return FourierFTConfig(
        n_frequency=params.n_frequency,
        scaling=params.scaling,
        init_weights=True,
        **places(params),
    )
