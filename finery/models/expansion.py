"""A model with more blocks than it had: copies of its own that begin by adding nothing."""

import re
from copy import deepcopy
from typing import Any

from finery.errors import UserError

OUTPUTS = re.compile(
    r"(^|\.)(o_proj|out_proj|c_proj|dense|down_proj|dense_4h_to_h|fc2|fc_out|wo|w2)(\.|$)"
)
"""What the ends of attention and feed-forward networks are called in the models of transformers."""


class ExpansionError(UserError):
    """The model cannot be given more blocks."""


def expand(model: Any, count: int) -> list[int]:
    """Put `count` copies of blocks into `model`, spread evenly, each after the one it copies.

    What the copies add to the stream is zero until they are trained, so the model computes what
    it did (LLaMA Pro, arXiv:2401.02415). Returns their places. Raises `ExpansionError`.
    """
    config, blocks = model.config.get_text_config(decoder=True), blocks_of(model)
    if count > (had := len(blocks)):
        raise ExpansionError(f"{count} new blocks are more than the {had} that the model has")
    before = _logits(model)
    copied = [(each + 1) * had // count - 1 for each in range(count)]
    for place in reversed(copied):
        blocks.insert(place + 1, _silent(blocks[place]))
    for index, block in enumerate(blocks):
        for part in block.modules():
            if hasattr(part, "layer_idx"):
                part.layer_idx = index
    config.num_hidden_layers = len(blocks)
    for key, value in _lists_of_blocks(config, had):
        setattr(config, key, [value[place] for place in sorted([*range(had), *copied])])
    if not _logits(model).equal(before):
        raise ExpansionError(
            f"{type(model).__name__} does not compute the same with blocks that add nothing;"
            " train it by another tuner"
        )
    return [place + 1 + number for number, place in enumerate(copied)]


def blocks_of(model: Any) -> Any:
    """The list of a model's blocks. Raises `ExpansionError` if it has none."""
    from torch.nn import ModuleList

    count = model.config.get_text_config(decoder=True).num_hidden_layers
    lists = [part for part in model.modules() if isinstance(part, ModuleList)]
    fitting = [part for part in lists if len(part) == count]
    if not fitting:
        raise ExpansionError(f"{type(model).__name__} has no list of {count} blocks")
    return max(fitting, key=lambda part: sum(weight.numel() for weight in part.parameters()))


def _silent(block: Any) -> Any:
    import torch

    copy = deepcopy(block)
    with torch.no_grad():
        for name, weight in copy.named_parameters():
            if OUTPUTS.search(name):
                weight.zero_()
    return copy


def _lists_of_blocks(config: Any, count: int) -> list[tuple[str, list]]:
    """What a config says of each block, such as layer_types."""
    kept = [(key, value) for key, value in vars(config).items() if "layer" in key]
    return [(key, value) for key, value in kept if isinstance(value, list) and len(value) == count]


def _logits(model: Any) -> Any:
    """What it computes of a few tokens."""
    import torch

    size = model.get_input_embeddings().num_embeddings
    with torch.inference_mode():
        tokens = torch.arange(8, device=model.device)[None] % size
        return model.eval()(input_ids=tokens, use_cache=False).logits
