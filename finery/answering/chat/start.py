"""`finery chat`: from what the command line says to answers."""

import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TextIO

from finery.answering.chat.coming import coming
from finery.answering.chat.conversation import load
from finery.answering.chat.screen import Screen, harmless
from finery.answering.chat.talk import Speaker, Talk
from finery.answering.prompts import thinking_keywords
from finery.answering.sampling import Sampling
from finery.answering.scripted import Manner, answer_lines, answer_once, piped
from finery.answering.sight import IMAGES
from finery.answering.tools import as_tools, read_tools
from finery.answering.variants import Variant, variant
from finery.errors import UserError
from finery.models.chat_template import chat_template
from finery.models.conversation import Message
from finery.models.seeing import sees


class UsageError(UserError):
    """What is asked for does not go together."""


@dataclass(frozen=True)
class Asked:
    """What the command line says, by its names; `sampling` has what differs from the models'."""

    variants: Sequence[str]
    once: str | None = None
    compare: bool = False
    jsonl: bool = False
    system: str = ""
    load: Path | None = None
    tools: Path | None = None
    thinking: bool | None = None
    show_thinking: bool = False
    images: Sequence[Path] = ()
    sampling: Mapping[str, Any] = field(default_factory=dict)
    base: Path | None = None


def start(asked: Asked, fetched: Callable[[str], Path]) -> None:
    """Talk, in the terminal or for a script; what can be wrong is found before a model loads."""
    scripted = asked.once is not None or asked.jsonl or not sys.stdin.isatty()
    _refuse_contradictions(asked, scripted)
    found = [variant(name, fetched, asked.base) for name in dict.fromkeys(asked.variants)]
    talk = Talk([], read_tools(asked.tools) if asked.tools else (), asked.thinking)
    if blind := [each.name for each in found if asked.images and not sees(each.folder)]:
        raise UsageError(f"{', '.join(blind)}: reads no images; take a model that does")
    samplings = [Sampling.of(each.folder).changed(**asked.sampling) for each in found]
    switches = [partial(thinking_keywords, chat_template(each.wording)) for each in found]
    for switch in switches:
        switch(asked.thinking)
    tools = load(asked.load)[1] if asked.load else []
    talk.tools = talk.tools or tuple(as_tools(tools, str(asked.load)))
    question = None if asked.jsonl else asked.once
    if scripted and not asked.jsonl and question is None:
        question = "".join(piped())
        if not question.strip():
            raise UsageError("standard input: no question; or give one with --once")
    out = sys.stdout  # which is another while models are loaded
    speakers = zip(found, _engines(found, scripted), samplings, switches, strict=True)
    talk.speakers = [Speaker(v.name, e, s, switch) for v, e, s, switch in speakers]
    if scripted:
        _for_a_script(asked, talk, question)
        return
    for speaker in talk.speakers:
        if asked.load:
            speaker.conversation, _ = load(asked.load)
        speaker.conversation.system = asked.system or speaker.conversation.system
    _in_the_terminal(asked, talk, out)


def _refuse_contradictions(asked: Asked, scripted: bool) -> None:
    if len(set(asked.variants)) > 1 and not asked.compare:
        raise UsageError(f"{' and '.join(asked.variants)}: to ask several, say --compare")
    if asked.compare and len(set(asked.variants)) < 2:
        raise UsageError("--compare: name two variants or more, as in --compare base merged")
    if asked.jsonl and (asked.once is not None or asked.compare):
        raise UsageError("--jsonl: not with --once or --compare; one model answers standard input")
    if asked.load and scripted:
        raise UsageError("--load: for the terminal alone; a script gives messages by --jsonl")
    if asked.images and (asked.jsonl or not scripted):
        raise UsageError("--image: goes with --once or a pipe; in the terminal type /image FILE")
    if missing := [file for file in asked.images if not file.is_file()]:
        raise UsageError(f"{missing[0]}: no such file")
    if asked.once is not None and not asked.once.strip():
        raise UsageError("--once: no question")
    if not scripted and not sys.stdout.isatty():
        raise UsageError("standard output is no terminal; ask with --once, --jsonl or a pipe")


def _engines(found: Sequence[Variant], scripted: bool) -> Sequence[Any]:
    """Loaded, or in the terminal, while one types."""
    from finery.answering.loading import engines

    return engines(found) if scripted else coming(partial(engines, found), len(found))


def _for_a_script(asked: Asked, talk: Talk, question: str | None) -> None:
    for speaker in talk.speakers:
        keywords = speaker.switch(asked.thinking)
        unfolded = asked.show_thinking
        manner = Manner(speaker.sampling, asked.system, talk.tools, keywords, unfolded)
        if question is None:
            answer_lines(speaker.engine, manner, piped(), sys.stdout, "standard input")
            continue
        if len(talk.speakers) > 1:
            print(f"== {speaker.name}")
        out = _Harmless(sys.stdout) if sys.stdout.isatty() else sys.stdout
        asks: Message = {"role": "user", "content": question.strip()}
        asks |= {IMAGES: list(map(str, asked.images))} if asked.images else {}
        answer_once(speaker.engine, manner, asks, out)


class _Harmless:
    """A terminal that is only written words to."""

    def __init__(self, out: Any) -> None:
        self._out = out
        self.flush = out.flush

    def write(self, text: str) -> int:
        return self._out.write(harmless(text))


def _in_the_terminal(asked: Asked, talk: Talk, out: TextIO) -> None:
    """Returns when one leaves. Raises `VariantError` if a model turns out not to load."""
    from rich.console import Console

    from finery.answering.chat.terminal import converse, typed

    screen = Screen(Console(file=out, highlight=False), asked.show_thinking)
    greedy = all(speaker.sampling.temperature == 0 for speaker in talk.speakers)
    how = "greedy, as the models' generation configs have it" if greedy else "sampled"
    names = ", ".join(speaker.name for speaker in talk.speakers)
    screen.say(f"{names}: {how}; /help lists commands")
    converse(talk, typed(out), screen)
    if not all(speaker.engine.here for speaker in talk.speakers):
        out.flush()
        os._exit(0)  # Python would wait for what is being loaded, and then not know how to end it
