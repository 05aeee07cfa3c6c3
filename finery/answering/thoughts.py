"""What a model thinks before it answers, told from the answer while both come."""

from finery.models.conversation import THOUGHTS

Part = tuple[bool, str]
"""Whether it is thought, and what it says."""


class Thoughts:
    """Parts a stream of words. `opened`: the prompt has begun a thought already."""

    def __init__(self, opened: bool = False) -> None:
        self._inside = opened
        self._ends = tuple(THOUGHTS.values()) if opened else ()
        self._settled = opened
        """Whether it is certain by now that it begins with a thought, or does not."""
        self._behind = False
        """Whether it is behind a tag, and no word has come yet."""
        self._held = ""

    def add(self, text: str, last: bool = False) -> list[Part]:
        """The parts that are certain; `last` gives all that is left."""
        self._held += text
        parts: list[Part] = []
        if not self._settled:
            self._begin(last)
        self._skip_space()
        if self._inside:
            parts += self._thought(last)
            self._skip_space()
        if self._settled and not self._inside:
            parts.append((False, self._held))
            self._held = ""
        return [(inside, said) for inside, said in parts if said]

    def _begin(self, last: bool) -> None:
        words = self._held.lstrip()
        for begin, end in THOUGHTS.items():
            if words.startswith(begin):
                self._inside = self._settled = True
                self._behind = True
                self._ends, self._held = (end,), words[len(begin) :]
                return
        may_begin = any(begin.startswith(words) for begin in THOUGHTS)
        self._settled = last or not may_begin

    def _skip_space(self) -> None:
        if self._behind:
            self._held = self._held.lstrip()
            self._behind = not self._held

    def _thought(self, last: bool) -> list[Part]:
        found = [(place, end) for end in self._ends if (place := self._held.find(end)) >= 0]
        if found:
            place, end = min(found)
            thought, self._held = self._held[:place], self._held[place + len(end) :]
            self._inside, self._behind = False, True
            return [(True, thought.rstrip())]
        longest = 0 if last else max(map(len, self._ends)) - 1
        keep = next((n for n in range(min(longest, len(self._held)), 0, -1) if self._may_end(n)), 0)
        said = self._held[: len(self._held) - keep].rstrip()
        self._held = self._held[len(said) :]
        return [(True, said)]

    def _may_end(self, size: int) -> bool:
        return any(end.startswith(self._held[-size:]) for end in self._ends)


def parted(text: str, opened: bool = False) -> tuple[str, str]:
    """What an answer thinks, and what it says."""
    thoughts = Thoughts(opened)
    parts = thoughts.add(text, last=True)
    kinds = {kind: "".join(said for each, said in parts if each is kind) for kind in (True, False)}
    return kinds[True].strip(), kinds[False].strip()
