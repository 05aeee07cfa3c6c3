"""Models that score a text with one number: what a reward model is."""

import json
from pathlib import Path
from typing import Any

from finery import lineage
from finery.errors import UserError
from finery.models.tokenizer import load_tokenizer

ENDING = "ForSequenceClassification"
FILES = ("config.json", "adapter_config.json", "trained.json")


class ScoringError(UserError):
    """The model cannot be given a head that scores."""


def is_scorer(model: Path) -> bool:
    """Whether a model folder, or the one that a step trained an adapter or weights of, scores."""
    config, adapter, trained = (_json(model / name) for name in FILES)
    heads = [*(config.get("architectures") or []), trained.get("architecture", "")]
    return adapter.get("task_type") == "SEQ_CLS" or any(head.endswith(ENDING) for head in heads)


def load_scorer(model: Path, dtype: str, seed: int = 0, **settings: Any) -> Any:
    """A sequence classifier of one label, in evaluation mode, on the CPU.

    It is made of a reward model, or of a causal language model, whose head is left out and whose
    scores begin at random, by `seed`. `dtype` is torch's name of the type. It scores a text at its
    last token that is no padding; raises `ScoringError` if transformers cannot have it do so.
    """
    import torch
    from transformers import AutoModelForSequenceClassification

    with torch.random.fork_rng():
        torch.manual_seed(seed)
        try:
            scorer = AutoModelForSequenceClassification.from_pretrained(
                model,
                dtype=getattr(torch, dtype),
                num_labels=1,
                use_safetensors=True,
                local_files_only=True,
                trust_remote_code=lineage.trusts_remote_code(model),
                **settings,
            )
        except ValueError as error:
            if "Unrecognized configuration class" not in str(error):
                raise
            kind = _json(model / "config.json").get("model_type")
            raise ScoringError(
                f"{model}: transformers has no reward models of the type {kind}; take another model"
            ) from None
    know_padding(scorer, model)
    return scorer


def know_padding(scorer: Any, model: Path) -> None:
    """Have a scorer tell what is padding, by the tokenizer in the folder of `model`."""
    tokenizer = load_tokenizer(model)
    padding = tokenizer.pad_token_id
    config = scorer.config.get_text_config()
    config.pad_token_id = tokenizer.eos_token_id if padding is None else padding


def _json(file: Path) -> dict[str, Any]:
    return json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
