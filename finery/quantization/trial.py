"""A model that was just made has to load and to answer before its stage succeeds."""

import math
import struct
from collections.abc import Sequence
from pathlib import Path

from finery.errors import PipelineError
from finery.inference.loading import load_for_inference

TOKENS = 4
ODD = (ValueError, LookupError, TypeError, RuntimeError, AttributeError, struct.error)
"""What libraries raise on a file that is not what they expect."""


class TrialError(PipelineError):
    """A model that was made does not load, or does not answer."""


def insist_on_an_answer(model: Path, ids: Sequence[int]) -> float:
    """Load the model as the evaluation will, and have it go on from `ids` by a few tokens.

    Returns its loss on `ids` in nats a token, so that a log can show it. Raises `TrialError` if
    it does not load, or if what it computes is no number.
    """
    import torch

    try:
        loaded = load_for_inference(model)
        prompt = torch.tensor([list(ids)], device=loaded.device)
        with torch.inference_mode():
            loss = float(loaded(prompt, labels=prompt).loss)
            answer = loaded.generate(
                prompt,
                attention_mask=torch.ones_like(prompt),
                max_new_tokens=TOKENS,
                min_new_tokens=1,
                do_sample=False,
            )
    except ODD as error:
        reason = next(iter(str(error).splitlines()), type(error).__name__)
        raise TrialError(f"{model}: it was made, and does not answer: {reason}") from error
    if not math.isfinite(loss) or answer.shape[1] <= len(ids):
        raise TrialError(f"{model}: it was made, and what it answers is no number")
    return loss
