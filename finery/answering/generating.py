"""The tokens of one answer by transformers, told as they come."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from finery.answering.sampling import Sampling


def generate(
    model: Any,
    prompt: Sequence[int],
    room: int,
    stops: Sequence[int],
    sampling: Sampling,
    said: Callable[[int], None],
    left: Callable[[], bool],
    *,
    seen: Callable[[Any], Mapping[str, Any]] = lambda _: {},
    watching: Callable[[Any], None] | None = None,
) -> None:
    """Tell `said` each token until one of `stops`, which is told too, or `room` of them.

    Ends soon after `left` says so. `seen` gives what the model takes beside the tokens (1 x
    tokens); `watching` sees the logits (vocabulary) of each token before it is chosen, without
    temperature. Raises what the model does.
    """
    import torch

    def gone(ids: Any, scores: Any, **_: Any) -> Any:
        return torch.full((len(ids),), left(), device=ids.device)

    def watched(ids: Any, scores: Any) -> Any:
        watching(scores[0])
        return scores

    tokens = torch.tensor([list(prompt)], device=model.device)
    with torch.inference_mode(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(sampling.seed) if sampling.seed is not None else torch.seed()
        model.generate(
            input_ids=tokens,
            attention_mask=torch.ones_like(tokens),
            max_new_tokens=room,
            eos_token_id=list(stops),
            pad_token_id=stops[0],
            num_beams=1,
            streamer=_Told(said),
            stopping_criteria=[gone],
            logits_processor=[watched] if watching else [],
            repetition_penalty=sampling.repetition_penalty,
            **_choosing(sampling),
            **seen(tokens),
        )


class _Told:
    """A streamer, as `generate` has it."""

    def __init__(self, said: Callable[[int], None]) -> None:
        self._said = said

    def put(self, ids: Any) -> None:
        """Called first with the prompt, then with each new token."""
        if ids.dim() == 1:
            self._said(int(ids[0]))

    def end(self) -> None:
        """Called at the end."""


def _choosing(sampling: Sampling) -> dict[str, Any]:
    """What `generate` takes; greedy as the evaluation is."""
    if sampling.temperature == 0:
        return {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
    return {
        "do_sample": True,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
        "top_k": sampling.top_k,
    }
