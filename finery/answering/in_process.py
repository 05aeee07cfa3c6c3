"""transformers as an engine: one answer at a time, in this process."""

from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from pathlib import Path
from queue import SimpleQueue
from threading import Event, Lock, Thread
from typing import Any

from finery.answering.engine import ContextFull, Ended, Piece, Request
from finery.answering.generating import generate
from finery.answering.prompts import Prompts, begun_thought
from finery.answering.sampling import Sampling
from finery.answering.sight import images_of
from finery.answering.variants import Variant
from finery.answering.words import Words
from finery.check.facts import read_model
from finery.check.positions import positions
from finery.inference.answers import decoded, stop_tokens
from finery.models.end_of_turn import end_of_turn


class InProcess:
    """A loaded model and its tokenizer. What it says under temperature 0 is what the evaluation
    has it say.
    """

    def __init__(self, variant: Variant, model: Any, tokenizer: Any) -> None:
        self._model, self._tokenizer = model, tokenizer
        self._prompts = Prompts(variant.folder, tokenizer, variant.adapter)
        self._stops = _stops(variant.wording, model)
        self.context = positions(read_model(variant.folder))
        self._one_at_a_time = Lock()

    @property
    def sees(self) -> bool:
        return self._prompts.sight.places is not None

    def opened(self, request: Request) -> str:
        return begun_thought(self._text(request))

    def count(self, request: Request) -> int:
        return len(self.prompt(request))

    def prompt(self, request: Request) -> list[int]:
        """The tokens of the prompt."""
        return self._prompts.tokens(self._text(request), images_of(request.messages))

    def stream(self, request: Request) -> Iterator[Piece]:
        prompt = self.prompt(request)
        room = self._room(len(prompt), request.sampling.max_new_tokens)
        words, said, ids = Words(self._decode, request.sampling.stop), "", []
        seen = partial(self._prompts.sight.inputs, images_of(request.messages))
        with self._one_at_a_time, _Generation(self._model, seen) as generation:
            for token in generation.tokens(prompt, room, self._stops, request.sampling):
                ids.append(token)
                if token in self._stops:
                    break
                if text := words.add(token):
                    said += text
                    yield Piece(text)
                if words.stopped:
                    break
        text = words.end()
        answer = decoded(self._tokenizer, ids, self._stops)
        reason = "stop" if words.stopped or answer.finished else "length"
        calls = self._reader(answer.written) if request.tools and self._reader else ()
        yield Piece(text, Ended(said + text, reason, len(prompt), answer.tokens, calls))

    def _text(self, request: Request) -> str:
        return self._prompts.text(request.messages, request.tools, request.keywords)

    def _decode(self, ids: Any) -> str:
        return self._tokenizer.decode(ids, skip_special_tokens=True)

    @cached_property
    def _reader(self) -> Any:
        """Finds the calls of tools in an answer; None if the template's way is not understood."""
        from finery.inference.call_syntax import call_reader

        return call_reader(self._tokenizer)

    def _room(self, prompt: int, wanted: int) -> int:
        if self.context is None:
            return wanted
        if prompt >= self.context:
            raise ContextFull(
                f"the conversation has {prompt} tokens and the model reads {self.context} at most;"
                " shorten it"
            )
        return min(wanted, self.context - prompt)


class _Generation:
    """`generate` in a thread of its own, ended when nobody listens any more."""

    def __init__(self, model: Any, seen: Callable[[Any], Mapping[str, Any]]) -> None:
        self._model, self._seen = model, seen
        self._left = Event()
        self._said: SimpleQueue[Any] = SimpleQueue()
        self._thread: Thread | None = None

    def __enter__(self) -> "_Generation":
        return self

    def __exit__(self, *_: object) -> None:
        self._left.set()
        if self._thread:
            self._thread.join()

    def tokens(
        self, prompt: list[int], room: int, stops: list[int], sampling: Sampling
    ) -> Iterator[int]:
        """The tokens of the answer as they come. Raises what `generate` does."""
        given = (prompt, room, stops, sampling)
        self._thread = Thread(target=self._generate, args=given, daemon=True)
        self._thread.start()
        while isinstance(token := self._said.get(), int):
            yield token
        if token is not None:
            raise token

    def _generate(self, prompt: list[int], room: int, stops: list[int], sampling: Sampling) -> None:
        try:
            generate(
                self._model, prompt, room, stops, sampling, self._said.put, self._left.is_set,
                seen=self._seen,
            )  # fmt: skip
            self._said.put(None)
        except BaseException as error:
            self._said.put(error)


def _stops(folder: Path, model: Any) -> list[int]:
    """Where answers end: as the generation config says, and where the template ends a turn."""
    said = [token for token in stop_tokens(model) if token is not None]
    end = end_of_turn(folder)
    return said if end is None or end in said else [*said, end]
