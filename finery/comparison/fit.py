"""Which of the evaluated models fit into a memory, and which of those to deploy."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.comparison.here import here
from finery.comparison.variants import ALL, MERGED
from finery.errors import PipelineError, UserError
from finery.models.settings import CONFIG, read_settings

UNITS = {"": 1e9, "M": 1e6, "G": 1e9, "T": 1e12, "MI": 2**20, "GI": 2**30, "TI": 2**40}
CACHE_BYTES = 2
"""Of a number in the cache of keys and values: engines keep it in half precision."""
RUNTIME, SHARE = 5e8, 0.1
"""What an engine takes besides: its own 0.5 GB, and a tenth of the weights to compute in."""
NO_CACHE = ("linear_attention", "mamba", "conv", "recurrent")
"""Kinds of layers whose state does not grow with the context."""


class FitError(UserError):
    """What is asked cannot be answered."""


@dataclass(frozen=True)
class Fit:
    """A model: its bytes of weights, of cache and of all together, and its measured numbers.

    `recovery` is the merged model's perplexity over its own, on all test data; `speed` the tokens a
    second that its evaluation on this machine answered in, None if that is not known.
    """

    name: str
    weights: float
    cache: float
    recovery: float
    perplexity: float
    speed: float | None

    @property
    def total(self) -> float:
        return self.weights * (1 + SHARE) + self.cache + RUNTIME


def fits(folders: Mapping[str, Path], evaluations: Path, context: int, streams: int) -> list[Fit]:
    """Those of the models that are here and evaluated. Raises `FitError` if the merged is not.

    `folders` has each model's folder; the merged model is one of them. `context` is in tokens.
    """
    perplexities = {name: _perplexity(evaluations / name / "metrics.json") for name in folders}
    if (best := perplexities[MERGED]) is None:
        raise FitError(f"{evaluations / MERGED}: no perplexity; run `dvc repro evaluate@merged`")
    found = []
    for known in here(folders):
        perplexity = perplexities[known.name]
        if known.weights is None or perplexity is None:
            continue
        config = read_settings(folders[known.name] / CONFIG)
        _refuse_longer(known.name, config, context)
        cache = cache_bytes(config, context) * streams
        weights, recovery = known.weights * 1e6, best / perplexity
        found.append(Fit(known.name, weights, cache, recovery, perplexity, known.speed))
    if not found:
        raise FitError("models/: none of the evaluated models is here; run `dvc pull`")
    return found


def chosen(found: Sequence[Fit], memory: float) -> Fit:
    """The one to deploy: of those that fit the best recovery, and of equal ones the smallest.

    Raises `PipelineError` if none fits.
    """
    fitting = [each for each in found if each.total <= memory]
    if not fitting:
        least = min(found, key=lambda each: each.total)
        raise PipelineError(
            f"none fits into {memory / 1e9:.2f} GB; {least.name} takes least,"
            f" {least.total / 1e9:.2f} GB, of which {least.cache / 1e9:.2f} is the cache: lower"
            " --context or --streams, or add a smaller format to quantize.formats"
        )
    return min(fitting, key=lambda each: (-round(each.recovery, 3), each.weights))


def cache_bytes(config: Mapping[str, Any], context: int) -> int:
    """Of the keys and values of one stream, in all layers, when `context` tokens are in it."""
    text = config.get("text_config") or config
    layers, heads = text["num_hidden_layers"], text["num_attention_heads"]
    window = text.get("sliding_window") if text.get("use_sliding_window", True) else None
    kinds = text.get("layer_types") or ["sliding_attention" if window else "full"] * layers
    if rank := text.get("kv_lora_rank"):  # one compressed vector for both, DeepSeek's attention
        each = rank + text.get("qk_rope_head_dim", 0)
    else:
        width = text.get("head_dim") or text["hidden_size"] // heads
        each = 2 * (text.get("num_key_value_heads") or heads) * width
    kept = {"sliding_attention": min(context, window or context)} | dict.fromkeys(NO_CACHE, 0)
    return CACHE_BYTES * each * sum(kept.get(kind, context) for kind in kinds)


def parsed_memory(text: str) -> float:
    """Bytes: 24GB, 24GiB, 900MB; a number alone is GB. Raises `FitError`."""
    found = re.fullmatch(r"(\d+(?:\.\d+)?)\s*([MGT]I?)?B?", text.strip().upper())
    if found is None or not float(found[1]):
        raise FitError(f"--memory: {text} is no size; say for instance 24GB or 16GiB")
    return float(found[1]) * UNITS[found[2] or ""]


def lines(found: Sequence[Fit], memory: float) -> list[str]:
    """A table in Markdown, the best recovery first."""
    head = ("model", "fits", "weights, GB", "cache, GB", "in all, GB", "recovery", "perplexity")
    rows = [(*head, "tokens a second"), ("---",) * (len(head) + 1)]
    for each in sorted(found, key=lambda each: -each.recovery):
        sizes = (f"{size / 1e9:.2f}" for size in (each.weights, each.cache, each.total))
        speed = "–" if each.speed is None else f"{each.speed:.1f}"
        fits = "yes" if each.total <= memory else "no"
        numbers = (f"{each.recovery:.1%}", f"{each.perplexity:.3f}", speed)
        rows.append((each.name, fits, *sizes, *numbers))
    return [f"| {' | '.join(row)} |" for row in rows]


def _perplexity(file: Path) -> float | None:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))[ALL]["perplexity"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return found if isinstance(found, int | float) and found > 0 else None


def _refuse_longer(name: str, config: Mapping[str, Any], context: int) -> None:
    longest = (config.get("text_config") or config).get("max_position_embeddings")
    if isinstance(longest, int) and context > longest:
        raise FitError(f"--context: {name} takes at most {longest} tokens, not {context}")
