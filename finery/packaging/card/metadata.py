"""The YAML at the head of a model card, https://huggingface.co/docs/hub/model-cards."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub import EvalResult, ModelCardData

from finery.packaging.card.facts import Facts, base_model, numbers, rounded

MEAN = "all"


def metadata(facts: Facts) -> str:
    """YAML without its fences; what is not known is left out."""
    base = base_model(facts.lineage)
    data = ModelCardData(
        library_name="transformers",
        pipeline_tag="image-text-to-text" if facts.sees else "text-generation",
        base_model=base,
        # said outright: a hub would take a 4-bit file for a mere quantization of its base model
        base_model_relation="finetune" if base else None,
        license=facts.params.license,
        license_name=facts.params.license_name,
        license_link=facts.params.license_link,
        language=facts.params.language or None,
        tags=_tags(facts),
        model_name=facts.name,
        eval_results=list(_results(facts.metrics)) or None,
    )
    return data.to_yaml()


def _tags(facts: Facts) -> list[str]:
    bits = facts.quantization.get("bits")
    return ["finery", *([f"{bits}-bit"] if bits else []), *([facts.format] if facts.format else [])]


def _results(metrics: Mapping[str, Any]) -> Iterator[EvalResult]:
    for dataset, values in numbers(metrics).items():
        for metric, value in values.items():
            if dataset != MEAN and math.isfinite(value):
                yield EvalResult(
                    task_type="text-generation",
                    dataset_type=dataset,
                    dataset_name=dataset,
                    metric_type=metric,
                    metric_value=rounded(value),
                )
