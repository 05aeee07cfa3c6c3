"""README.md: the model card, https://huggingface.co/docs/hub/model-cards."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from finery.lineage import of as records_of
from finery.packaging.card import usage
from finery.packaging.card.facts import Facts, numbers
from finery.packaging.card.figures import fidelity, figure, said
from finery.packaging.card.metadata import metadata


def model_card(facts: Facts) -> str:
    """The card as Markdown under Hugging Face's YAML metadata. Leaves out what is not known."""
    sections = {
        "How to use": usage.instructions(facts),
        "Evaluation": _evaluation(facts),
        "Training data": _datasets(facts.lineage),
        "Merging": _merging(facts.lineage),
        "Lineage": _lineage(facts.lineage),
    }
    body = [f"# {facts.name}", facts.params.description, _kind(facts)]
    body += [f"## {title}\n\n{text}" for title, text in sections.items() if text]
    paragraphs = "\n\n".join(part for part in body if part)
    return f"---\n{metadata(facts)}\n---\n\n{paragraphs}\n"


def _kind(facts: Facts) -> str:
    if not facts.format:
        return ""
    if facts.format == "gguf":
        return f"GGUF, weights in {facts.quantization['type']}, for llama.cpp and Ollama."
    bits, group = facts.quantization.get("bits"), facts.quantization.get("group_size")
    size = f"{bits}-bit " if bits else ""
    return f"{size}{facts.format.upper()}" + (f", group size {group}." if group else ".")


def _evaluation(facts: Facts) -> str:
    metrics = numbers(facts.metrics)
    names = list(dict.fromkeys(name for values in metrics.values() for name in values))
    rows = [
        [dataset, *(figure(values.get(name), 4) for name in names)]
        for dataset, values in metrics.items()
    ]
    rules = [
        [rule.get("rule", ""), figure(rule.get("value"), 4), "yes" if rule.get("passed") else "no"]
        for rule in facts.gate.get("rules", [])
    ]
    scores = _table(["held-out data", *names], rows)
    gate = _table(["rule it had to pass", "value", "passed"], rules)
    return "\n\n".join(part for part in (scores, gate) if part)


def _datasets(lineage: Mapping[str, Any]) -> str:
    rows = [
        [step, name, record.get("rows", ""), record.get("sha256", "")]
        for step, prepared in records_of(lineage, "prepare").items()
        for name, record in prepared.get("datasets", {}).items()
    ]
    return _table(["step", "dataset", "rows", "SHA-256"], rows)


def _merging(lineage: Mapping[str, Any]) -> str:
    tables = {
        step: fidelity(merge.get("fidelity", {}))
        for step, merge in records_of(lineage, "merge").items()
    }
    head = max((table[0] for table in tables.values()), key=len, default=[])
    rows = [[step, *row] for step, (_, *rows) in tables.items() for row in rows]
    return _table(["step", *head], rows)


def _lineage(lineage: Mapping[str, Any]) -> str:
    made = {stage: "<br>".join(_made_with(record)) for stage, record in lineage.items()}
    return _table(["stage", "made with"], [row for row in made.items() if row[1]])


def _made_with(record: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in record.items():
        if key in ("datasets", "fidelity"):  # have tables of their own
            continue
        if isinstance(value, dict):
            yield from said(value) if key == "metrics" else _made_with(value, f"{prefix}{key}.")
        elif not isinstance(value, list) and value is not None:
            yield f"{prefix}{key}: {f'{value:g}' if isinstance(value, float) else value}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    rows = list(rows)
    if not rows:
        return ""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(_cell, line))} |" for line in lines)


def _cell(value: Any) -> str:
    return str(value).replace("|", "\\|").replace("\n", " ")
