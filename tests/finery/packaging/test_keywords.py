"""A package renders as its model was trained, and otherwise only if it is told to."""

import json
from typing import Any

import pytest
from jinja2.sandbox import ImmutableSandboxedEnvironment

from finery.packaging.keywords import trained_keywords, with_defaults

VALUES = {
    "flag": False,
    "nothing": None,
    "count": 3,
    "share": -0.5,
    "words": "Say \"hi\"\n — 你好 {{ no }} 😀 \\ 'x'",
    "nested": {"a b": [True, None, {"c": "{% d %}"}]},
}
JINJA: Any = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)


@pytest.mark.parametrize("name", VALUES)
def test_a_value_of_any_kind_comes_back(name: str):
    value = VALUES[name]
    template = with_defaults("{{ x | tojson }}|{{ x is defined }}", {"x": value})
    shown, defined = JINJA.from_string(template).render().rsplit("|", 1)
    assert (json.loads(shown.encode().decode()), defined) == (value, "True")
    assert JINJA.from_string(template).render(x=17) == "17|True"


@pytest.mark.parametrize(
    "template",
    ["{{ x }}", "\n{{ x }}", "  {% if true %}\n{{ x }}{% endif %}", "{%- if x %}{% endif %}"],
)
def test_nothing_else_is_printed(template: str):
    alone, with_default = template, with_defaults(template, {"x": 1, "y": "2"})
    assert JINJA.from_string(with_default).render() == JINJA.from_string(alone).render(x=1)


def test_macros_and_loops_see_it():
    template = (
        "{% macro f() %}{{ x }}{% endmacro %}{% for i in [1, 2] %}{{ f() }}{{ x }}{% endfor %}"
    )
    assert JINJA.from_string(with_defaults(template, {"x": 3})).render() == "3333"


def test_without_keywords_a_template_stays_as_it_is():
    assert with_defaults("{{ messages }}", {}) == "{{ messages }}"


def test_the_keywords_are_those_of_the_last_step():
    first, last = {"chat_template_kwargs": {"think": True}}, {"chat_template_kwargs": {"a": 1}}
    assert trained_keywords({"prepare@sft": first, "train@sft": {}, "prepare@dpo": last}) == {
        "a": 1
    }
    assert trained_keywords({"prepare@sft": first, "prepare@dpo": {}}) == {}
    assert trained_keywords({"download": {}}) == {}
