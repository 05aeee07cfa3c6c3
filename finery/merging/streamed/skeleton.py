"""A model without its weights: all of its parts, each weight a number that is read as a tensor."""

import warnings
from functools import cache
from pathlib import Path
from typing import Any

from finery import lineage
from finery.merging.adapter import WEIGHTS
from finery.merging.fidelity import MergeError
from finery.models.scoring import know_padding
from finery.models.seeing import sees
from finery.models.stored import Stored


def empty(model: Path, scores: bool, dtype: str, tokens: int | None = None, **settings: Any) -> Any:
    """The model in a folder in evaluation mode, without its weights (they are on torch's meta).

    With a head that scores if it `scores`; with tables of `tokens` rows, if given. `settings` take
    the place of what config.json says.
    """
    import torch
    import transformers
    from accelerate import init_empty_weights

    trusted = {"trust_remote_code": lineage.trusts_remote_code(model)}
    settings |= {"num_labels": 1} if scores else {}
    config = transformers.AutoConfig.from_pretrained(
        model, local_files_only=True, **trusted, **settings
    )
    if tokens is not None:
        config.get_text_config().vocab_size = tokens
    kind = transformers.AutoModelForCausalLM
    if scores:
        kind = transformers.AutoModelForSequenceClassification
    elif sees(model):
        kind = transformers.AutoModelForImageTextToText
    with init_empty_weights(include_buffers=False):
        made = kind.from_config(config, dtype=getattr(torch, dtype), **trusted).eval()
    if (model / "generation_config.json").exists():
        made.generation_config = transformers.GenerationConfig.from_pretrained(model)
    if scores:
        know_padding(made, model)
    return made


def hollow(model: Any) -> Any:
    """A model without weights whose weights are each one NaN, read as a tensor of its shape.

    PEFT, and what computes with a model, take them for weights; they have no memory.
    """
    import torch

    for part in model.modules():
        for name, weight in part._parameters.items():
            if weight is not None:
                read = _nothing().expand(weight.shape)
                part._parameters[name] = torch.nn.Parameter(read, requires_grad=False)
    model.tie_weights()
    return model


def is_hollow(weight: Any) -> bool:
    """Whether a weight is only read as a tensor, and nothing was put in its place."""
    return weight.untyped_storage().data_ptr() == _nothing().untyped_storage().data_ptr()


@cache
def _nothing() -> Any:
    import torch

    return torch.full((), torch.nan)


def tokens_of(adapter: Path, model: Any) -> int | None:
    """How many rows the tables of words have that came whole with an adapter, if not as many as
    those of the model.
    """
    found = Stored([adapter / WEIGHTS])
    tables = (model.get_input_embeddings(), model.get_output_embeddings())
    names = {name for name, part in model.named_modules() if part in tables}
    whole = {f"base_model.model.{n}{layer}.weight" for n in names for layer in ("", ".base_layer")}
    rows = {found.shape(name)[0] for name in whole if name in found}
    return rows.pop() if len(rows) == 1 and rows != {len(tables[0].weight)} else None


def adapted(model: Any, base: Path, adapter: Path) -> Any:
    """A skeleton under PEFT's adapter, whose own weights are in memory, in float32.

    Raises `MergeError` if it does not fit.
    """
    from peft import PeftModel

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("error", "Found missing adapter keys")
            found = PeftModel.from_pretrained(model, adapter, low_cpu_mem_usage=True)
    except (RuntimeError, ValueError, UserWarning) as error:  # PEFT's, a line for each tensor
        if isinstance(error, RuntimeError) and "size mismatch" not in str(error):
            raise
        raise MergeError(f"{adapter} does not fit {base}; train it again") from None
    return found.float().eval()
