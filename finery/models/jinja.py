"""Jinja for chat templates, and the keywords that a template takes."""

import difflib
import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from finery.models.chat_template import ChatTemplateError

GIVEN = {"messages", "tools", "documents", "add_generation_prompt"}
"""What every chat template is given, beside the special tokens."""


def refuse_unknown_keywords(template: str, names: Iterable[str]) -> None:
    """Raises `ChatTemplateError` for keywords that a template cannot be given, a line each."""
    if problems := unknown_keywords(template, names):
        raise ChatTemplateError("\n".join(f"data.chat_template_kwargs.{one}" for one in problems))


def unknown_keywords(template: str, names: Iterable[str]) -> list[str]:
    """A line for each of `names` that a template does not look at, or has from elsewhere.

    None for a template that is not Jinja: that is said where it is rendered.
    """
    from jinja2 import TemplateSyntaxError, meta

    try:
        parsed = environment().parse(template)
        asked = meta.find_undeclared_variables(parsed) - _own(parsed)
    except TemplateSyntaxError:
        return []
    known = sorted(name for name in asked if not _is_given(name))
    return [f"{name}: {_unknown(name, known)}" for name in names if name not in known]


def _own(parsed: Any) -> set[str]:
    """The names that a template sets by itself, whatever they were before."""
    from jinja2 import nodes

    names = {name.name for name in parsed.find_all(nodes.Name) if name.ctx == "store"}
    looks = [test for test in parsed.find_all(nodes.Test) if test.name in ("defined", "undefined")]
    looks += [each for each in parsed.find_all(nodes.Filter) if each.name in ("default", "d")]
    looked_at = {each.node.name for each in looks if isinstance(each.node, nodes.Name)}
    for assign in parsed.find_all(nodes.Assign):
        if isinstance(assign.target, nodes.Name):
            before = {each.name for each in assign.node.find_all(nodes.Name)}
            looked_at |= {assign.target.name} & before
    return names - looked_at


def _is_given(name: str) -> bool:
    return name in GIVEN or name.endswith("_token")


def _unknown(name: str, known: list[str]) -> str:
    if _is_given(name):
        return "every chat template is given that; remove it"
    if not known:
        return "the chat template takes no keywords; remove it"
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.5)
    meant = f"did you mean {near[0]}?" if near else f"it knows {', '.join(known)}"
    return f"the chat template knows no such keyword; {meant}"


def environment() -> Any:
    """Jinja as transformers sets it up for chat templates, without the seconds of importing it."""
    from jinja2.exceptions import TemplateError
    from jinja2.ext import Extension, loopcontrols
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks what the assistant says; here it only lets it through."""

        tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            next(parser.stream)
            return parser.parse_statements(("name:endgeneration",), drop_needle=True)

    def raise_exception(message: str) -> None:
        raise TemplateError(message)

    def tojson(value: Any, ensure_ascii: bool = False, **options: Any) -> str:
        return json.dumps(value, ensure_ascii=ensure_ascii, **options)

    made = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    made.filters["tojson"] = tojson
    made.globals["raise_exception"] = raise_exception
    made.globals["strftime_now"] = lambda form: datetime.now().strftime(form)
    return made
