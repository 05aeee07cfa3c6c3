"""What the evaluations left of each model, with the samples of all in one order."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.samples import Sample, keyed, parse_samples

ALL = "all"
BASE, MERGED = "base", "merged"


class NotComparable(UserError):
    """The evaluations do not belong together, or cannot be read."""


@dataclass(frozen=True)
class Variant:
    """A model: `metrics` are its metrics.json, `samples` its answers, in the order of all."""

    name: str
    metrics: dict[str, Any]
    samples: list[Sample]


def read_variants(names: Sequence[str], evaluations: Path, samples: Path) -> list[Variant]:
    """The models by their names, from NAME/metrics.json and NAME.jsonl in the two folders.

    Raises `NotComparable` if one is missing, or was asked other questions than the first.
    """
    found: list[Variant] = []
    for name in names:
        metrics = _json(evaluations / name / "metrics.json")
        lines = keyed(ALL, _lines(file := samples / f"{name}.jsonl"))
        if found and lines.keys() != (first := keyed(ALL, found[0].samples)).keys():
            other = len(lines.keys() ^ first.keys())
            raise NotComparable(
                f"{file}: {other} samples are not those of {found[0].name}; run both evaluations"
                " again"
            )
        order = keyed(ALL, found[0].samples) if found else lines
        found.append(Variant(name, metrics, [lines[key] for key in order]))
    return found


def datasets(variant: Variant) -> list[str]:
    """`all`, and each dataset if there are several."""
    names = list(dict.fromkeys(sample["dataset"] for sample in variant.samples))
    return [ALL, *names] if len(names) > 1 else names


def _json(file: Path) -> dict[str, Any]:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except OSError:
        raise NotComparable(f"{file}: missing; run the evaluation") from None
    except ValueError as error:
        raise NotComparable(f"{file}: not JSON ({error}); run the evaluation again") from None


def _lines(file: Path) -> list[Sample]:
    try:
        return parse_samples(file.read_text(encoding="utf-8"))
    except OSError:
        raise NotComparable(f"{file}: missing; run the evaluation") from None
    except ValueError as error:
        raise NotComparable(f"{file}: not JSON ({error}); run the evaluation again") from None
