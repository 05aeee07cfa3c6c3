"""What templates do to thinking, tools and whole turns: counted as it is rendered, or refused."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from finery.data.formats.examples import Example, Message
from finery.data.rendering.chat import Renderer
from finery.data.rendering.samples import Sample
from finery.data.rendering.template import TemplateError

from . import families
from .families import FAMILIES, QWEN3, Family

TOOLS = Path(__file__).parents[4] / "templates/chatml_tools.jinja"
TOOL = {
    "type": "function",
    "function": {
        "name": "boats",
        "description": "Counts boats.",
        "parameters": {"type": "object", "properties": {"harbour": {"type": "string"}}},
    },
}


def user(words: str) -> Message:
    return {"role": "user", "content": words}


def assistant(words: str, **more: Any) -> Message:
    return {"role": "assistant", "content": words} | more


def call(words: str = "") -> Message:
    function = {"name": "boats", "arguments": {"harbour": "East"}}
    return assistant(words, tool_calls=[{"type": "function", "function": function}])


@pytest.fixture(scope="module")
def core() -> Any:
    return families.byte_level()


def result(core: Any, template: str, *messages: Message, **more: Any) -> Any:
    """What becomes of a conversation with a template of ChatML's control tokens."""
    options = {key: more.pop(key) for key in ("mask_history",) if key in more}
    family = Family(template, lambda a, _: a, "<|im_start|>", "<|im_end|>")
    tokenizer = families.tokenizer(core, family)
    (made,) = Renderer(tokenizer, **options).encode([Example("d", 7, messages, **more)])
    if isinstance(made, Sample):
        return tokenizer.decode(made.labels[made.labels >= 0])
    assert (made.row, made.kind) == (7, "template") and "\n" not in made.problem
    return made.problem


def test_thinking_is_counted_where_it_is_rendered(core: Any):
    first, last = assistant("One.", reasoning_content="Hm."), assistant("Two.")
    thought = "<think>\nSo.\n</think>\n\nTwo."
    assert result(core, QWEN3, user("?"), first) == "<think>\nHm.\n</think>\n\nOne.<|im_end|>"
    assert result(core, QWEN3, user("?"), assistant(thought)) == f"{thought}<|im_end|>"
    # The template writes no thinking in earlier turns. Where there was none in the last, it writes
    # an empty block, which is nothing that the data has the model write.
    assert result(core, QWEN3, user("?"), first, user("?"), assistant(thought)) == (
        f"One.<|im_end|>{thought}<|im_end|>"
    )
    assert result(core, QWEN3, user("?"), first, user("?"), last) == (
        "One.<|im_end|>Two.<|im_end|>"
    )


def test_calls_of_tools_are_counted_and_their_results_are_not(core: Any):
    called = '<tool_call>\n{"name": "boats", "arguments": {"harbour": "East"}}\n</tool_call>'
    answer = {"role": "tool", "content": "boats: 3"}
    chat = (user("How many boats?"), call("I count."), answer, assistant("Three."))
    # Qwen 3 writes no thinking into a call that is not the last turn, though it would if it were.
    assert result(core, QWEN3, *chat, tools=(TOOL,)) == (
        f"I count.\n{called}<|im_end|>Three.<|im_end|>"
    )
    assert result(core, QWEN3, *chat[:2], tools=(TOOL,)) == (f"I count.\n{called}<|im_end|>")


def test_a_call_may_end_in_a_token_of_its_own(core: Any):
    ends = "{{ '<|im_end|>\n' }}{% elif"
    assert ends in QWEN3
    template = QWEN3.replace(ends, "{{ '<|end|>\n' if m.tool_calls else '<|im_end|>\n' }}{% elif")
    counted = result(core, template, user("?"), call("I count."), tools=(TOOL,))
    assert counted.endswith("</tool_call><|end|>")


def test_arguments_of_a_call_as_a_template_wants_them(core: Any):
    wants_text = QWEN3.replace("c.function.arguments | tojson", "'' + c.function.arguments")
    assert result(core, wants_text, user("?"), call(), tools=(TOOL,)) == (
        result(core, QWEN3, user("?"), call(), tools=(TOOL,))
    )


def test_the_template_for_tools_that_finery_brings(core: Any):
    template = TOOLS.read_text(encoding="utf-8")
    results = [{"role": "tool", "content": f"boats: {count}"} for count in (3, 4)]
    chat = user("How many boats?"), call("I count."), *results, assistant("Three or four.")
    called = '<tool_call>\n{"name": "boats", "arguments": {"harbour": "East"}}\n</tool_call>'
    assert result(core, template, *chat, tools=(TOOL,)) == (
        f"I count.\n{called}<|im_end|>Three or four.<|im_end|>"
    )
    tokenizer = families.tokenizer(core, Family(template, lambda a, _: a, eos="<|im_end|>"))
    system = {"role": "system", "content": "Be brief."}
    (prompt,) = Renderer(tokenizer).prompts([Example("d", 1, (system, *chat), (TOOL,))])
    text = tokenizer.decode(prompt)
    assert text.startswith("<|im_start|>system\nBe brief.\n\n# Tools\n")
    assert json.dumps(TOOL) in text
    assert text.endswith(
        "<|im_end|>\n<|im_start|>user\n<tool_response>\nboats: 3\n</tool_response>\n"
        "<tool_response>\nboats: 4\n</tool_response><|im_end|>\n<|im_start|>assistant\n"
    )


def test_without_tools_it_is_chatml(core: Any):
    chat = {"role": "system", "content": "S"}, user("?"), assistant("A"), user("!"), assistant("B")
    for messages in (chat, chat[1:], chat[1:3]):
        rendered = []
        for template in (CHATML, TOOLS.read_text(encoding="utf-8")):
            tokenizer = families.tokenizer(core, Family(template, lambda a, _: a))
            (sample,) = Renderer(tokenizer).encode([Example("d", 1, messages)])
            rendered.append(sample.input_ids.tolist())
        assert rendered[0] == rendered[1]


CHATML = FAMILIES["ChatML (Qwen 1.5)"].template
LAST_TWO = "{% for m in messages[-2:] %}{{ m.role }}: {{ m.content }}\n{% endfor %}"
NO_ANSWERS = "{% for m in messages if m.role == 'user' %}{{ m.content }}\n{% endfor %}"
NO_QUESTIONS = CHATML.replace("for m in messages", "for m in messages if m.role != 'user'")
NO_SYSTEM = CHATML.replace("for m in messages", "for m in messages if m.role != 'system'")
BACKWARDS = CHATML.replace("for m in messages", "for m in messages | reverse")
CAPITALS = CHATML.replace("m.content", "m.content | upper")
SHORT = CHATML.replace("m.content", "m.content[-12:]")
OPENS_THINKING = CHATML.replace("assistant\n' }}", "assistant\n<think>\n' }}")
END_OF_LAST = CHATML + "{% if not add_generation_prompt %}{{ ' (end)' }}{% endif %}"
LAST_ENDS_OTHERWISE = (
    "{% for m in messages %}{{ m.role + ':\n' + m.content }}"
    "{{ '!' if loop.last and m.role == 'assistant' else ';' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %}"
)
CHANGES = "the chat template changes earlier turns of a conversation; use one turn a row"
WORDS = "the chat template leaves out the assistant's words"


@pytest.mark.parametrize(
    "template, turns, said",
    [
        (LAST_TWO, 2, WORDS),
        (LAST_ENDS_OTHERWISE, 2, CHANGES),
        (NO_ANSWERS, 1, WORDS),
        (SHORT, 1, "the chat template changes the assistant's words"),
        (CAPITALS, 1, WORDS),
        (NO_QUESTIONS, 1, "the chat template leaves out turn 1 (user)"),
        (BACKWARDS, 1, CHANGES),
        (OPENS_THINKING, 2, "the chat template prompts for turn 2 with '<think>\\n' and writes it"),
        ("{{ messages[0].content.nothing.here }}", 1, "the chat template refuses it: "),
        ("{{ messages[0].content + 1 }}", 1, "the chat template fails on it: "),
    ],
)
def test_templates_that_cannot_be_masked_are_refused(
    core: Any, template: str, turns: int, said: str
):
    chat = [user("The first question?"), assistant("The first answer.")] * turns
    assert result(core, template, *chat).startswith(said)


def test_a_template_that_is_not_jinja_is_refused_at_once(core: Any):
    with pytest.raises(TemplateError, match=r"^the chat template is not Jinja: line 1: ") as caught:
        result(core, "{{ messages[0].content", user("?"), assistant("A."))
    assert "\n" not in str(caught.value)


def test_the_last_turn_alone_needs_no_earlier_ones_unchanged(core: Any):
    chat = user("?"), assistant("One."), user("?"), assistant("Two.")
    assert result(core, LAST_ENDS_OTHERWISE, *chat, mask_history=True) == "Two.!"
    assert result(core, LAST_ENDS_OTHERWISE, *chat[:2]) == "One.!"


def test_what_follows_the_last_turn_alone_is_no_part_of_it(core: Any):
    chat = user("?"), assistant("One."), user("?"), assistant("Two.")
    assert result(core, END_OF_LAST, *chat) == "One.<|im_end|>Two.<|im_end|>"


def test_losses_besides_the_answers_are_refused(core: Any):
    system = {"role": "system", "content": "Be brief."}
    chat = user("?"), assistant("Yes.")
    assert result(core, NO_SYSTEM, *chat) == "Yes.<|im_end|>"
    assert result(core, NO_SYSTEM, system, *chat) == (
        "the chat template leaves out turn 1 (system)"
    )
    assert result(core, CHATML, *chat, tools=(TOOL,)).startswith(
        "the chat template has no place for tools"
    )
    assert result(core, CHATML, user("?"), assistant("A.", reasoning_content="Hm.")).startswith(
        "the chat template leaves out the thinking of the last turn"
    )


REAL = [file for file in files("trl.chat_templates").iterdir() if file.name.endswith(".jinja")]


@pytest.mark.parametrize("file", REAL, ids=lambda file: file.name)
def test_the_templates_that_trl_carries_are_exact_or_refused(core: Any, file: Any):
    template = file.read_text(encoding="utf-8")
    chat = user("Question 1?"), assistant("Answer 1."), user("Question 2?"), assistant("Answer 2.")
    for messages in (chat[:2], chat):
        counted = result(core, template, *messages)
        if "the chat template" in counted:
            continue
        answers = [message["content"] for message in messages[1::2]]
        assert [counted.count(answer) for answer in answers] == [1] * len(answers)
        assert "Question" not in counted and not counted.endswith(".")
    last = result(core, template, *chat, mask_history=True)
    assert ("Answer 2." in last and "Answer 1." not in last) or "the chat template" in last
