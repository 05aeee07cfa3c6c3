"""What a metric is given: a test question, its reference, and what a model answered."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from finery.evaluation.wording import spoken
from finery.inference.answers import Answer


@dataclass(frozen=True)
class Sample:
    """A question and its answer.

    `answer` is what the model says, without what it thinks first; of a call of a tool, as it is
    written, with the control tokens. `raw` has the thought too. `call_match` says whether the
    answer calls the tools that the reference does, 1.0 or 0.0; None where that calls none. `tokens`
    are the answer's, `finished` whether it ended by itself.
    """

    dataset: str
    question: str
    reference: str
    answer: str
    raw: str = ""
    keywords: Sequence[str] = ()
    call_match: float | None = None
    tokens: int = 0
    finished: bool = True

    @property
    def text(self) -> bool:
        """Whether the reference is a text, and no call of a tool."""
        return self.call_match is None

    @classmethod
    def of(cls, test: dict[str, Any], answer: Answer, call_match: float | None = None) -> "Sample":
        """What a model said to a test."""
        raw = answer.text if call_match is None else answer.written
        return cls(
            dataset=test["dataset"],
            question=test["question"],
            reference=test["reference"],
            answer=spoken(raw),
            raw=raw,
            keywords=tuple(test["keywords"]),
            call_match=call_match,
            tokens=answer.tokens,
            finished=answer.finished,
        )


def position(tests: Sequence[dict[str, Any]], index: int) -> str:
    """Which sample one is, in words."""
    dataset, question = tests[index]["dataset"], " ".join(tests[index]["question"].split())
    number = sum(test["dataset"] == dataset for test in tests[: index + 1])
    cut = question if len(question) <= 60 else question[:57] + "..."
    return f"sample {number} of {dataset} ({cut})"
