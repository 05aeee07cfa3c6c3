"""Which templates only print what is said; that the quick way renders alike is in test_masks.py."""

import pytest
from transformers.utils.chat_template_utils import _compile_jinja_template

from finery.data.rendering.verbatim import prints_words_only

CHATML = "{% for m in messages %}{{ '<s>' + m.role + m['content'] | trim ~ '</s>' }}{% endfor %}"


def verbatim(template: str) -> bool:
    return prints_words_only(_compile_jinja_template(template).environment.parse(template))


@pytest.mark.parametrize(
    "template",
    [
        "",
        CHATML,
        "{% for m in messages %}{{ m.content.strip() }}{% endfor %}",
        "{% if messages and messages[0].role == 'system' %}{% set system = messages[0].content %}"
        "{% set turns = messages[1:] %}{% else %}{% set system = 'Hi' %}{% set turns = messages %}"
        "{% endif %}{{ system }}{% for t in turns %}{{ t.content }}{% endfor %}",
        "{% set ns = namespace(text='', n=0) %}{% for m in messages %}"
        "{% if m.role == 'user' %}{% set ns.n = ns.n + 1 %}{% endif %}{% endfor %}"
        "{% for m in messages %}{% if ns.n == loop.index0 %}{{ m.content }}{% endif %}{% endfor %}",
        "{% for m in messages if m.role != 'system' %}{% if loop.index0 % 2 %}"
        "{{ raise_exception('no') }}{% endif %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{% if m.content is string and m.tool_calls is not defined %}"
        "{{ m.content if loop.first else bos_token + m.content }}{% endif %}{% endfor %}",
        "{% for m in messages %}{% if loop.last or messages | length > 2 %}{{ m.content }}"
        "{% endif %}{% endfor %}",
    ],
)
def test_words_are_printed(template: str):
    assert verbatim(template)


@pytest.mark.parametrize(
    "template",
    [
        "{% for m in messages %}{% if 'x' in m.content %}a{% endif %}{% endfor %}",
        "{% for m in messages %}{% if m.content %}a{% endif %}{% endfor %}",
        "{% for m in messages %}{{ m.content if m.content == 'x' }}{% endfor %}",
        "{% for m in messages %}{{ m.content | upper }}{% endfor %}",
        "{% for m in messages %}{{ m.content | trim('x') }}{% endfor %}",
        "{% for m in messages %}{{ m.content.split('</think>')[-1] }}{% endfor %}",
        "{% for m in messages %}{{ m.content.strip('x') }}{% endfor %}",
        "{% for m in messages %}{{ m.content[:5] }}{% endfor %}",
        "{% for m in messages %}{{ m.content | length }}{% endfor %}",
        "{% for m in messages %}{{ m.content * 2 }}{% endfor %}",
        "{% for m in messages %}{{ m.content is in 'abc' }}{% endfor %}",
        "{% for m in messages %}{% for c in m.content %}{{ c }}{% endfor %}{% endfor %}",
        "{% for m in messages if m.content %}{{ m.content }}{% endfor %}",
        "{% for m in messages %}{{ m }}{% endfor %}",
        "{% for key in messages[0] %}{{ key }}{% endfor %}",
        "{% for key, value in messages[0].items() %}{{ value }}{% endfor %}",
        "{{ messages | tojson }}",
        "{{ messages[0].get('content') == 'x' }}",
        "{{ messages[0].get }}",
        "{% set key = 'cont' + 'ent' %}{{ messages[0][key] == 'x' }}",
        "{% set first = messages[0] %}{% if first.content == 'x' %}a{% endif %}",
        "{% set text = '' %}{% for m in messages %}{% if text == 'x' %}a{% endif %}"
        "{% set text = m.content %}{% endfor %}",
        "{% set ns = namespace(a='') %}{% for m in messages %}{% if ns.a == 'x' %}b{% endif %}"
        "{% set ns.a = m.content %}{% endfor %}",
        "{% set ns = namespace(a='') %}{% set other = ns %}{% set ns.a = messages[0].content %}"
        "{% if other.a == 'x' %}b{% endif %}",
        "{% for m in messages %}{% if loop.previtem.content == 'x' %}a{% endif %}{% endfor %}",
        "{% for m in messages %}{% if loop.changed(m.content) %}a{% endif %}{% endfor %}",
        "{% macro said(m) %}{{ m.content }}{% endmacro %}{{ said(messages[0]) }}",
        "{% filter upper %}{{ messages[0].content }}{% endfilter %}",
        "{% set x %}{{ messages[0].content }}{% endset %}{{ x == 'x' }}",
        "{{ messages | map(attribute='content') | join }}",
        "{{ (messages | selectattr('content') | list | length) }}",
        "{{ messages == [] }}",
    ],
)
def test_whatever_more_is_done_is_a_decision(template: str):
    assert not verbatim(template)
