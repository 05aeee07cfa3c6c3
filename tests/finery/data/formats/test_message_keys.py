"""What a message holds beside who says what is honoured, said or refused, in each format."""

import json
from pathlib import Path
from typing import Any

import pytest

from finery.data.formats.dataset import check_datasets, open_dataset, read_dataset
from finery.data.formats.examples import Example, Message
from finery.data.rows.bad_rows import BadRow

OPENAI_TAGS = {
    "role_tag": "role", "content_tag": "content", "user_tag": "user", "assistant_tag": "assistant",
    "observation_tag": "tool", "function_tag": "function", "system_tag": "system",
}  # fmt: skip
SHAREGPT = {"role": "from", "content": "value", "user": "human", "assistant": "gpt",
            "tool": "observation", "system": "system"}  # fmt: skip
FORMATS = ("sharegpt", "openai")
CALL = {"name": "add", "arguments": {"a": 1}}
CALLED = {"type": "function", "function": CALL}


def user(content: Any = "2+3?", **more: Any) -> Message:
    return {"role": "user", "content": content} | more


def answer(content: Any = "5", **more: Any) -> Message:
    return {"role": "assistant", "content": content} | more


def written(message: Message, formatting: str) -> Message:
    """A message as the format tags it."""
    if formatting == "openai":
        return message
    tagged = {SHAREGPT.get(key, key): value for key, value in message.items()}
    return tagged | {"from": SHAREGPT.get(message["role"], message["role"])}


def dataset(folder: Path, formatting: str, *messages: Message, **entry: Any) -> Path:
    """A dataset `d` of one row."""
    tags = {"tags": OPENAI_TAGS} if formatting == "openai" else {}
    entry = {"formatting": formatting, "columns": {"messages": "said"}} | tags | entry
    (folder / "dataset_info.json").write_text(json.dumps({"d": {"file_name": "d.json"} | entry}))
    said = [written(message, formatting) for message in messages]
    (folder / "d.json").write_text(json.dumps([{"said": said}]))
    return folder


def read(folder: Path, formatting: str, *messages: Message, **entry: Any) -> Any:
    (row,) = read_dataset(dataset(folder, formatting, *messages, **entry), "d", {"x": "X"})
    return row


@pytest.mark.parametrize("formatting", FORMATS)
@pytest.mark.parametrize("key", ["reasoning_content", "thinking", "reasoning"])
def test_thinking_goes_to_the_template(tmp_path: Path, formatting: str, key: str):
    row = read(tmp_path, formatting, user(), answer(**{key: "Two and {{x}}."}))
    assert row.messages[1] == answer(reasoning_content="Two and X.")
    both = {"reasoning": "Hm.", "reasoning_content": "Hm."}
    row = read(tmp_path, formatting, user(), answer(None, tool_calls=[CALLED], **both))
    assert row.messages[1] == answer("", tool_calls=[CALLED], reasoning_content="Hm.")
    assert (row.unread, row.uncounted) == ((), ())


@pytest.mark.parametrize("formatting", FORMATS)
@pytest.mark.parametrize("key", ["weight", "loss_weight", "loss", "train", "training", "trainable"])
def test_answers_that_do_not_count(tmp_path: Path, formatting: str, key: str):
    def uncounted(*marks: Any) -> Any:
        said = [{"role": "system", "content": "S", key: 0}]
        for mark in marks:
            said += [user(**{key: False}), answer(**{key: mark})]
        row = read(tmp_path, formatting, *said)
        assert isinstance(row, Example), row
        assert all(len(message) == 2 for message in row.messages)
        return row.uncounted

    assert uncounted(0, 1) == (2,) and uncounted(True, False, None, 0.0) == (4, 8)
    assert uncounted(1, None, 1.0, True) == ()


def test_indices_are_those_of_the_conversation_with_its_system_prompt(tmp_path: Path):
    turns = (user(), answer("6", weight=0), user(), answer())
    columns = {"columns": {"messages": "said", "system": "sys"}}
    folder = dataset(tmp_path, "sharegpt", *turns, **columns)
    (row,) = json.loads((folder / "d.json").read_text())
    for system, expected in (("Be kind.", (2,)), ("", (1,))):
        (folder / "d.json").write_text(json.dumps([row | {"sys": system}]))
        (example,) = read_dataset(folder, "d", {})
        assert isinstance(example, Example) and example.uncounted == expected
    empty = {"role": "system", "content": ""}
    assert read(tmp_path, "openai", empty, *turns).uncounted == (1,)


@pytest.mark.parametrize("formatting", FORMATS)
def test_a_content_in_parts_is_its_text(tmp_path: Path, formatting: str):
    parts = [{"type": "text", "text": "It "}, {"type": "text", "text": "is {{x}}.", "extra": None}]
    row = read(tmp_path, formatting, user([parts[0]]), answer(parts))
    assert row.messages == (user("It "), answer("It is X."))


@pytest.mark.parametrize("formatting", FORMATS)
def test_calls_of_tools_are_read(tmp_path: Path, formatting: str):
    result = {"role": "tool", "content": "5", "tool_call_id": "c1", "name": "add"}
    for calls in ({"tool_calls": [CALLED | {"id": "c1"}]}, {"function_call": CALL}):
        row = read(tmp_path, formatting, user(), answer(None, **calls), result, answer())
        called = row.messages[1]["tool_calls"][0]
        assert (called["function"], row.messages[2]) == (CALL, result)
        assert called.get("id") == ("c1" if "tool_calls" in calls else None)


def calling(text: str) -> Message:
    """A call that is written as text; only sharegpt's data has them."""
    return {"role": "function_call", "content": text}


def test_an_id_of_a_call_that_is_a_text(tmp_path: Path):
    said = json.dumps([CALL | {"id": "c1"}, CALL | {"id": None}])
    row = read(tmp_path, "sharegpt", user(), calling(said))
    assert row.messages[1]["tool_calls"] == [CALLED | {"id": "c1"}, CALLED]
    bad = read(tmp_path, "sharegpt", user(), calling(json.dumps(CALL | {"thought": "Add."})))
    assert isinstance(bad, BadRow)
    assert (bad.field, bad.kind) == ("said.1.value.thought", "unread-key")


REFUSED: list[tuple[list[Message], str, str, str]] = [
    ([user(), answer(weight=0.5)], "1.weight", "weight", "must be 0 or 1, not 0.5"),
    ([user(), answer(weight=2)], "1.weight", "weight", "must be 0 or 1, not 2"),
    ([user(), answer(loss="no")], "1.loss", "weight", 'must be 0 or 1, not "no"'),
    ([user(weight=1), answer()], "0.weight", "weight", "only answers are trained on; set it to 0"),
    ([user(train=True), answer()], "0.train", "weight", "only answers are trained on"),
    ([user(), answer(weight=1, train=False)], "1.train", "unread-key",
     "says something else than weight; keep one of them"),
    ([user(), answer(weight=0)], "", "weight", "no answer counts, all have the weight 0"),
    ([user(), answer(mask=1)], "1.mask", "unread-key", 'is not read; write "weight": 0 for an'),
    ([user(), answer(train_detail=[1])], "1.train_detail", "unread-key", 'is not read; write "we'),
    ([user(), answer(reasoning="a", thinking="b")], "1.reasoning", "unread-key",
     "says something else than thinking; keep one of them"),
    ([user(thinking="Hm."), answer()], "0.thinking", "unread-key", "only the assistant thinks"),
    ([user(), answer(thinking=True)], "1.thinking", "not-text", "must be a string, not true"),
    ([user(), answer(reasoning="{{y}}")], "1.reasoning", "unfilled-variable", "{{y}} has no value"),
    ([user(), answer(None, refusal="No.")], "1.refusal", "unread-key", "is not read; write what"),
    ([user(), answer(audio={"id": "a"})], "1.audio", "media", "holds audio, and only text"),
    ([user(images=["a.png"]), answer()], "0.images", "media", "holds images, and only text"),
    ([user(name="Ann"), answer()], "0.name", "unread-key", "is not read; write who speaks into"),
    ([user(), answer(tool_call_id="1")], "1.tool_call_id", "unread-key", "is not read; it belongs"),
    ([user(tool_calls=[CALLED]), answer()], "0.tool_calls", "unread-key", "is not read; only the"),
    ([user(), answer("", tool_calls=[CALLED], function_call=CALL)], "1.function_call", "unread-key",
     "is not read; only the assistant calls tools, and by tool_calls or function_call"),
    ([user(), answer(None, tool_calls=[CALLED | {"state": 1}])], "1.tool_calls.0.state",
     "unread-key", "is not read; remove it, or make it one of the arguments"),
    ([user(), answer(None, tool_calls=[{"function": CALL | {"thought": "a"}}])],
     "1.tool_calls.0.function.thought", "unread-key", "is not read; remove it"),
    ([user(), answer(None, tool_calls=[CALLED | {"id": 3}])], "1.tool_calls.0.id", "not-text",
     "must be a string, not 3"),
    ([user(), answer(None, tool_calls=[CALLED | {"type": "custom"}])], "1.tool_calls.0.type",
     "tool-json", 'must be "function", not "custom"'),
    ([user(), answer(None, tool_calls=[CALLED]), {"role": "tool", "content": "", "name": 3},
      answer()], "2.name", "not-text", "must be a string, not 3"),
    ([user(), answer(prefix=True)], "1.prefix", "unread-key", "is not read; remove it, or add"),
    ([user(), answer(edited=False)], "1.edited", "unread-key", "is not read; remove it, or add"),
    ([user([{"type": "image_url", "image_url": {}}]), answer()], "0.CONTENT.0", "media",
     'is of the type "image_url", and only text can be trained on; remove the row'),
    ([user(), answer([{"type": "thinking", "thinking": "a"}])], "1.CONTENT.0", "not-text",
     'is of the type "thinking", and only text can be trained on; write it as reasoning_content'),
    ([user(["a"]), answer()], "0.CONTENT.0", "not-an-object", "must be an object with type"),
    ([user([{"type": "text", "text": "a", "cache": 1}]), answer()], "0.CONTENT.0.cache",
     "unread-key", "is not read; remove it"),
]  # fmt: skip


@pytest.mark.parametrize("formatting", FORMATS)
@pytest.mark.parametrize("messages, place, kind, problem", REFUSED)
def test_what_is_not_read_is_refused(
    tmp_path: Path, formatting: str, messages: list, place: str, kind: str, problem: str
):
    bad = read(tmp_path, formatting, *messages)
    content = "content" if formatting == "openai" else "value"
    field = f"said.{place}".removesuffix(".").replace("CONTENT", content)
    assert isinstance(bad, BadRow) and (bad.row, bad.field, bad.kind) == (1, field, kind), bad
    assert bad.problem.startswith(problem) and "\n" not in bad.problem


def test_the_entry_that_passes_over_keys_is_in_the_error(tmp_path: Path):
    turns = (user(), answer(state="x", redacted=False, id=3))
    bad = read(tmp_path, "openai", *turns)
    assert str(bad) == (
        f"{tmp_path}/d.json: row 1: said.1.state: is not read; remove it, or add"
        ' "ignore": ["said.state", "said.redacted"] to its entry in dataset_info.json'
    )
    ignore = ["said.state", "said.redacted", "said.weight"]
    row = read(tmp_path, "openai", user(), answer(state="x", weight=0), ignore=ignore)
    assert isinstance(row, Example) and (row.unread, row.uncounted) == ((), ())


@pytest.mark.parametrize("formatting", FORMATS)
def test_what_says_nothing_is_passed_over(tmp_path: Path, formatting: str):
    empty = {"weight": None, "markdown": None, "text": "", "refusal": None, "tool_calls": [],
             "function_call": {"name": None, "arguments": None}, "audio": None, "mask": " ",
             "annotations": [], "name": None, "thinking": "", "images": "[]"}  # fmt: skip
    row = read(tmp_path, formatting, user(**empty), answer(**empty))
    assert row == Example("d", 1, (user(), answer()))


@pytest.mark.parametrize("formatting", FORMATS)
def test_what_is_about_a_message_is_said_once(tmp_path: Path, formatting: str, capsys):
    turns = [user(id=1, markdown="*a*"), answer(id=2, weight=1)]
    folder = dataset(tmp_path, formatting, *turns)
    (row,) = json.loads((folder / "d.json").read_text())
    (folder / "d.json").write_text(json.dumps([row, row]))
    assert check_datasets(folder, ["d"], None) == []
    assert capsys.readouterr().out.splitlines() == [
        "d: 2 rows, chat: all good",
        "d: not read: said.id in 2 rows, said.markdown in 2 rows;"
        ' "ignore" in its entry says that this is right',
    ]
    dataset(folder, formatting, *turns, ignore=["said.id"])
    assert check_datasets(folder, ["d"], None) == []
    assert "said.id" not in capsys.readouterr().out


def preference(folder: Path, formatting: str, **more: Any) -> Any:
    columns = {"messages": "said", "chosen": "yes", "rejected": "no"}
    dataset(folder, formatting, user(), ranking=True, columns=columns)
    (row,) = json.loads((folder / "d.json").read_text())
    for side, words in (("yes", "5"), ("no", "6")):
        row[side] = written(answer(words, **more.get(side, {})), formatting)
    (folder / "d.json").write_text(json.dumps([row]))
    (read,) = read_dataset(folder, "d", {})
    return read


@pytest.mark.parametrize("formatting", FORMATS)
def test_the_answers_of_a_preference(tmp_path: Path, formatting: str):
    good = preference(tmp_path, formatting, yes={"reasoning": "Hm."}, no={"weight": 1, "id": 7})
    assert good.chosen == answer(reasoning_content="Hm.") and good.rejected == answer("6")
    assert good.unread == ("no.id",)
    for mark, field in (({"weight": 0}, "no"), ({"name": "Ann"}, "no.name")):
        bad = preference(tmp_path, formatting, no=mark)
        assert isinstance(bad, BadRow) and bad.field == field


@pytest.mark.parametrize("formatting", FORMATS)
def test_a_verdict_is_about_an_answer_that_counts(tmp_path: Path, formatting: str):
    columns = {"messages": "said", "kto_tag": "ok"}
    for weights, expected in (((0, 1), (1,)), ((1, 0), "said")):
        turns = [m for weight in weights for m in (user(), answer(weight=weight))]
        folder = dataset(tmp_path, formatting, *turns, columns=columns)
        (row,) = json.loads((folder / "d.json").read_text())
        (folder / "d.json").write_text(json.dumps([row | {"ok": True}]))
        (read,) = read_dataset(folder, "d", {})
        assert (read.field if isinstance(read, BadRow) else read.uncounted) == expected


def test_a_test_asks_for_an_answer_that_counts(tmp_path: Path):
    turns = (user(), answer(), user(), answer("6", weight=0))
    opened = open_dataset(dataset(tmp_path, "openai", *turns), "d", {})
    (row,) = opened.rows()
    assert isinstance(opened.example(row), Example)  # type: ignore[arg-type]
    bad = opened.test(row)  # type: ignore[arg-type]
    assert isinstance(bad, BadRow) and (bad.field, bad.kind) == ("said", "weight")


def test_two_system_prompts(tmp_path: Path):
    columns = {"columns": {"messages": "said", "system": "sys"}}
    for first, column, expected in (
        ("A", "A", "A"), ("A", "", "A"), (" ", "B", "B"), ("A", "B", None),
    ):  # fmt: skip
        system = {"role": "system", "content": first}
        folder = dataset(tmp_path, "sharegpt", system, user(), answer(), **columns)
        (row,) = json.loads((folder / "d.json").read_text())
        (folder / "d.json").write_text(json.dumps([row | {"sys": column}]))
        (read,) = read_dataset(folder, "d", {})
        if expected is None:
            assert isinstance(read, BadRow) and (read.field, read.kind) == ("sys", "role-order")
        else:
            assert isinstance(read, Example)
            assert read.messages[0] == {"role": "system", "content": expected}
            assert len(read.messages) == 3
