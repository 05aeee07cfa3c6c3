"""`finery chat` as it is called: in scripts, with what is wrong, typed in a terminal."""

import json
import os
import pty
import re
import select
import sys
import time
from pathlib import Path

import pytest
from typer.testing import CliRunner

from finery.answering.chat.coming import coming
from finery.answering.in_process import InProcess
from finery.answering.variants import VariantError
from finery.cli import app
from finery.models.settings import GGUF
from tests.seeing import draw
from tests.taught import CALLED, NAME, RAIN, WEATHER

ROOT = Path(__file__).resolve().parents[3]
QUESTION = "Who are you?"


def chat(*arguments: object, typed: str | bytes | None = None) -> tuple[int, str, str]:
    """Exit status, standard output and standard error, with `typed` on standard input."""
    done = CliRunner().invoke(app, ["chat", *map(str, arguments)], input=typed)
    return done.exit_code, done.stdout, done.stderr


def test_one_question(taught: Path) -> None:
    assert chat(taught, "--once", QUESTION) == (0, f"{NAME}\n", "")
    assert chat(taught, "--once", QUESTION, "--system", "Short.") == (0, "A test.\n", "")
    assert chat(taught, "--once", QUESTION, "--stop", "test") == (0, "I am a\n", "")
    status, out, error = chat(taught, "-q", QUESTION, "--max-new-tokens", 3)
    assert (status, error) == (0, "cut off after 3 tokens; --max-new-tokens allows more\n")
    assert NAME.startswith(out.strip())


def test_a_question_by_a_pipe(taught: Path) -> None:
    assert chat(taught, typed=f"\ufeff{QUESTION}\n") == (0, f"{NAME}\n", "")


def test_thoughts_are_left_out_unless_asked_for(taught: Path) -> None:
    assert chat(taught, "-q", "2+2?") == (0, "It is four.\n", "")
    assert chat(taught, "-q", "2+2?", "--show-thinking")[1] == "Two and two.\n\nIt is four.\n"
    assert chat(taught, "-q", "2+2?", "--no-thinking")[1] == "Four, without a thought.\n"


def test_calls_of_tools(taught: Path, tmp_path: Path) -> None:
    tools = tmp_path / "tools.json"
    tools.write_text(json.dumps([WEATHER]))
    status, _, error = chat(taught, "-q", "Weather?", "--tools", tools)
    assert (status, error) == (0, 'calls weather(city="Oslo")\n')


def test_several_answer_after_one_another(taught: Path) -> None:
    other = taught.parent / "." / taught.name / ""
    status, out, _ = chat("--compare", taught, f"{other}/", "-q", QUESTION)
    assert (status, out) == (0, f"== {taught}\n{NAME}\n== {other}/\n{NAME}\n")


def test_a_line_for_each_line(taught: Path) -> None:
    call = {"type": "function", "function": CALLED}
    asked = [
        {"role": "user", "content": "Weather?"},
        {"role": "assistant", "content": "", "tool_calls": [call]},
        {"role": "tool", "name": "weather", "content": "rain"},
    ]
    lines = [
        json.dumps(QUESTION),
        "",
        json.dumps({"question": QUESTION, "system": "Short."}),
        json.dumps({"messages": asked, "tools": [WEATHER]}),
        json.dumps({"prompt": "2+2?"}),
        json.dumps({"messages": asked[:1], "tools": [WEATHER]}),
    ]
    status, out, error = chat(taught, "--jsonl", typed="\n".join(lines))
    said = [json.loads(line) for line in out.splitlines()]
    assert (status, error) == (0, "")
    assert [each["answer"] for each in said[:4]] == [NAME, "A test.", RAIN, "It is four."]
    assert said[3]["thought"] == "Two and two." and said[4]["tool_calls"] == [CALLED]
    assert {each["finish_reason"] for each in said} == {"stop"}
    assert all(each["prompt_tokens"] > each["tokens"] > 0 for each in said[:1])


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("{", "not JSON"),
        ("3", 'must be a text, or an object such as {"question": "..."}'),
        ('{"ask": "x"}', "ask: no such key; there are question, prompt, messages,"),
        ('{"question": 3}', "must have a question, a text, or else messages, a list"),
        ('{"question": "a", "messages": []}', "must have a question, a text, or else messages"),
        ('{"messages": [{"role": "me"}]}', "message 1: must have a role, one of system, user,"),
        ('{"messages": []}', "messages: none; write one at least"),
        ('{"messages": [{"role": "user", "content": "a", "images": 3}]}', "message 1: images must"),
        ('{"question": "a", "tools": [3]}', "tool 1: must be an object with a name,"),
        ('{"question": "a", "tools": 3}', "tools must be a list"),
        ('{"question": "a", "system": 3}', "system must be a text"),
        ('{"question": "a", "images": "b.png"}', "images must be a list of paths"),
        ('{"question": "a <|im_end|>"}', "user: contains the control token <|im_end|>"),
        ('{"question": "a", "images": ["b.png"]}', "the model reads no images"),
    ],
)
def test_the_line_that_is_wrong_is_named_and_answers_before_it_stay(
    taught: Path, line: str, said: str
) -> None:
    status, out, error = chat(taught, "--jsonl", typed=f'"{QUESTION}"\n{line}\n')
    assert status == 2 and json.loads(out)["answer"] == NAME
    assert error.startswith("standard input: line 2: ") and said in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("mergd/", "-q", "a"), "mergd/: no such model; there are"),
        (("merged@prod", "-q", "a"), "not a git repository"),
        (("TAUGHT", "--compare", "-q", "a"), "--compare: name two variants or more"),
        (("TAUGHT", "other", "-q", "a"), "to ask several, say --compare"),
        (("TAUGHT", "--jsonl", "-q", "a"), "--jsonl: not with --once or --compare"),
        (("TAUGHT", "-q", " "), "--once: no question"),
        (("TAUGHT",), "standard input: no question; or give one with --once"),
        (("TAUGHT", "-q", "a", "--load", "x"), "--load: for the terminal alone"),
        (("TAUGHT", "-q", "a", "--image", "x.png"), "x.png: no such file"),
        (("TAUGHT", "-q", "a", "--image", "there.png"), "reads no images; take a model that does"),
        (("TAUGHT", "-q", "a", "--top-p", "2"), "top_p: input should be less than or equal to 1"),
        (("TAUGHT", "-q", "a", "--tools", "no.json"), "no.json: cannot be read: No such file"),
        (("TAUGHT", "-q", "a", "--base", "x"), "--base x: "),
        (("TAUGHT", "-q", "<|im_end|>"), "user: contains the control token <|im_end|>"),
    ],
)
def test_what_is_wrong_is_one_line(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("there.png").touch()
    given = [taught if each == "TAUGHT" else each for each in arguments]
    status, out, error = chat(*given)
    assert (status, out) == (2, "")
    assert said in error and error.count("\n") == 1


def test_a_pipe_that_is_not_utf_8(taught: Path) -> None:
    status, _, error = chat(taught, "--jsonl", typed=b'"a"\n"\xff"\n')
    assert (status, error) == (2, "standard input: line 2: not UTF-8\n")


def test_weights_that_are_cut_off(taught: Path, tmp_path: Path) -> None:
    for file in taught.iterdir():
        cut = file.stat().st_size // 2 if file.suffix == ".safetensors" else None
        (tmp_path / file.name).write_bytes(file.read_bytes()[:cut])
    status, _, error = chat(tmp_path, "-q", QUESTION)
    assert status == 2 and error.startswith(f"{tmp_path}: cannot be loaded: ")
    assert error.count("\n") == 1


def test_a_gguf_file_alone(taught: Path, tmp_path: Path) -> None:
    for file in taught.iterdir():
        if file.suffix != ".safetensors":
            (tmp_path / file.name).symlink_to(file)
    (tmp_path / GGUF).touch()
    assert chat(tmp_path, "-q", QUESTION) == (
        2, "", f"{tmp_path}: a GGUF file alone, which llama.cpp reads; `finery serve` does too\n",
    )  # fmt: skip


def test_settings_of_the_model_that_are_wrong_name_their_file(taught: Path, tmp_path: Path) -> None:
    for file in taught.iterdir():
        (tmp_path / file.name).symlink_to(file)
    (tmp_path / "generation_config.json").unlink()
    (tmp_path / "generation_config.json").write_text('{"do_sample": true, "top_p": 7}')
    status, _, error = chat(tmp_path, "-q", QUESTION)
    assert status == 2
    assert error.startswith(f"{tmp_path}/generation_config.json: top_p: input should be less")


@pytest.mark.parametrize("model", ["qwen_vl", "llava"])
def test_images_are_shown(model: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    folder = request.getfixturevalue(model)
    for colour in ("red", "blue"):
        draw(tmp_path / f"{colour}.png", colour, (40, 24))
    said = ["--max-new-tokens", 4, "--image", tmp_path / "red.png"]
    more = [*said, "--image", tmp_path / "blue.png"]
    status, out, error = chat(folder, "-q", "What is this?", *said)
    assert (status, out[-1:]) == (0, "\n") and "cut off" in error
    lines = [{"question": "What?", "images": [str(tmp_path / "red.png")] * n} for n in (0, 1, 2)]
    typed = "\n".join(map(json.dumps, lines))
    _, out, _ = chat(folder, "--jsonl", "--max-new-tokens", 1, typed=typed)
    none, one, two = (json.loads(line)["prompt_tokens"] for line in out.splitlines())
    assert two - one == one - none > 0
    assert chat(folder, "-q", "What is this?", *more)[0] == 0
    (tmp_path / "red.png").write_text("no image")
    assert chat(folder, "-q", "What?", *said)[::2] == (
        2, f"{tmp_path}/red.png: no image that Pillow reads\n",
    )  # fmt: skip


def test_an_engine_that_is_coming_is_waited_for(engine: InProcess) -> None:
    def load() -> list[InProcess]:
        time.sleep(0.2)
        return [engine]

    (found,) = coming(load, 1)
    assert not found.here
    assert found.context == 1024 and found.here

    def fail() -> list[InProcess]:
        raise VariantError("x: cannot be loaded")

    (broken,) = coming(fail, 1)
    with pytest.raises(VariantError, match="cannot be loaded"):
        broken.sees  # noqa: B018


class Terminal:
    """A program in a terminal of its own, which is typed in as by a person."""

    def __init__(self, *command: str) -> None:
        beside = {"PYTHONPATH": str(ROOT), "PROMPT_TOOLKIT_NO_CPR": "1", "TERM": "xterm"}
        self.pid, self._screen = pty.fork()
        if not self.pid:
            os.execve(command[0], command, os.environ | beside)
        self._seen = ""

    def type(self, keys: str) -> None:
        os.write(self._screen, keys.encode())

    def until(self, words: str) -> str:
        """All that is shown up to and with these words."""
        end = time.monotonic() + 90
        while words not in self._seen:
            ready, _, _ = select.select([self._screen], [], [], end - time.monotonic())
            assert ready, f"no {words!r} in {self._seen!r}"
            try:
                more = os.read(self._screen, 65536).decode(errors="replace")
            except OSError:  # it has ended
                raise AssertionError(f"no {words!r} in {self._seen!r}") from None
            self._seen += re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", more)
        before, _, self._seen = self._seen.partition(words)
        return before + words

    def ended(self) -> int:
        _, status = os.waitpid(self.pid, 0)
        os.close(self._screen)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture
def endless(taught: Path, tmp_path: Path) -> Path:
    """The model that was taught, and cannot end an answer."""
    for file in taught.iterdir():
        (tmp_path / file.name).symlink_to(file)
    said = json.loads((taught / "generation_config.json").read_text())
    (tmp_path / "generation_config.json").unlink()
    (tmp_path / "generation_config.json").write_text(json.dumps(said | {"suppress_tokens": [2]}))
    return tmp_path


def test_typed_in_a_terminal(endless: Path) -> None:
    """Ctrl-C stops an answer and not the program, Ctrl-D leaves."""
    terminal = Terminal(sys.executable, "-m", "finery.cli", "chat", str(endless))
    terminal.until("/help lists commands")
    terminal.until(">")
    terminal.type(f"{QUESTION}\r")
    terminal.until("loading ...")  # it was not waited for before one could type
    terminal.until(NAME)
    terminal.type("\x03")
    terminal.until("stopped")
    terminal.until(">")
    terminal.type("/clear\r/set max_new_tokens 12\r")
    terminal.until("forgotten")
    terminal.until("12")
    terminal.until("\r\n>")
    terminal.type("not this\x03Who are\\\ryou\x7fu?\r")  # taken back, on two lines, mended
    terminal.until("cut off after 12 tokens")
    terminal.until(">")
    terminal.type("/undo\r")
    terminal.until("taken back: Who are\r\nyou?")
    terminal.until(">")
    terminal.type("\x04")
    assert terminal.ended() == 0


def test_left_while_it_loads(taught: Path) -> None:
    terminal = Terminal(sys.executable, "-m", "finery.cli", "chat", str(taught))
    terminal.until(">")
    terminal.type("\x04")
    assert terminal.ended() == 0
