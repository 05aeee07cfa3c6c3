"""Answers on the screen: words as they come, thoughts folded, several models side by side."""

import re
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from time import monotonic

from rich.console import Console
from rich.text import Text

from finery.answering.chat.talk import Speaker, Talk
from finery.answering.engine import Ended, Piece
from finery.answering.thoughts import Thoughts
from finery.answering.tools import shown

CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
"""What would move the cursor, change colours or ring: a model may write anything."""
FOLDED = "thinking ..."
LOADING = "loading ..."


def harmless(text: str) -> str:
    """A text that only says something to a terminal."""
    return CONTROL.sub("\ufffd", text)


@dataclass
class Screen:
    """Prints what is said; `unfolded` shows thoughts, too, which else are folded into a line."""

    console: Console
    unfolded: bool = False
    last_thought: str = ""
    _begun: float = 0.0
    _thought: list[str] = field(default_factory=list)

    def say(self, line: str, style: str = "dim") -> None:
        self.console.print(Text(harmless(line), style), soft_wrap=True)

    def error(self, line: str) -> None:
        self.say(line, "red")

    def answers(self, talk: Talk) -> None:
        """Have all speakers answer. Ctrl-C stops the answer that is being written, and all others.

        Raises `UserError` if one cannot.
        """
        try:
            if not all(getattr(speaker.engine, "here", True) for speaker in talk.speakers):
                self.say(LOADING)
            if len(talk.speakers) == 1:
                self._one(talk, talk.speakers[0])
            elif self.console.is_terminal:
                self._side_by_side(talk)
            else:
                for speaker in talk.speakers:
                    self.say(f"== {speaker.name}", "bold")
                    self._one(talk, speaker)
        except KeyboardInterrupt:
            self.say("\nstopped")

    def _one(self, talk: Talk, speaker: Speaker) -> None:
        ended = None
        for thought, words, end in _parts(talk.answer(speaker), speaker):
            self._write(thought, words)
            ended = end
        self._unfold()
        self.console.print()
        for line in remarks(speaker, ended):
            self.say(line)

    def _write(self, thought: bool, words: str) -> None:
        if not words:
            return
        if not thought:
            self._unfold()
            self.console.print(Text(harmless(words)), end="", soft_wrap=True)
        elif self.unfolded:
            self.console.print(Text(harmless(words), "dim"), end="", soft_wrap=True)
            self._thought.append(words)
        else:
            if not self._thought:
                self._begun = monotonic()
                self.console.print(Text(FOLDED, "dim"), end="")
            self._thought.append(words)

    def _unfold(self) -> None:
        """End a thought, if one was written."""
        if not self._thought:
            return
        count = len("".join(self._thought).split())
        if self.unfolded:
            self.console.print("\n")
        else:
            if self.console.is_terminal:
                self.console.file.write("\r\x1b[2K")
            else:
                self.console.print()
            self.say(
                f"thought for {monotonic() - self._begun:.0f} s, {count} words; /think shows it"
            )
        self.last_thought = "".join(self._thought).strip()
        self._thought.clear()

    def _side_by_side(self, talk: Talk) -> None:
        from rich.live import Live
        from rich.table import Table

        said = {speaker.name: Text() for speaker in talk.speakers}

        def table() -> Table:
            made = Table(expand=True)
            for name in said:
                made.add_column(name, ratio=1, overflow="fold")
            made.add_row(*said.values())
            return made

        try:
            with Live(console=self.console, transient=True, get_renderable=table):
                for speaker in talk.speakers:
                    ended = None
                    for thought, words, end in _parts(talk.answer(speaker), speaker):
                        if not thought or self.unfolded:
                            said[speaker.name].append(harmless(words), "dim" if thought else "")
                        ended = end
                    for line in remarks(speaker, ended):
                        said[speaker.name].append(f"\n{harmless(line)}", "dim")
        finally:
            self.console.print(table())


def remarks(speaker: Speaker, ended: Ended | None) -> Iterator[str]:
    """What is to be known of an answer, beside its words."""
    conversation = speaker.conversation
    for call in ended.calls if ended else ():
        yield f"calls {shown(call)}; /result says what comes of it"
    if passed := conversation.passed_over:
        what = "question is" if passed == 1 else f"{passed} questions are"
        yield f"the context is full: the oldest {what} no longer read"
    if ended and ended.reason == "length":
        yield f"cut off after {ended.tokens} tokens; /set max_new_tokens allows more"


def _parts(pieces: Iterator[Piece], speaker: Speaker) -> Iterator[tuple[bool, str, Ended | None]]:
    """Whether it is thought, what it says, and with the last the end."""
    thoughts = None
    with closing(pieces):
        for piece in pieces:
            thoughts = thoughts or Thoughts(bool(speaker.conversation.opened))
            for thought, words in thoughts.add(piece.text, last=piece.ended is not None):
                yield thought, words, None
            if piece.ended:
                yield False, "", piece.ended
