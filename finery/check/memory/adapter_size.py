"""How many numbers an adapter trains on a layer, told from its settings."""

import math
from typing import Any


def adapter_size(tuner: Any, outputs: int, inputs: int, rank: int) -> int:
    """Of a layer of so many outputs and inputs; `rank`: what it has on this one, if any.

    What PEFT shapes by divisors of these is counted as if they had one at their root.
    """
    both = outputs + inputs
    match tuner.type:
        case "adalora":
            return tuner.init_rank * (both + 1)
        case "boft":
            return tuner.butterfly_factors * inputs * tuner.block_size + outputs
        case "fourierft":
            return tuner.n_frequency
        case "hra":
            return tuner.rank * inputs
        case "ia3" | "ln_tuning":
            return max(outputs, inputs)
        case "loha":
            return 2 * tuner.rank * both
        case "lokr":
            return int(math.sqrt(outputs * inputs) + tuner.rank * 2 * math.sqrt(max(both, 1)))
        case "miss":
            return tuner.rank * outputs
        case "oft":
            return inputs * (tuner.block_size - 1) // 2
        case "randlora":
            least = min(outputs, inputs)
            return math.ceil(least / tuner.rank) * (least + tuner.rank)
        case "vera":
            return outputs + tuner.rank
    return rank * both + (outputs if getattr(tuner, "use_dora", False) else 0)
