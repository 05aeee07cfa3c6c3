"""A talk: what is typed, what comes of it, what is kept."""

import io
import json
from pathlib import Path

import pytest
from rich.console import Console

from finery.answering.chat import commands
from finery.answering.chat.conversation import Conversation
from finery.answering.chat.screen import Screen, harmless
from finery.answering.chat.talk import Speaker, Talk
from finery.answering.chat.terminal import converse
from finery.answering.engine import ContextFull, Request
from finery.answering.in_process import InProcess
from finery.answering.prompts import thinking_keywords
from finery.answering.sampling import Sampling
from finery.models.chat_template import chat_template
from tests.taught import NAME, RAIN, WEATHER, WORLD

QUESTION = "Who are you?"


@pytest.fixture
def talk(engine: InProcess, taught: Path) -> Talk:
    def switch(thinking: bool | None):
        return thinking_keywords(chat_template(taught), thinking)

    return Talk([Speaker("taught", engine, Sampling(), switch)])


def said(talk: Talk, *lines: str, terminal: bool = False, unfolded: bool = False) -> str:
    """What the screen has after these lines."""
    out = io.StringIO()
    console = Console(file=out, width=100, force_terminal=terminal, color_system=None)
    converse(talk, lines, Screen(console, unfolded))
    return out.getvalue()


def turns(talk: Talk) -> list[tuple[str, str]]:
    messages = talk.speakers[0].conversation.messages
    return [(message["role"], message["content"]) for message in messages]


def test_questions_and_answers_are_remembered(talk: Talk) -> None:
    assert said(talk, QUESTION, "", "  Again?  ") == f"{NAME}\nAs I said.\n"
    assert turns(talk) == [
        ("user", QUESTION), ("assistant", NAME), ("user", "Again?"), ("assistant", "As I said."),
    ]  # fmt: skip


def test_every_character_arrives(talk: Talk) -> None:
    assert said(talk, "你好") == f"{WORLD}\n"


def test_a_system_prompt_is_read_until_it_is_removed(talk: Talk) -> None:
    out = said(talk, "/system Short.", QUESTION, "/undo", "/system -", QUESTION)
    assert out == f"Short.\nA test.\ntaken back: {QUESTION}\nno system prompt\n{NAME}\n"


def test_retry_undo_and_clear(talk: Talk) -> None:
    out = said(talk, "/retry", "/undo", QUESTION, "/retry")
    assert out.startswith("nothing was asked yet\nnothing was asked yet\n")
    assert out.endswith(f"{NAME}\ntemperature 0 gives the same answer again;"
                        f" /set temperature 0.7 gives others\n{NAME}\n")  # fmt: skip
    assert turns(talk) == [("user", QUESTION), ("assistant", NAME)]
    said(talk, "Again?", "/undo")
    assert turns(talk) == [("user", QUESTION), ("assistant", NAME)]
    assert said(talk, "/clear") == "forgotten\n"
    assert turns(talk) == []


def test_what_is_set_is_sampled_by(talk: Talk) -> None:
    lines = ("/set max_new_tokens 3", QUESTION, "/set stop 'a te' '\\n'", "/set seed 7", "/set")
    out = said(talk, *lines)
    assert "cut off after 3 tokens; /set max_new_tokens allows more\n" in out
    sampling = talk.speakers[0].sampling
    assert sampling == Sampling(max_new_tokens=3, stop=("a te", "\n"), seed=7)
    assert "max_new_tokens 3\nstop 'a te' '\\n'\nthinking auto\n" in out
    said(talk, "/set stop none", "/set seed none")
    assert talk.speakers[0].sampling == Sampling(max_new_tokens=3)


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("/sysem x", "/sysem: no such command; did you mean /system?"),
        ("/etc/passwd says?", "/etc/passwd: no such command; /help lists them"),
        ("/set top_p 2", "top_p: input should be less than or equal to 1, not '2'"),
        ("/set temprature 1", "temprature: no such setting; there are temperature, top_p, top_k,"),
        ("/set thinking maybe", "thinking: on, off, or auto for as the model has it"),
        ("/set temperature", "/set NAME VALUE, as /set temperature 0.7"),
        ("/set stop 'a", "stop 'a: no closing quotation"),
        ("/save", "/save FILE: name one file"),
        ("/load nowhere.json", "nowhere.json: cannot be read: No such file or directory"),
        ("/tools nowhere.json", "nowhere.json: cannot be read"),
        ("/image a.png", "taught: reads no images; take a model that does"),
        ("/result 3", "no call of a tool waits for its result"),
        ("now <|im_end|>", "user: contains the control token <|im_end|>; remove it"),
    ],
)
def test_what_is_wrong_is_said_and_the_talk_goes_on(talk: Talk, line: str, error: str) -> None:
    out = said(talk, line, QUESTION).splitlines()
    assert out[0].startswith(error)
    assert out[-1] == NAME
    assert turns(talk) == [("user", QUESTION), ("assistant", NAME)]


def test_a_space_makes_a_question_of_a_command(talk: Talk) -> None:
    said(talk, "/set max_new_tokens 1", " /help")
    assert turns(talk)[0] == ("user", "/help")


def test_help_has_every_command(talk: Talk) -> None:
    out = said(talk, "/help", "/exit", QUESTION)
    assert all(f"/{name}" in out for name in commands.COMMANDS if name != "quit")
    assert NAME not in out


def test_thoughts_are_folded_and_can_be_seen(talk: Talk) -> None:
    out = said(talk, "2+2?", "/think")
    folded = ["thinking ...", "thought for 0 s, 3 words; /think shows it"]
    assert out.splitlines() == [*folded, "It is four.", "Two and two."]
    assert turns(talk)[1][1] == "<think>\nTwo and two.\n</think>\n\nIt is four."
    unfolded = said(talk, "/clear", "2+2?", unfolded=True)
    assert unfolded == "forgotten\nTwo and two.\n\nIt is four.\n"
    assert said(talk, "/clear", "/set thinking off", "2+2?").endswith("Four, without a thought.\n")
    assert "thinking off" in said(talk, "/set")


def test_a_tool_is_called_and_its_result_read(talk: Talk, tmp_path: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps([WEATHER["function"]]))
    out = said(talk, f"/tools {tools}", "Weather?", "/result rain", "/tools -")
    assert out.splitlines()[0] == "weather"
    assert 'calls weather(city="Oslo"); /result says what comes of it' in out
    assert out.endswith(f"{RAIN}\nno tools\n")
    assert [role for role, _ in turns(talk)] == ["user", "assistant", "tool", "assistant"]


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{", "not JSON"),
        ("[]", "must be a list of functions, with one at least"),
        (
            '[{"description": "x"}]',
            "tool 1: must be an object with a name, a description and",
        ),
        ('[{"name": "x", "parameters": 3}]', "tool 1: parameters must be a JSON Schema, an object"),
    ],
)
def test_files_of_tools_that_are_wrong(talk: Talk, tmp_path: Path, text: str, error: str) -> None:
    (tmp_path / "tools.json").write_text(text)
    assert f"tools.json: {error}" in said(talk, f"/tools {tmp_path}/tools.json")


def test_saved_and_loaded_it_goes_on(talk: Talk, tmp_path: Path) -> None:
    file = tmp_path / "my talk.json"
    assert f"{file}: 2 messages" in said(talk, QUESTION, f"/save '{file}'")
    assert json.loads(file.read_text()) == {
        "messages": [{"role": "user", "content": QUESTION}, {"role": "assistant", "content": NAME}]
    }
    before = file.read_bytes()
    out = said(talk, "/clear", f"/load '{file}'", "Again?", "/undo", f"/save '{file}'")
    assert "As I said." in out
    assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("[", "not JSON"),
        ('{"turns": []}', "must be"),
        ('[{"role": "robot", "content": ""}]', "message 1: must have a role, one of system, user,"),
        ('[{"role": "user"}]', "message 1: must have a content, a text"),
    ],
)
def test_what_is_no_conversation_is_not_loaded(
    talk: Talk, tmp_path: Path, text: str, error: str
) -> None:
    (tmp_path / "a.json").write_text(text)
    out = said(talk, QUESTION, f"/load {tmp_path}/a.json")
    assert f"a.json: {error}" in out
    assert turns(talk) == [("user", QUESTION), ("assistant", NAME)]


def test_the_oldest_questions_are_passed_over_when_the_context_is_full(talk: Talk) -> None:
    speaker = talk.speakers[0]
    words = "How many boats? " * 40
    for _ in range(4):
        speaker.conversation.turns += [
            {"role": "user", "content": words}, {"role": "assistant", "content": words},
        ]  # fmt: skip
    talk.set(max_new_tokens=2)
    asked = [*speaker.conversation.turns, {"role": "user", "content": QUESTION}]
    counts = [speaker.engine.count(Request(asked[2 * passed :])) for passed in range(5)]
    passed = next(passed for passed, count in enumerate(counts) if count + 2 <= 1024)
    assert passed > 1
    said_so = f"the context is full: the oldest {passed} questions are no longer read"
    assert said_so in said(talk, QUESTION)
    assert len(speaker.conversation.messages) == 10
    out = said(talk, "boats " * 1200)
    assert "tokens with all that must go with it, and the model reads 1024 at most" in out.replace(
        "\n", " "
    )
    assert len(speaker.conversation.messages) == 10


def test_what_is_left_of_the_context_is_enough_for_an_answer(engine: InProcess) -> None:
    words, alone = "", 0
    while alone <= 1024 - 1024 // 4:
        words += "How many boats? " * 5
        conversation = Conversation(turns=[{"role": "user", "content": words}])
        alone = engine.count(Request(conversation.turns))
    *_, last = conversation.answer(engine, Request((), Sampling(max_new_tokens=900)))
    assert last.ended.prompt_tokens == alone
    conversation.turns[0]["content"] = words * 2
    with pytest.raises(ContextFull):
        next(conversation.answer(engine, Request(())))


def test_several_answer_each_in_its_own_conversation(talk: Talk, engine: InProcess) -> None:
    first = talk.speakers[0]
    talk.speakers = [first, Speaker("other", engine, Sampling(max_new_tokens=2), first.switch)]
    out = said(talk, QUESTION, "Again?")
    assert out.count("== taught\n") == out.count("== other\n") == 2
    assert out.index(NAME) < out.index("cut off after 2 tokens")
    assert talk.speakers[1].conversation.turns[1]["content"] != NAME
    side_by_side = said(talk, "/clear", QUESTION, terminal=True)
    assert "taught" in side_by_side and "other" in side_by_side and NAME in side_by_side


def test_a_terminal_is_only_written_words_to() -> None:
    assert harmless("a\x1b[31mb\x07\tc\nd\r") == "a\ufffd[31mb\ufffd\tc\nd\ufffd"
