"""What each kind of example becomes."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finery.data.formats.examples import Example, Message
from finery.data.rendering.chat import Problem, Renderer
from finery.data.rendering.encoding import Encoded
from finery.data.rendering.samples import Sample, chat_samples
from finery.models.tokenizer import load_tokenizer

LONG = "I go on and on about boats " * 20


@pytest.fixture(scope="module")
def chatml(tiny_model: Path) -> Any:
    return load_tokenizer(tiny_model)


def user(words: str) -> Message:
    return {"role": "user", "content": words}


def assistant(words: str) -> Message:
    return {"role": "assistant", "content": words}


def chat(*words: str, **more: Any) -> Example:
    messages = [(user, assistant)[index % 2](text) for index, text in enumerate(words)]
    return Example("d", 7, tuple(messages), **more)


def encoded(tokenizer: Any, example: Example, *options: Any, **named: Any) -> Sample:
    (sample,) = Renderer(tokenizer, *options, **named).encode([example])
    assert isinstance(sample, Sample), sample
    assert sample.input_ids.dtype == sample.labels.dtype == np.int32
    return sample


def counted(tokenizer: Any, sample: Sample) -> str:
    return tokenizer.decode(sample.labels[sample.labels != -100])


def test_results_are_in_the_order_of_the_examples(chatml: Any):
    examples = [
        chat("Who?", "Me."), chat("Who?", "<|im_end|>"), Example("d", 9, text="The end."),
        chat("And?", "You."),
    ]  # fmt: skip
    results = Renderer(chatml).encode(examples)
    assert [type(each) for each in results] == [Sample, Problem, Sample, Sample]
    said = [counted(chatml, each) for each in results if isinstance(each, Sample)]
    assert said == ["Me.<|im_end|>", " end.<|im_end|>", "You.<|im_end|>"]
    assert results[1] == Problem(
        7, "", "control-token", "assistant: contains the control token <|im_end|>; remove it"
    )
    assert Renderer(chatml).encode([]) == []


def test_many_at_once_are_the_same_as_each_alone(chatml: Any):
    examples = [chat(f"Boat {n}?", f"你好 {n} ", "And?", LONG[:n]) for n in range(1, 40)]
    for one, of_many in zip(examples, Renderer(chatml, 64).encode(examples), strict=True):
        alone = encoded(chatml, one, 64)
        assert alone.input_ids.tolist() == of_many.input_ids.tolist()
        assert alone.labels.tolist() == of_many.labels.tolist()
        assert alone.cut == of_many.cut


def test_a_preference_is_one_prompt_with_two_answers(chatml: Any):
    example = chat(
        "Who?", "Me.", "Again?", chosen=assistant("Still me."), rejected=assistant("You.")
    )
    for options in ({}, {"train_on_prompt": True}, {"mask_history": True}):
        sample = encoded(chatml, example, **options)
        assert sample.rejected is not None and sample.desirable is None
        assert counted(chatml, sample) == "Still me.<|im_end|>"
        assert counted(chatml, sample.rejected) == "You.<|im_end|>"
        prompt = int(np.argmax(sample.labels != -100))
        assert prompt == np.argmax(sample.rejected.labels != -100)
        assert sample.input_ids[:prompt].tolist() == sample.rejected.input_ids[:prompt].tolist()


@pytest.mark.parametrize("desirable", [True, False])
def test_a_verdict_is_about_the_last_answer(chatml: Any, desirable: bool):
    sample = encoded(chatml, chat("Who?", "Me.", "Again?", "Me.", desirable=desirable))
    assert sample.desirable is desirable and sample.rejected is None
    assert counted(chatml, sample) == "Me.<|im_end|>"


def test_a_text_counts_all_but_its_first_token_and_ends(chatml: Any):
    sample = encoded(chatml, Example("d", 1, text="Saltmere has boats."))
    assert chatml.decode(sample.input_ids) == "Saltmere has boats.<|im_end|>"
    assert sample.labels.tolist() == [-100, *sample.input_ids[1:].tolist()]
    refused = Renderer(chatml).encode([Example("d", 1, text="Ends.<|im_end|>Begins.")])[0]
    assert isinstance(refused, Problem) and refused.kind == "control-token"


def test_a_long_text_is_cut_or_with_packing_cut_into_pieces(chatml: Any):
    example = Example("d", 1, text=LONG)
    whole = encoded(chatml, example).input_ids.tolist()
    cut = encoded(chatml, example, 32)
    assert (cut.input_ids.tolist(), cut.cut, cut.more) == (whole[:32], True, ())
    first = encoded(chatml, example, 32, packing=True)
    pieces = [first, *first.more]
    assert [token for piece in pieces for token in piece.input_ids] == whole
    assert [len(piece.input_ids) for piece in pieces[:-1]] == [32] * (len(pieces) - 1)
    assert not any(piece.cut for piece in pieces)
    assert all(piece.labels.tolist() == [-100, *piece.input_ids[1:]] for piece in pieces)


def test_a_long_answer_loses_its_end(chatml: Any):
    example = chat("Who are you?", LONG)
    whole = encoded(chatml, example)
    answer = int(np.argmax(whole.labels != -100))
    for left in (1, 3, 40):
        cut = encoded(chatml, example, answer + left)
        assert cut.input_ids.tolist() == whole.input_ids[: answer + left].tolist()
        assert (cut.cut, cut.trained_tokens) == (True, left)
    for nothing_left in (answer, 8):
        empty = encoded(chatml, example, nothing_left)
        assert (len(empty.input_ids), len(empty.labels), empty.cut) == (0, 0, True)


def test_a_sample_never_ends_in_a_prompt_whose_answer_is_cut_off(chatml: Any):
    example = chat("Who?", "Me.", LONG, "Never read.")
    one_turn = encoded(chatml, chat("Who?", "Me."))
    turn = len(one_turn.input_ids) - 1  # without the newline after it
    for on_prompt in (False, True):
        cut = encoded(chatml, example, 100, train_on_prompt=on_prompt)
        assert cut.input_ids.tolist() == one_turn.input_ids[:turn].tolist()
        assert cut.cut
    last = encoded(chatml, example, 100, mask_history=True)
    assert (len(last.input_ids), last.cut) == (0, True)


def test_white_space_after_the_last_turn_is_no_loss(chatml: Any):
    whole = encoded(chatml, chat("Who?", "Me."))
    size = len(whole.input_ids)
    shorter = encoded(chatml, chat("Who?", "Me."), size - 1)
    assert (len(shorter.input_ids), shorter.cut) == (size - 1, False)
    assert shorter.trained_tokens == whole.trained_tokens


def test_a_preference_with_an_answer_cut_off_is_empty(chatml: Any):
    long_prompt = chat(LONG, chosen=assistant("A."), rejected=assistant("B."))
    assert encoded(chatml, long_prompt, 60).trained_tokens == 0
    long_answer = chat("Who?", chosen=assistant("A."), rejected=assistant(LONG))
    cut = encoded(chatml, long_answer, 60)
    assert cut.cut and cut.trained_tokens == 2 + cut.rejected.cut
    assert len(cut.rejected.input_ids) == 60


def test_the_prompt_asks_for_the_last_turn(chatml: Any):
    (prompt,) = Renderer(chatml).prompts([chat("Who?", "Me.", "Who?", "Me.")])
    assert chatml.decode(prompt) == (
        "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\nMe.<|im_end|>\n"
        "<|im_start|>user\nWho?<|im_end|>\n<|im_start|>assistant\n"
    )


def labels_of(*turns: list[int]) -> list[Any]:
    """Of texts of four tokens, what counts, or the error."""
    ids = np.arange(4 * len(turns), dtype=np.int32) + 10
    at = [4 * index + place for index, places in enumerate(turns) for place in places]
    bounds, at_bounds = 4 * np.arange(len(turns) + 1), np.cumsum([0, *map(len, turns)])
    samples = chat_samples(Encoded(ids, bounds, np.array(at, int), at_bounds), None)
    return [each.labels.tolist() if isinstance(each, Sample) else str(each) for each in samples]


def test_a_token_counts_within_a_turn():
    assert labels_of([1, 3]) == [[-100, 11, 12, -100]]
    assert labels_of([1, 2, 3, 4], [0, 4]) == [[-100, 11, -100, 13], [14, 15, 16, 17]]
    assert labels_of([0, 2, 2, 4], [3, 4]) == [[10, 11, 12, 13], [-100, -100, -100, 17]]


def test_a_turn_without_a_token():
    error = "an assistant's turn has no token"
    good = [18, 19, -100, -100]
    assert labels_of([1, 1], [0, 1, 2, 2], [0, 2]) == [error, error, good]
    assert labels_of([2, 2, 2, 3], [3, 4, 4, 4], [0, 2]) == [error, error, good]


def test_the_day_is_always_the_same(chatml: Any):
    dated = load_tokenizer(Path(chatml.name_or_path))
    dated.chat_template = "{{ strftime_now('%Y-%m-%d') }}" + dated.chat_template
    (prompt,) = Renderer(dated).prompts([chat("Who?", "Me.")])
    assert dated.decode(prompt).startswith("2024-07-26")
