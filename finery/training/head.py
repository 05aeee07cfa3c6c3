"""TRL's fused head on a CPU: the positions that the loss counts, and no others.

Where Triton is, TRL projects them alone onto the vocabulary. Elsewhere it projects all positions,
so that the shapes stay the same for compilers that mind, and forgets what does not count: of DPO's
and KTO's questions and padding, a quarter of a step and more with a small model.
"""

from typing import Any


def project_counted(wanted: bool) -> None:
    """Have it do so in this process from now on; or as TRL has it."""
    from trl.kernels.chunked_logprob import _use_triton
    from trl.trainer import utils

    utils._use_triton = _anywhere if wanted else _use_triton  # asked for that choice alone


def _anywhere(device: Any) -> bool:
    return True
