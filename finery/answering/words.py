"""The words of an answer while its tokens come: whole characters, and none of a stop text."""

from collections.abc import Callable, Sequence

UNFINISHED = "\ufffd"
"""What the bytes of half a character are decoded to."""
WINDOW = 48
"""Tokens that are decoded again with each new one: what that says can depend on those before."""
KEPT = 8


class Words:
    """Adds up tokens. What it gives, put together, is the decoded answer without white space
    around it, up to the first of the `stop` texts; `stopped` once there is one.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        stop: Sequence[str] = (),
        trimmed: bool = True,
    ) -> None:
        """`trimmed`: without the white space around the answer."""
        self._decode = decode
        self._trimmed = trimmed
        self._stop = [text for text in stop if text]
        self._window: list[int] = []
        self._whole: list[int] = []
        """How many tokens of the window end in no half character."""
        self._known = 0
        """How many characters of the window have been passed on."""
        self._held = ""
        self._begun = self.stopped = False

    def add(self, token: int) -> str:
        """What can be said now that this token has come; often nothing."""
        self._window.append(token)
        text = self._decode(self._window)
        finished = text.rstrip(UNFINISHED)
        new, self._known = finished[self._known :], max(self._known, len(finished))
        if finished == text:
            self._whole.append(len(self._window))
        if finished == text and len(self._window) > WINDOW:
            self._move()
        return self._given(new)

    def end(self) -> str:
        """The rest, after the last token."""
        rest = "" if self.stopped else self._decode(self._window)[self._known :]
        return self._given(rest, last=True)

    def _move(self) -> None:
        """Leave out the tokens of the window that come before the last few."""
        start = max((n for n in self._whole if n <= len(self._window) - KEPT), default=0)
        self._window, self._whole = self._window[start:], []
        self._known = len(self._decode(self._window))

    def _given(self, new: str, last: bool = False) -> str:
        if self.stopped:
            return ""
        text = self._held + new
        text = text if self._begun or not self._trimmed else text.lstrip()
        places = [place for stop in self._stop if (place := text.find(stop)) >= 0]
        if places:
            self.stopped = last = True
            text = text[: min(places)]
        said = text if last else text[: len(text) - self._begins(text)]
        said = said.rstrip() if self._trimmed else said
        self._held = text[len(said) :]
        self._begun = self._begun or bool(said)
        return said

    def _begins(self, text: str) -> int:
        """How much of the end of a text may be the beginning of a stop text."""
        longest = max(map(len, self._stop), default=1) - 1
        sizes = range(min(longest, len(text)), 0, -1)
        return next((n for n in sizes if any(s.startswith(text[-n:]) for s in self._stop)), 0)
