"""gate: the models are good enough, or nothing is packaged."""

from pathlib import Path

from finery.gate import insist, judge, show
from finery.gate import report as as_json
from finery.params.gate import GateParams


def gate(params: GateParams, evaluations: Path, *, report: Path) -> None:
    """Hold the metrics.json of each evaluated model against the rules, and print how each went.

    `evaluations` has them in a folder for each model: base, merged, and each format.

    `report` is {"passed": bool, "rules": [{"rule": str, "value": float | null, "passed": bool}]}.
    Raises `GateError` if a rule fell short, `MetricsError` if a metric is missing.
    """
    outcomes = judge(params.rules, evaluations)
    if outcomes:
        show(outcomes)
    else:
        print("gate.rules is empty: every model passes")
    report.write_text(as_json(outcomes), encoding="utf-8")
    insist(outcomes)


if __name__ == "__main__":
    from finery.stage.run import run

    run(gate)
