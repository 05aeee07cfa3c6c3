"""LLaMA-Factory's demo files, tokenized by both: what is equal, and each difference by its reason.

A row is a kind of difference and how many samples have it. Tools are rendered otherwise, each by
its own template, and are not compared here.
"""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from finery.data.formats.dataset import open_dataset
from finery.data.rendering.chat import Problem, Renderer
from finery.models.tokenizer import load_tokenizer

PLAIN = ("alpaca_en_demo", "alpaca_zh_demo", "fintech", "identity")
CUTOFF_LEN = 100_000
EQUAL = "equal but for the line feed after <|im_end|>, which LLaMA-Factory trains on too"
Tokens = tuple[list[int], list[int]]


def make_datasets(demo: Path, folder: Path) -> list[str]:
    """The single-turn files as they are, and two of several turns made of them."""
    info: dict[str, Any] = {}
    for name in PLAIN:
        (folder / f"{name}.json").write_bytes((demo / f"{name}.json").read_bytes())
        info[name] = {"file_name": f"{name}.json"}
    rows = json.loads((demo / "alpaca_en_demo.json").read_text(encoding="utf-8"))
    pairs = zip(rows[::2], rows[1::2], strict=False)
    history = [{**last, "history": [[_question(first), first["output"]]]} for first, last in pairs]
    info["history"] = {
        "file_name": "history.json",
        "columns": {
            "prompt": "instruction", "query": "input", "response": "output", "history": "history",
        },
    }  # fmt: skip
    tagged = json.loads((demo / "glaive_toolcall_en_demo.json").read_text(encoding="utf-8"))
    chats = [_without_calls(row["conversations"]) for row in tagged]
    info["chats"] = {"file_name": "chats.json", "formatting": "sharegpt"}
    for name, made in (("history", history), ("chats", [c for c in chats if c["conversations"]])):
        text = json.dumps(made, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text, encoding="utf-8")
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return list(info)


def ours(base: Path, folder: Path, name: str) -> list[Tokens]:
    """Finery's samples. Raises `ValueError` at a row that it would not take."""
    renderer = Renderer(load_tokenizer(base), CUTOFF_LEN)
    examples = list(open_dataset(folder, name, None))
    samples = renderer.encode(examples)  # type: ignore[arg-type]
    if wrong := [sample for sample in samples if isinstance(sample, Problem)]:
        raise ValueError(f"{name}: {wrong[0]}")
    return [(s.input_ids.tolist(), s.labels.tolist()) for s in samples]  # type: ignore[union-attr]


def compared(
    ours: list[Tokens], theirs: list[Tokens], text: Callable[[list[int]], str]
) -> Counter[str]:
    """How many samples are equal, or differ for which reason."""
    found: Counter[str] = Counter()
    if len(ours) != len(theirs):
        found[f"{len(ours)} samples, theirs {len(theirs)}"] += 1
    for mine, other in zip(ours, theirs, strict=False):
        found[_difference(mine, other, text)] += 1
    return found


def _difference(mine: Tokens, other: Tokens, text: Callable[[list[int]], str]) -> str:
    ids, labels = mine
    other_ids, other_labels = other
    if ids == other_ids:
        unlike = [
            i for i, pair in enumerate(zip(labels, other_labels, strict=True)) if len({*pair}) > 1
        ]
        if not unlike:
            return "equal"
        feeds = all(labels[i] == -100 and text([other_labels[i]]) == "\n" for i in unlike)
        return EQUAL if feeds else "other labels"
    if text(ids) == text(other_ids):
        return "the same text in other tokens: LLaMA-Factory tokenizes each turn on its own"
    return "another text"


def _question(row: dict[str, Any]) -> str:
    return "\n".join(filter(None, (row["instruction"], row["input"])))


def _without_calls(turns: list[dict[str, str]]) -> dict[str, Any]:
    """The turns of a conversation before a tool is called, up to an answer."""
    kept = []
    for turn in turns:
        if turn["from"] not in ("human", "gpt"):
            break
        kept.append(turn)
    return {"conversations": kept[: len(kept) // 2 * 2]}
