"""Answers for scripts: one question, or a line of JSON for each of many."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TextIO

from finery.answering.engine import Ended, Engine, Request, whole
from finery.answering.files import FileError
from finery.answering.messages import MessageError, checked_messages
from finery.answering.sampling import Sampling
from finery.answering.sight import IMAGES
from finery.answering.thoughts import Thoughts, parted
from finery.answering.tools import as_tools, shown
from finery.errors import UserError
from finery.models.conversation import Message, Tools

QUESTIONS = ("question", "prompt")
KEYS = (*QUESTIONS, "messages", "images", "tools", "system")


@dataclass(frozen=True)
class Manner:
    """How to answer: what goes with each question."""

    sampling: Sampling
    system: str = ""
    tools: Tools = ()
    keywords: Mapping[str, Any] = field(default_factory=dict)
    unfolded: bool = False
    """Whether thoughts are written, too."""

    def request(self, messages: Sequence[Message]) -> Request:
        first = [{"role": "system", "content": self.system}] if self.system else []
        return Request([*first, *messages], self.sampling, self.tools, self.keywords)


def answer_once(
    engine: Engine, manner: Manner, question: Message, out: TextIO, notes: TextIO | None = None
) -> Ended:
    """Write the answer to one question as it comes; what is to be said of it goes to `notes`, by
    default standard error.
    """
    request = manner.request([question])
    thoughts, ended, thinking = Thoughts(bool(engine.opened(request))), None, False
    for piece in engine.stream(request):
        for thought, words in thoughts.add(piece.text, last=piece.ended is not None):
            if manner.unfolded or not thought:
                out.write("\n\n" + words if manner.unfolded and thinking > thought else words)
                out.flush()
            thinking = thought
        ended = piece.ended
    assert ended is not None
    out.write("\n")
    for call in ended.calls:
        print(f"calls {shown(call)}", file=notes or sys.stderr)
    if ended.reason == "length":
        cut = f"cut off after {ended.tokens} tokens; --max-new-tokens allows more"
        print(cut, file=notes or sys.stderr)
    return ended


def answer_lines(
    engine: Engine, manner: Manner, lines: Iterable[str], out: TextIO, where: str
) -> None:
    """A line of JSON for each line of JSON: the answer, why it ended, its tokens.

    A line is a text, or an object with `question` (or `prompt`) or `messages`, perhaps with
    `system` and `tools`. Raises `MessageError` for a line that is not, or cannot be answered.
    """
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        place = f"{where}: line {number}"
        request = asked(line, manner, place)
        try:
            answered = reported(engine, request)
        except UserError as error:
            raise MessageError(f"{place}: {error}") from None
        out.write(json.dumps(answered, ensure_ascii=False) + "\n")
        out.flush()


def reported(engine: Engine, request: Request) -> dict[str, Any]:
    """An answer as one line of JSON says it."""
    ended = whole(engine.stream(request))
    thought, said = parted(ended.text, bool(engine.opened(request)))
    beside = {"thought": thought} if thought else {}
    beside |= {"tool_calls": list(ended.calls)} if ended.calls else {}
    counted = {"prompt_tokens": ended.prompt_tokens, "tokens": ended.tokens}
    return {"answer": said, **beside, "finish_reason": ended.reason, **counted}


def asked(line: str, manner: Manner, where: str) -> Request:
    """What a line of JSON asks."""
    try:
        said = json.loads(line)
    except ValueError as error:
        raise MessageError(f"{where}: not JSON ({error})") from None
    said = {"question": said} if isinstance(said, str) else said
    if not isinstance(said, dict):
        raise MessageError(f'{where}: must be a text, or an object such as {{"question": "..."}}')
    if unknown := [key for key in said if key not in KEYS]:
        raise MessageError(f"{where}: {unknown[0]}: no such key; there are {', '.join(KEYS)}")
    messages = _messages(said, where)
    own_system = messages[0]["role"] == "system"
    system = said.get("system", "" if own_system else manner.system)
    if not isinstance(system, str):
        raise MessageError(f"{where}: system must be a text")
    tools = as_tools(said["tools"], where) if said.get("tools") else manner.tools
    return Manner(manner.sampling, system, tools, manner.keywords).request(messages)


def _messages(said: Mapping[str, Any], where: str) -> list[Message]:
    questions = [said[key] for key in QUESTIONS if key in said]
    if "messages" in said and not questions:
        messages = checked_messages(said["messages"], where)
    elif len(questions) == 1 and isinstance(questions[0], str) and "messages" not in said:
        asks: Message = {"role": "user", "content": questions[0]}
        asks |= {IMAGES: said["images"]} if said.get("images") else {}
        messages = checked_messages([asks], where)
    else:
        raise MessageError(f"{where}: must have a question, a text, or else messages, a list")
    if not messages:
        raise MessageError(f"{where}: messages: none; write one at least")
    return messages


def piped() -> Iterator[str]:
    """The lines of standard input. Raises `FileError` if one is not UTF-8."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError:
            raise FileError(f"standard input: line {number}: not UTF-8") from None
