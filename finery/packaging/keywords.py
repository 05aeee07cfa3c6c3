"""The keywords that a model was trained with become the defaults of its package's chat template.

Whoever serves it then renders as it was trained without being told; a request may say otherwise,
by `apply_chat_template(..., enable_thinking=True)` or a server's `chat_template_kwargs`.
"""

import json
from collections.abc import Mapping
from typing import Any

from finery import lineage

WORDS = {None: "none", True: "true", False: "false"}


def trained_keywords(records: Mapping[str, Any]) -> dict[str, Any]:
    """What the chat template was given when the last step of a training was prepared."""
    *_, last = [{}, *lineage.of(records, "prepare").values()]
    return last.get("chat_template_kwargs", {})


def with_defaults(template: str, keywords: Mapping[str, Any]) -> str:
    """The chat template with values for keywords that it is not given; as it is without any.

    They stand on a line of their own, of which Jinja leaves nothing as it is set up for chat
    templates (`trim_blocks`).
    """
    defaults = "".join(
        f"{{% if {name} is not defined %}}{{% set {name} = {_jinja(value)} %}}{{% endif %}}"
        for name, value in keywords.items()
    )
    return f"{defaults}\n{template}" if defaults else template


def _jinja(value: Any) -> str:
    """A JSON value as Jinja writes it."""
    if isinstance(value, dict):
        pairs = (f"{json.dumps(key, ensure_ascii=False)}: {_jinja(v)}" for key, v in value.items())
        return f"{{{', '.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{', '.join(map(_jinja, value))}]"
    if value is None or isinstance(value, bool):
        return WORDS[value]
    return json.dumps(value, ensure_ascii=False)
