"""All that a model card says, before it is said."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from finery.params.package import PackageParams


@dataclass(frozen=True)
class Facts:
    """All that a card says: `metrics` and `gate` are their JSON files, `lineage` the records,
    `keywords` what the chat template was given in the training."""

    params: PackageParams
    quantization: Mapping[str, Any]
    remote_code: bool
    metrics: Mapping[str, Any]
    gate: Mapping[str, Any]
    lineage: Mapping[str, Any]
    keywords: Mapping[str, Any] = field(default_factory=dict)
    sees: bool = False
    """Whether the model reads images."""

    @property
    def format(self) -> str | None:
        """gptq, awq, gguf, or None for a model that is not quantized."""
        return self.quantization.get("quant_method")

    @property
    def name(self) -> str:
        return f"{self.params.name}-{self.format}" if self.format else self.params.name


def numbers(metrics: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """The numbers of a metrics.json, {DATASET: {METRIC: number}}; null is NaN."""
    return {
        dataset: {
            name: math.nan if value is None else value
            for name, value in values.items()
            if value is None or isinstance(value, int | float)
        }
        for dataset, values in metrics.items()
        if isinstance(values, dict)
    }


def rounded(value: float) -> float:
    """A score as the metadata of a card has it."""
    return round(value, 4) + 0.0  # no -0.0


def base_model(lineage: Mapping[str, Any]) -> str | None:
    """The base model's id on Hugging Face's hub; other sources have none."""
    scheme, _, rest = str(lineage.get("download", {}).get("source", "")).partition(":")
    return rest.partition("@")[0] if scheme == "hf" else None
