"""Whether a trained model ends its turns: one that does not goes on until it is cut off.

Looked at on samples that it was not trained on, if some validate: how likely the end is where a
turn ends, and whether the model comes to an end by itself, beginning a few tokens before. All of
it is greedy, so that the same model gives the same figures.
"""

import inspect
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

from finery.models.pictures import FOLDER, Pictures
from finery.training.pictures import IGNORED, IMAGES

SAMPLES, ANSWERS = 16, 4
"""How many samples are looked at, and how many answers are written to their end."""
BEFORE, MORE = 16, 32
"""How many tokens before its end an answer is gone on with at most, and for how many."""
ENOUGH = 0.5
"""Of the ends, and of the answers. A turn may go on, too: no more than that can be asked for."""
COUNTED, UNCOUNTED, OTHER, CUT = "counted", "uncounted", "other", "cut"
Sight = Callable[[Sequence[str], Any], dict[str, Any]]
"""Of the images that a sample names and its tokens (1 x tokens), what else the model takes."""


@dataclass(frozen=True)
class Turn:
    """An answer, tokens `begin` to `end` of `ids`; `kind`: what stands at its end.

    That is a token that stops generation, counted or not counted; or another; or nothing, if the
    sample ends there. `images` are those of the sample.
    """

    ids: Sequence[int]
    begin: int
    end: int
    kind: str
    images: Sequence[str] = ()


def turn_ends(trainer: Any, start: Path, data: Path, key: str) -> dict[str, float | str]:
    """How often the model of a Trainer ends its turns, from 0 to 1; in words, too, if it does not.

    `start` has the generation config that says what ends an answer, `data` the prepared samples;
    `key` is where the step's settings are, such as train.sft. Nothing for a model that does not
    write, for texts, which have no turns, and where several processes share the weights.
    """
    model, stops = trainer.model, _stops(start)
    shared = trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled
    if not stops or shared or not model.can_generate():
        return {}
    samples = [found for sample in _some(data) if (found := list(_turns(*sample, stops)))]
    sight = _sight(start, data)
    if not samples:
        return {}
    turns = [turn for sample in samples for turn in sample]
    was_training = model.training
    model.eval()
    chances = [each for sample in samples for each in _chances(model, sample, stops, sight)]
    last = sorted((sample[-1] for sample in samples), key=lambda turn: turn.end - turn.begin)
    ended = [_ends(model, turn, stops, sight) for turn in last[:ANSWERS]]
    model.train(was_training)

    figures: dict[str, float | str] = {}
    if chances:
        figures["turn_ends_predicted"] = sum(first for _, first in chances) / len(chances)
        figures["turn_ends_probability"] = sum(chance for chance, _ in chances) / len(chances)
    figures["answers_ended"] = sum(ended) / len(ended)
    if min(figures.get("turn_ends_predicted", 0), figures["answers_ended"]) < ENOUGH:
        words = trainer.processing_class  # of a model with images, what has the tokenizer
        cause = _cause(turns, getattr(words, "tokenizer", words), stops, key)
        figures["turns_not_ended"] = f"{_said(figures, len(chances), len(ended))}; {cause}"
        print(f"{key}: the model does not end its turns: {figures['turns_not_ended']}")
    return figures


def _stops(start: Path) -> list[int]:
    """The tokens that end an answer when the model is served."""
    file = start / "generation_config.json"
    ids = json.loads(file.read_text()).get("eos_token_id") if file.is_file() else None
    return ids if isinstance(ids, list) else [] if ids is None else [ids]


def _sight(start: Path, data: Path) -> Sight:
    """How the model sees the images of samples in `data`; nothing for one that reads text alone."""
    pictures = Pictures.of(start)

    def given(images: Sequence[str], ids: Any) -> dict[str, Any]:
        return pictures.inputs([data / FOLDER / name for name in images], ids) if pictures else {}

    return given


def _some(data: Path) -> list[tuple[list[int], list[int], list[str]]]:
    """Tokens, labels and images of samples all over the validation; of the training, if none does.

    Of preferences, those with the chosen answer; of verdicts, those that are good.
    """
    import pyarrow.parquet as pq

    for name in ("validation", "train"):
        table = pq.read_table(data / f"{name}.parquet")
        if "desirable" in table.column_names:
            table = table.filter(table["desirable"])
        if count := min(len(table), SAMPLES):
            taken = table.take([index * len(table) // count for index in range(count)])
            rows = taken.to_pylist()
            return [(row["input_ids"], row["labels"], row.get(IMAGES) or []) for row in rows]
    return []


def _turns(
    ids: list[int], labels: list[int], images: list[str], stops: Sequence[int]
) -> Iterator[Turn]:
    """The answers of a sample. Where the questions count, too, there is no telling them apart, and
    what is between two ends is taken for one; a text has one end at most, and no answer."""
    counted = [label != IGNORED for label in labels]
    at = [i for i in range(1, len(ids)) if ids[i] in stops and (counted[i] or counted[i - 1])]
    if all(counted[1:]):
        yield from (Turn(ids, a + 1, b, COUNTED, images) for a, b in pairwise(at))
        return
    for counts, run in groupby(range(len(ids)), key=counted.__getitem__):
        if not counts:
            continue
        begin, *more = run
        begin, last = max(begin, 1), (more or [begin])[-1]
        if ids[last] in stops:
            yield Turn(ids, begin, last, COUNTED, images)
        elif last + 1 == len(ids):
            yield Turn(ids, begin, len(ids), CUT, images)
        else:
            kind = UNCOUNTED if ids[last + 1] in stops else OTHER
            yield Turn(ids, begin, last + 1, kind, images)


def _chances(
    model: Any, turns: list[Turn], stops: Sequence[int], sight: Sight
) -> list[tuple[float, bool]]:
    """How likely the ends of a sample's turns are, and whether each is the likeliest token."""
    import torch

    places = [turn.end - 1 for turn in turns if turn.kind in (COUNTED, UNCOUNTED)]
    if not places:
        return []
    ids = torch.tensor([turns[0].ids[: places[-1] + 1]], device=model.device)
    seen = sight(turns[0].images, ids)
    with torch.no_grad():
        logits = _logits(model, ids, torch.tensor(places, device=model.device), seen).float()
    chances = logits.softmax(-1)[:, list(stops)].sum(-1).tolist()
    return list(zip(chances, (first in stops for first in logits.argmax(-1).tolist()), strict=True))


def _logits(model: Any, ids: Any, places: Any, seen: dict[str, Any]) -> Any:
    """What the model makes of the tokens at some places; of no more, where it can do that."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if "logits_to_keep" in inspect.signature(base.forward).parameters:
        return model(input_ids=ids, use_cache=False, logits_to_keep=places, **seen).logits[0]
    return model(input_ids=ids, use_cache=False, **seen).logits[0, places]


def _ends(model: Any, turn: Turn, stops: Sequence[int], sight: Sight) -> bool:
    """Whether the model comes to an end when it goes on with the last tokens of an answer."""
    import torch

    prompt = turn.ids[: max(turn.begin, turn.end - BEFORE)]
    ids = torch.tensor([prompt], device=model.device)
    with torch.no_grad():
        written = model.generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            max_new_tokens=MORE,
            do_sample=False,
            temperature=None,
            top_p=None,
            top_k=None,
            eos_token_id=list(stops),
            pad_token_id=stops[0],
            use_cache=True,
            **sight(turn.images, ids),
        )
    return any(token in stops for token in written[0, len(prompt) :].tolist())


def _said(figures: dict[str, Any], ends: int, answers: int) -> str:
    wrote = f"{figures['answers_ended'] * answers:.0f} of {answers} answers came to an end"
    if not ends:
        return wrote
    first = figures["turn_ends_predicted"] * ends
    return f"the end is the likeliest token at {first:.0f} of {ends} ends, and {wrote}"


def _cause(turns: list[Turn], tokenizer: Any, stops: Sequence[int], key: str) -> str:
    """The likeliest reason, by what stands at the end of most turns, and what to do about it."""
    known = zip(tokenizer.convert_ids_to_tokens(list(stops)), stops, strict=True)
    names = " or ".join(name or f"token {number}" for name, number in known)
    kinds = Counter(turn.kind for turn in turns)
    closing = Counter(turn.ids[turn.end - 1] for turn in turns if turn.kind in (CUT, OTHER))
    if 2 * kinds[COUNTED] >= len(turns):
        return f"too little was learnt; raise {key}.num_train_epochs or {key}.learning_rate"
    if kinds[UNCOUNTED] >= kinds[CUT] + kinds[OTHER]:
        return f"the labels do not count {names} behind the answers; `dvc repro -f prepare`"
    (token, times), *_ = closing.most_common(1)
    if kinds[OTHER] >= kinds[CUT] or (times == closing.total() > 1):
        shown = tokenizer.convert_ids_to_tokens(token)
        return (
            f"the chat template ends a turn with {shown}, and generation stops at {names}; run the"
            " pipeline from download again, or set model.chat_template"
        )
    return f"{kinds[CUT]} of {len(turns)} answers are cut before their end; raise data.cutoff_len"
