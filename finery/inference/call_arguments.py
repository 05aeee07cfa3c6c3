"""Calls of tools that are a name and one argument after another: between tags, or as in Python.

Qwen 3.5, GLM 4.5 and Nemotron 3 write the one, Llama 4 and LFM2 the other. Each function here
learns from a text with known calls what stands around them.
"""

import ast
import json
import re
import warnings
from collections.abc import Sequence
from itertools import islice
from typing import Any

from finery.inference.call_json import Call, Reader, around, common_end, common_start, loose

JSON_WORDS = {"true": True, "false": False, "null": None}
PATIENCE = 200
"""What looks like a call is looked at so often: an answer that goes astray has thousands."""
PIECE = re.compile(r"""'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*"|[()]""", re.DOTALL)
HEAD = re.compile(r"(?<![\w.])[A-Za-z_][\w.]*\(")


def tagged(text: str, known: Sequence[Call]) -> Reader | None:
    """Calls with tags around their name, and around the name and the value of each argument."""
    (key, value), (other_key, other_value) = known[0]["arguments"].items()
    said = [known[0]["name"], key, value, other_key, other_value]
    places = [text.find(word) for word in said]
    if min(places) < 0 or places != sorted(places):
        return None
    ends = [place + len(word) for place, word in zip(places, said, strict=True)]
    head, equals, comma = (text[ends[i] : places[i + 1]] for i in range(3))
    before, _ = around(text, [(text.find(call["name"]),) * 2 for call in known])
    opening = common_end([head, comma])
    ending = common_start([comma, text[ends[-1] :]])
    if not (before and equals.strip() and ending.strip()):
        return None
    call = re.compile(rf"{loose(before)}\s*([\w.-]+)")
    argument = re.compile(
        rf"{loose(opening)}\s*([\w.-]+)\s*{loose(equals)}(.*?)(?=\s*{loose(ending)})", re.DOTALL
    )

    def read(answer: str) -> list[Call]:
        found = list(call.finditer(answer))
        stops = [*(each.start() for each in found), len(answer)][1:]
        return [
            {"name": each[1], "arguments": _typed(argument.findall(answer, each.end(), stop))}
            for each, stop in zip(found, stops, strict=True)
        ]

    return read


def python(text: str, known: Sequence[Call]) -> Reader | None:
    """Calls as Python writes them, with named arguments."""
    before, _ = around(text, [(text.find(known[0]["name"]),) * 2])

    def read(answer: str) -> list[Call]:
        calls, place = [], answer.find(before) + len(before) if before in answer else len(answer)
        heads = (head for head in HEAD.finditer(answer) if head.start() >= place)
        for head in islice(heads, PATIENCE):
            if head.start() < place:
                continue  # inside the call before
            end = _closing(answer, head.end())
            if end and (call := _python_call(answer[head.start() : end])):
                calls.append(call)
                place = end
        return calls

    return read


def _closing(text: str, start: int) -> int | None:
    """The end of the call whose arguments start there."""
    depth = 1
    for piece in PIECE.finditer(text, start):
        depth += {"(": 1, ")": -1}.get(piece[0], 0)
        if depth == 0:
            return piece.end()
    return None


def _python_call(text: str) -> Call | None:
    try:
        with warnings.catch_warnings(action="ignore"):  # of a text that reads oddly as Python
            call = ast.parse(text, mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            return None
        arguments = {
            str(each.arg): ast.literal_eval(_JsonWords().visit(each.value))
            for each in call.keywords
        }
    except (SyntaxError, ValueError, TypeError, RecursionError, MemoryError):
        return None
    return {"name": ast.unparse(call.func), "arguments": arguments}


class _JsonWords(ast.NodeTransformer):
    """Templates that print values as JSON have true, false and null in them."""

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return ast.Constant(JSON_WORDS[node.id]) if node.id in JSON_WORDS else node


def _typed(arguments: list[tuple[str, str]]) -> dict[str, Any]:
    """What is JSON is its value, all else a text."""
    found = {}
    for name, text in arguments:
        try:
            found[name] = json.loads(text)
        except (ValueError, RecursionError):
            found[name] = text.strip()
    return found
