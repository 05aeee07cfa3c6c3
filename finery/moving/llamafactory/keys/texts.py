"""What a run learns from and by which chat template: datasets, lengths, templates."""

import json
from functools import cache
from math import ceil
from pathlib import Path
from typing import Any

from finery.moving.llamafactory.files.given import MovingError, names
from finery.moving.llamafactory.keys.draft import Draft
from finery.moving.llamafactory.keys.models import base

DRAWING = ("temperature", "top_p", "top_k")
TEMPLATES = Path(__file__).parent / "templates.json"
OWN_TEMPLATE = "model.chat_template"
COUNTED = "a number of samples there, a share here; {}"
OWN = "the model's own chat template is used, in training, evaluation and package"


@cache
def templates() -> dict[str, dict[str, Any]]:
    """Of LLaMA-Factory 0.9.5's: default system prompt, stop words, whether it can think."""
    return json.loads(TEMPLATES.read_text("utf-8"))


def datasets(draft: Draft) -> None:
    asked = names(draft["dataset"])
    draft.carry("data.train", list(dict.fromkeys(asked)) or None, "dataset",
                note="each once" if len(set(asked)) < len(asked) else "")  # fmt: skip
    watched = [name for name in names(draft["eval_dataset"]) if name not in asked]
    if len(watched) < len(names(draft["eval_dataset"])):
        draft.leave("eval_dataset", "what is trained on is no test")
    if watched:
        draft.carry("data.eval_dataset", list(dict.fromkeys(watched)), "eval_dataset")


def mixing(draft: Draft) -> None:
    if draft.has("mix_strategy"):
        draft.carry("data.mix_strategy", draft["mix_strategy"], "mix_strategy")
    shares = _numbers(draft, "interleave_probs")
    total = sum(shares)
    note = "" if abs(total - 1) < 1e-6 or not shares else f"divided by their sum, {total:g}"
    draft.carry("data.interleave_probs", [s / total for s in shares] if total else None,
                "interleave_probs", note=note)  # fmt: skip


def _numbers(draft: Draft, key: str) -> list[float]:
    try:
        return [float(each) for each in names(draft[key])]
    except ValueError:
        given = draft.source.given[key]
        raise MovingError(f"{given.where}: {key}: must be numbers, not {given.value}") from None


def lengths(draft: Draft) -> None:
    draft.carry("data.cutoff_len", draft["cutoff_len"], "cutoff_len")
    draft.carry("data.max_samples", draft["max_samples"], "max_samples")
    pretrains = draft.values["step.method"] == "pretrain"
    packs = draft["packing"] or draft["neat_packing"]
    if draft["packing"] is None and pretrains:
        draft.carry("data.packing", True)
        draft.origins["data.packing"] = "LLaMA-Factory's default in stage: pt"
    else:
        note = "the samples of a row do not see each other, as in neat_packing"
        alone = draft["packing"] and not draft["neat_packing"]
        draft.carry("data.packing", bool(packs), "packing", note=note if alone else "")
        draft.carry("data.packing", bool(packs), "neat_packing")
        if draft.has("packing"):
            draft.origins["data.packing"] = draft.source.given["packing"].where


def masks(draft: Draft) -> None:
    for key in ("mask_history", "train_on_prompt"):
        draft.carry(f"data.{key}", draft[key], key)


def validation(draft: Draft) -> None:
    size = draft["val_size"]
    if size < 1:
        draft.carry("data.val_size", size, "val_size")
    else:  # the share is known once the rows are counted
        draft.carry("data.val_count", int(size), "val_size", note=COUNTED.format("of the rows"))


def template(draft: Draft) -> None:
    if not draft.has("template"):
        return
    name = str(draft["template"])
    known = templates().get(name)
    if known is None:
        draft.note("template", f"{OWN}; {name} is none of LLaMA-Factory 0.9.5's", OWN_TEMPLATE)
        return
    differences = []
    if system := known.get("system"):
        shown = system if len(system) < 60 else system[:57] + "..."
        differences.append(f'{name} begins with the system prompt "{shown.strip()}"')
    if stops := known.get("stop"):
        differences.append(f"{name} stops at {' '.join(stops)}")
    draft.note("template", "; ".join([OWN, *differences]), OWN_TEMPLATE)


def thinking(draft: Draft) -> None:
    """Only templates that can think look at it; others would not know the keyword."""
    thinks = templates().get(str(draft["template"]), {}).get("thinks")
    if draft.has("enable_thinking") and draft["enable_thinking"] is False and thinks:
        keywords = {"enable_thinking": False}
        draft.carry("data.chat_template_kwargs", keywords, "enable_thinking",
                    note="if the model's template looks at it: `finery check` says so")  # fmt: skip
    elif draft.has("enable_thinking") and draft["enable_thinking"] is False:
        draft.note("enable_thinking", "this template does not think anyway")
    else:
        draft.note("enable_thinking", "a model learns to think where a row has thinking")


def rope(draft: Draft) -> None:
    """LLaMA-Factory takes as much as cutoff_len needs beyond the model's own positions."""
    kind = draft["rope_scaling"]
    if kind is None or not draft.has("model_name_or_path"):
        return
    if kind == "llama3":
        draft.leave("rope_scaling", "llama3's is of models that come with it; take yarn")
        return
    if kind not in ("linear", "dynamic", "yarn"):
        draft.leave("rope_scaling", "known are linear, dynamic and yarn")
        return
    positions = _positions(base(draft.source))
    if positions and draft["cutoff_len"] <= positions:
        note = f"cutoff_len is within the model's {positions} positions, so it is off there too"
        draft.note("rope_scaling", note)
        return
    factor = float(ceil(draft["cutoff_len"] / positions)) if positions else 2.0
    note = "" if positions else "there: cutoff_len / the model's positions; adjust factor to it"
    draft.carry("step.rope_scaling", {"rope_type": kind, "factor": factor}, "rope_scaling",
                note=note)  # fmt: skip


def _positions(source: str) -> int | None:
    """How many a model has that is here."""
    config = Path(source.removeprefix("path:")) / "config.json"
    try:
        return int(json.loads(config.read_text("utf-8"))["max_position_embeddings"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def media(draft: Draft) -> None:
    if draft.has("media_dir") and draft["media_dir"] != draft["dataset_dir"]:
        draft.leave("media_dir", "images are in dataset_dir, so that DVC sees them change")


def _drawn(draft: Draft) -> None:
    """LLaMA-Factory draws unless it is told not to; here only if a file itself says so."""
    keys = [key for key in ("do_sample", *DRAWING) if draft.has(key)]
    if draft["do_sample"] is False or (keys and not draft["temperature"]):
        draft.note("do_sample", "greedy, as the evaluation is anyway")
    elif keys:
        for key in DRAWING:
            draft.carry(f"evaluate.{key}", draft[key], key)
        draft.note("do_sample", "by evaluate.temperature", "evaluate.temperature")
    if draft.has("repetition_penalty"):
        draft.carry(
            "evaluate.repetition_penalty", draft["repetition_penalty"], "repetition_penalty"
        )


def asked(draft: Draft) -> None:
    """Of a prediction: what is asked, and how long the answers are."""
    chosen = names(draft["eval_dataset"]) or names(draft["dataset"])
    key = "eval_dataset" if draft.has("eval_dataset") else "dataset"
    draft.carry("data.test", list(dict.fromkeys(chosen)) or None, key)
    if draft.has("max_new_tokens"):
        draft.carry("evaluate.max_new_tokens", draft["max_new_tokens"], "max_new_tokens")
    if draft.has("per_device_eval_batch_size"):
        draft.carry("evaluate.batch_size", draft["per_device_eval_batch_size"],
                    "per_device_eval_batch_size")  # fmt: skip
    _drawn(draft)
    for key in ("do_predict", "do_eval", "predict_with_generate"):
        draft.note(key, "every model is asked the tests, and its loss on them is measured")
