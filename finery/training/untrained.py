"""Training that left the model as it was is no success."""

import hashlib
from typing import Any

from finery.training.errors import TrainingError
from finery.training.sharing import whole


def fingerprints(model: Any) -> dict[str, str]:
    """The SHA-256 of each trained weight, by the weight's name."""
    return {n: _sha256(whole(w)) for n, w in model.named_parameters() if w.requires_grad}


def refuse_untrained(model: Any, begun: dict[str, str], key: str) -> None:
    """Raises `TrainingError` if nothing was learnt.

    No weight is another than in `begun`, `fingerprints` from before the first step; or those of
    an adapter that are do nothing, as when every B is still zero. `key` is where the settings are.
    """
    if fingerprints(model) == begun:
        what = "training changed nothing: every weight is as before the first step"
    elif hasattr(model, "disable_adapter") and _does_nothing(model):
        what = "the adapter does nothing: with it, the model computes what it does without"
    else:
        return
    raise TrainingError(f"{what}; raise {key}.learning_rate or {key}.num_train_epochs")


def _does_nothing(model: Any) -> bool:
    import torch

    model.eval()
    vocabulary = model.get_input_embeddings().num_embeddings
    tokens = torch.arange(16, device=model.device)[None] % vocabulary
    with torch.inference_mode():
        adapted = model(input_ids=tokens, use_cache=False).logits
        with model.disable_adapter():
            return adapted.equal(model(input_ids=tokens, use_cache=False).logits)


def _sha256(weight: Any) -> str:
    import torch

    return hashlib.sha256(weight.cpu().contiguous().view(-1).view(torch.uint8).numpy()).hexdigest()
