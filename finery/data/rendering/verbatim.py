"""Whether a chat template only ever prints what is said, and decides nothing by it.

Then conversations of one shape differ in the printed words alone, and one of them, rendered once,
tells how all of them are rendered. Proven by following the words through the template: whatever
is not understood here counts as a decision.
"""

from typing import Any

from jinja2 import nodes

WORDS, MESSAGES, PLAIN = "words", "messages", "plain"
Kinds = dict[str, str]
ABOUT_TYPES = {"defined", "undefined", "none", "string", "mapping", "sequence", "iterable"}


class _Undecided(Exception):
    """The template may decide something by the words, or do more with them than to print them."""


def prints_words_only(template: Any) -> bool:
    """Whether a parsed template (`Environment.parse`) prints words as they are, or trimmed.

    It holds for messages of a `role` and a `content` that is a string, without tools.
    """
    kinds: Kinds = {"messages": MESSAGES}
    try:
        before = None
        while kinds != before:  # until what an earlier turn of a loop has set is known to a later
            before = dict(kinds)
            _follow(template.body, kinds)
    except _Undecided:
        return False
    return True


def _follow(body: list[nodes.Node], kinds: Kinds) -> None:
    for node in body:
        match node:
            case nodes.Output(nodes=parts):
                for part in parts:
                    if _kind(part, kinds) == MESSAGES:
                        raise _Undecided
            case nodes.If(test=test, body=then, elif_=others, else_=otherwise):
                _decide(test, kinds)
                _follow([*then, *others, *otherwise], kinds)
            case nodes.For(target=nodes.Name(name=name), iter=turns, body=inner, else_=otherwise):
                if node.recursive or (kind := _kind(turns, kinds)) == WORDS:
                    raise _Undecided
                _set(name, kind, kinds)
                if node.test is not None:
                    _plain(node.test, kinds)
                _follow([*inner, *otherwise], kinds)
            case nodes.Assign(target=nodes.Name(name=name), node=value):
                _set(name, _kind(value, kinds), kinds)
            case nodes.Assign(target=nodes.NSRef(name=name, attr=attr), node=value):
                _set(f"{name}.{attr}", _kind(value, kinds), kinds)
            case _:
                raise _Undecided


def _set(name: str, kind: str, kinds: Kinds) -> None:
    """A name that may hold words at some time counts as words at any time."""
    known = kinds.get(name, kind)
    if known != kind and MESSAGES in (known, kind):
        raise _Undecided
    kinds[name] = WORDS if WORDS in (known, kind) else kind


def _decide(test: nodes.Node, kinds: Kinds) -> None:
    if _kind(test, kinds) == WORDS:
        raise _Undecided


def _kind(node: nodes.Node, kinds: Kinds) -> str:
    """What an expression holds: words that are said, messages, or what does not depend on them."""
    match node:
        case nodes.Const() | nodes.TemplateData():
            return PLAIN
        case nodes.Name(name=name) if not any(known.startswith(f"{name}.") for known in kinds):
            return kinds.get(name, PLAIN)
        case nodes.Name():  # a namespace under another name would hide what is in it
            raise _Undecided
        case nodes.Getattr(node=nodes.Name(name="loop"), attr="previtem" | "nextitem"):
            return MESSAGES
        case nodes.Getattr(node=nodes.Name(name=name), attr=attr) if f"{name}.{attr}" in kinds:
            return kinds[f"{name}.{attr}"]
        case nodes.Getattr(node=inner, attr=attr):
            return _item(_kind(inner, kinds), attr)
        case nodes.Getitem(node=inner, arg=nodes.Const(value=value)):
            return _item(_kind(inner, kinds), value)
        case nodes.Getitem(node=inner, arg=arg):
            _plain(arg, kinds)
            return _item(_kind(inner, kinds), 0)
        case nodes.Filter(node=nodes.Node() as inner, name="trim", args=[], kwargs=[]):
            return _said(inner, kinds)
        case nodes.Call(node=nodes.Getattr(node=inner, attr="strip"), args=[], kwargs=[]):
            return _said(inner, kinds)
        case nodes.Call(node=nodes.Getattr(node=inner)) if _kind(inner, kinds) != PLAIN:
            raise _Undecided
        case nodes.Filter(node=nodes.Node() as inner, name="length" | "count", args=[], kwargs=[]):
            _decide(inner, kinds)
            return PLAIN
        case nodes.Test(node=inner, name=name) if name in ABOUT_TYPES:
            _kind(inner, kinds)
            return PLAIN
        case nodes.Add(left=left, right=right):
            return _joined([left, right], kinds)
        case nodes.Concat(nodes=parts):
            return _joined(parts, kinds)
        case nodes.And(left=left, right=right) | nodes.Or(left=left, right=right):
            _decide(left, kinds)
            _decide(right, kinds)
            return MESSAGES if MESSAGES in (_kind(left, kinds), _kind(right, kinds)) else PLAIN
        case nodes.Not(node=inner):
            _decide(inner, kinds)
            return PLAIN
        case nodes.CondExpr(test=test, expr1=then, expr2=otherwise):
            _decide(test, kinds)
            return _joined([then, *([otherwise] if otherwise else [])], kinds)
    for child in node.iter_child_nodes():
        _plain(child, kinds)
    return PLAIN


def _item(kind: str, key: object) -> str:
    if kind == WORDS:
        raise _Undecided
    if kind == PLAIN or not isinstance(key, str):
        return kind
    if hasattr(dict, key) or hasattr(list, key):
        raise _Undecided
    return WORDS if key == "content" else PLAIN


def _said(node: nodes.Node, kinds: Kinds) -> str:
    if (kind := _kind(node, kinds)) == MESSAGES:
        raise _Undecided
    return kind


def _joined(parts: list[nodes.Node], kinds: Kinds) -> str:
    found = {_said(part, kinds) for part in parts}
    return WORDS if WORDS in found else PLAIN


def _plain(node: nodes.Node, kinds: Kinds) -> None:
    if _kind(node, kinds) != PLAIN:
        raise _Undecided
