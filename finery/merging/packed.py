"""How a merged model compares with what was trained: the adapter on weights in GPTQ or AWQ."""

from pathlib import Path
from typing import Any

from finery.merging.fidelity import compare, logits
from finery.models.packed import load_packed
from finery.models.rope import scaling_of, stretched


def beside_packed(
    start: Path, adapter: Path, merged: list[Any], probes: list[list[int]]
) -> dict[str, float]:
    """What `compare` gives of the logits of the adapter on the quantized weights and of `merged`.

    The difference is what the few bits had lost, and no fault: it is measured to be told.
    """
    from peft import PeftModel

    packed = load_packed(start, "float32", **stretched(start, scaling_of(adapter)))
    expected = logits(PeftModel.from_pretrained(packed, adapter).eval(), probes)
    return compare(expected, merged)
