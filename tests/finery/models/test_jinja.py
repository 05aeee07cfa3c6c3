"""Which keywords a chat template looks at."""

import pytest

from finery.models.jinja import unknown_keywords


@pytest.mark.parametrize(
    "template",
    [
        "{{ think }}",
        "{% if think is defined and think %}x{% endif %}",
        "{% set think = think | default(true) %}{{ think }}",
        "{% if think is not defined %}{% set think = true %}{% endif %}{{ think }}",
        "{% set think = think or 'auto' %}",
        "{% macro f() %}{{ think }}{% endmacro %}{{ f() }}",
        "{% for m in messages %}{% generation %}{{ think }}{% endgeneration %}{% endfor %}",
    ],
)
def test_a_keyword_that_the_template_looks_at(template: str):
    assert unknown_keywords(template, ["think"]) == []


@pytest.mark.parametrize(
    "template, name, said",
    [
        ("{{ messages }}{{ bos_token }}", "think", "the chat template takes no keywords"),
        ("{% set think = 1 %}{{ think }}", "think", "the chat template takes no keywords"),
        ("{% for think in messages %}{{ think }}{% endfor %}", "think", "the chat template takes"),
        ("{% if tools %}{% set turns = 1 %}{% endif %}{{ turns }}", "turns", "the chat template t"),
        ("{{ enable_thinking }}", "enable_thinkng", "the chat template knows no such keyword; did"),
        ("{{ effort }}{{ think }}", "zzz", "the chat template knows no such keyword; it knows ef"),
        ("{{ messages }}", "messages", "every chat template is given that; remove it"),
        ("{{ eos_token }}", "eos_token", "every chat template is given that; remove it"),
    ],
)
def test_a_keyword_that_it_does_not(template: str, name: str, said: str):
    (problem,) = unknown_keywords(template, [name])
    assert problem.startswith(f"{name}: {said}")


def test_what_is_no_jinja_is_said_where_it_is_rendered():
    assert unknown_keywords("{{ think", ["think"]) == []
