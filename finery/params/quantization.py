"""`train.STEP.quantization`: the bits a model is held in while an adapter is trained on it.

QLoRA (Dettmers et al. 2023, arXiv:2305.14314): the weights are quantized as they are loaded, and
the adapter learns on top of them, in less memory; or there are such weights of the base model
already. It is merged into the model in full precision.
"""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.section import Section


class BnbParams(Section):
    """bitsandbytes, on GPUs and CPUs; in 8 bits it computes in float16."""

    method: Literal["bnb"]
    bits: Literal[4, 8] = 4
    type: Literal["nf4", "fp4"] = "nf4"
    """The numbers that 4 bits stand for: nf4 fits weights better than fp4."""
    double_quant: bool = True
    """In 4 bits: the scales of the blocks are quantized too, which saves 0.4 bits a weight."""

    @property
    def bytes_a_weight(self) -> float:
        """A scale of 4 bytes for 64 weights, or of one byte and as many of those for 256."""
        if self.bits == 8:
            return 1
        return 0.5 + ((1 + 4 / 256) / 64 if self.double_quant else 4 / 64)

    @property
    def words(self) -> str:
        return f"bitsandbytes, {self.type if self.bits == 4 else 'int8'}"


class TorchaoParams(Section):
    """torchao's integers, on GPUs and CPUs; its 4 bits are packed on NVIDIA GPUs alone."""

    method: Literal["torchao"]
    bits: Literal[8] = 8

    @property
    def bytes_a_weight(self) -> float:
        return 1

    @property
    def words(self) -> str:
        return "torchao, int8"


class HqqParams(Section):
    """Half-quadratic quantization, which needs no samples (mobiusml.github.io/hqq_blog)."""

    method: Literal["hqq"]
    bits: Literal[4, 8] = 4
    group_size: Literal[16, 32, 64, 128, 256] = 64
    """Weights that share a scale and a zero; must divide the layer widths."""

    @property
    def bytes_a_weight(self) -> float:
        return self.bits / 8 + 8 / self.group_size

    @property
    def words(self) -> str:
        return f"hqq, {self.bits} bits"


class PackedParams(Section):
    """Weights that came in GPTQ or AWQ, which model.quantized names; in 4 bits."""

    method: Literal["gptq", "awq"]

    @property
    def bytes_a_weight(self) -> float:
        """Half a byte, and for the 64 or so of a group a scale of 2 and a zero of half a byte."""
        return 0.5 + 2.5 / 64

    @property
    def words(self) -> str:
        return f"{self.method.upper()}, 4 bits"


Quantization = Annotated[
    BnbParams | TorchaoParams | HqqParams | PackedParams, Field(discriminator="method")
]
