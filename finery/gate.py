"""The rules of the gate, measured on the metrics of the evaluations."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from finery.errors import PipelineError, UserError
from finery.params.gate import Rule
from finery.to_json import to_json

DECIMALS = 12
METRICS = "metrics.json"


class GateError(PipelineError):
    """The models are fine files, but not good enough."""


class MetricsError(UserError):
    """A metrics file lacks what a rule asks for; a line for each such rule."""


@dataclass(frozen=True)
class Outcome:
    """A rule and what it came to; `value` is NaN when there is no number to compare."""

    subject: str
    threshold: str
    value: float
    passed: bool

    @property
    def rule(self) -> str:
        return f"{self.subject} {self.threshold}"

    @property
    def measured(self) -> str:
        return f"{self.value:.6g}" if math.isfinite(self.value) else "no number"


def judge(rules: Sequence[Rule], evaluations: Path) -> list[Outcome]:
    """Measure every rule on MODEL/metrics.json of the models it names, {DATASET: {METRIC: number}}.

    A value that is no finite number never passes. Raises `MetricsError` naming rule and file for
    every metric that is missing.
    """
    named = (name for rule in rules for name in (rule.model, rule.minus, rule.over) if name)
    files = {name: evaluations / name / METRICS for name in dict.fromkeys(named)}
    metrics = {model: _read(file) for model, file in files.items()}
    outcomes, problems = [], []
    for rule in rules:
        try:
            outcomes.append(_judge(rule, metrics, files))
        except MetricsError as error:
            problems.append(f"gate rule `{_subject(rule)} {_threshold(rule)}`: {error}")
    if problems:
        raise MetricsError("\n".join(problems))
    return outcomes


def report(outcomes: Sequence[Outcome]) -> str:
    """The outcomes as JSON: {"passed": bool, "rules": [{"rule", "value", "passed"}]}."""
    rules = [{"rule": o.rule, "value": o.value, "passed": o.passed} for o in outcomes]
    passed = all(outcome.passed for outcome in outcomes)
    return to_json({"passed": passed, "rules": rules}, indent=2) + "\n"


def show(outcomes: Sequence[Outcome]) -> None:
    """Print a table of all rules: what was measured, against what, and how it went."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = 10_000  # a log has no width: a rule stays on its line and can be searched
    table = Table(
        "rule", "value", "threshold", "", box=SIMPLE_HEAD if console.is_terminal else None
    )
    for outcome in outcomes:
        word, style = ("passed", "green") if outcome.passed else ("FELL SHORT", "bold red")
        cells = (outcome.subject, outcome.measured, outcome.threshold)
        table.add_row(*map(Text, cells), Text(word, style=style))
    console.print(table)


def insist(outcomes: Sequence[Outcome]) -> None:
    """Raise `GateError`, in one line, if a rule fell short."""
    short = [f"{o.rule} (is {o.measured})" for o in outcomes if not o.passed]
    if short:
        raise GateError(
            f"{len(short)} of {len(outcomes)} rules fell short: {'; '.join(short)};"
            " metrics are kept in reports/evaluate, nothing was packaged"
        )


def _judge(rule: Rule, metrics: Mapping[str, Any], files: Mapping[str, Path]) -> Outcome:
    value = _measure(rule, metrics, files)
    low = -math.inf if rule.min is None else rule.min
    high = math.inf if rule.max is None else rule.max
    passed = math.isfinite(value) and low <= value <= high
    return Outcome(_subject(rule), _threshold(rule), value, passed)


def _measure(rule: Rule, metrics: Mapping[str, Any], files: Mapping[str, Path]) -> float:
    def metric(model: str) -> float:
        return _metric(metrics[model], rule.metric, files[model])

    value = metric(rule.model)
    if rule.minus:
        # 0.7 - 0.4 is 0.29999999999999993 in binary, and must reach a threshold of 0.3
        return round(value - metric(rule.minus), DECIMALS)
    if rule.over:
        other = metric(rule.over)
        return round(value / other, DECIMALS) if other else math.nan
    return value


def _metric(metrics: Any, name: str, file: Path) -> float:
    dataset, _, key = name.rpartition(".")
    if dataset not in metrics:
        raise MetricsError(f"{file}: no dataset {dataset}; it has {_names(metrics)}")
    if key not in _keys(metrics[dataset]):
        having = [other for other in metrics if other != "all" and key in _keys(metrics[other])]
        found = f" ({key} is in {', '.join(having)})" if having and dataset != "all" else ""
        raise MetricsError(
            f"{file}: {dataset} has no {key}; it has {_names(metrics[dataset])}{found}"
        )
    value = metrics[dataset][key]
    if value is None:  # how JSON writes NaN
        return math.nan
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise MetricsError(f"{file}: {name} is {value!r}, not a number; run the evaluation again")
    return float(value)


def _names(mapping: Any) -> str:
    return ", ".join(_keys(mapping)) or "nothing"


def _keys(mapping: Any) -> list[str]:
    return list(map(str, mapping)) if isinstance(mapping, dict) else []


def _read(file: Path) -> dict[str, Any]:
    try:
        metrics = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise MetricsError(f"{file}: missing; run the evaluation") from None
    except ValueError as error:
        raise MetricsError(f"{file}: not JSON ({error}); run the evaluation again") from None
    if not isinstance(metrics, dict):
        raise MetricsError(f"{file}: not a mapping of datasets; run the evaluation again")
    return metrics


def _subject(rule: Rule) -> str:
    against = f" minus {rule.minus}" if rule.minus else f" over {rule.over}" if rule.over else ""
    return f"{rule.model} {rule.metric}{against}"


def _threshold(rule: Rule) -> str:
    bounds = ((">=", rule.min), ("<=", rule.max))
    return " and ".join(f"{sign} {bound:.15g}" for sign, bound in bounds if bound is not None)
