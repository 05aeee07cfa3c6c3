"""How a tokenizer splits text is told by its rule, whatever its vocabulary."""

import ast
import json
import re
from pathlib import Path
from typing import Any

import pytest

from finery.models.gguf.converter import find_converter
from finery.models.gguf.errors import GgufError
from finery.models.gguf.pre_tokenizer import NAMES, pre_tokenizer

BYTES = {"type": "ByteLevel", "add_prefix_space": False, "use_regex": True}
DIGITS = {"type": "Digits", "individual_digits": True}
LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
    r"|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def split(regex: str) -> dict[str, Any]:
    first = {"type": "Split", "pattern": {"Regex": regex}, "behavior": "Isolated", "invert": False}
    return sequence(first, BYTES | {"use_regex": False})


def sequence(*steps: dict[str, Any]) -> dict[str, Any]:
    return {"type": "Sequence", "pretokenizers": list(steps)}


@pytest.mark.parametrize(
    ("steps", "whole", "name"),
    [
        (BYTES, False, "gpt-2"),
        (sequence(DIGITS, BYTES), False, "smollm"),
        (split(LLAMA3), True, "llama-bpe"),
        (split(LLAMA3), False, "smaug-bpe"),
        (split(LLAMA3.replace("{1,3}", "")), False, "qwen2"),
    ],
)
def test_a_rule_has_its_name(tmp_path: Path, steps: dict, whole: bool, name: str) -> None:
    write(tmp_path, steps, {"type": "BPE", "ignore_merges": whole})
    assert pre_tokenizer(tmp_path) == name


@pytest.mark.parametrize(
    ("steps", "more"),
    [
        (BYTES | {"add_prefix_space": True}, {}),
        (BYTES | {"use_regex": False}, {}),
        (BYTES, {"ignore_merges": True}),
        (BYTES, {"type": "Unigram"}),
        (sequence(DIGITS | {"individual_digits": False}, BYTES), {}),
        (split(r"\w+"), {}),
        ({"type": "Whitespace"}, {}),
        (None, {}),
    ],
)
def test_another_rule_is_refused(tmp_path: Path, steps: dict | None, more: dict) -> None:
    write(tmp_path, steps, {"type": "BPE"} | more)
    with pytest.raises(GgufError, match="knows no tokenizer that splits text as this one does"):
        pre_tokenizer(tmp_path)


def test_the_rules_are_those_of_llama_cpp() -> None:
    """Its source quotes the rules it has from tokenizer.json, and has a rule for each name."""
    source = (find_converter() / "src/llama-vocab.cpp").read_text()
    quoted = {
        ast.literal_eval(text) for text in re.findall(r'// *("\S.*\\\\s\+"),?$', source, re.M)
    }
    assert {rule for rule, _ in NAMES if rule not in ("bytes", "digits")} <= quoted
    for name in NAMES.values():
        assert f'tokenizer_pre == "{name}"' in source


def write(model: Path, steps: dict | None, core: dict) -> None:
    text = {"normalizer": {"type": "NFC"}, "pre_tokenizer": steps, "model": core}
    (model / "tokenizer.json").write_text(json.dumps(text))
