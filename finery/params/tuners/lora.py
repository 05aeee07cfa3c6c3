"""`tuner` of type lora: an adapter of low rank."""

from typing import Annotated, Literal

from pydantic import Field

from finery.params.adapter import PlacedParams, Positive, Rank, Share


class LoraParams(PlacedParams):
    """Low-rank adaptation (Hu et al. 2021, arXiv:2106.09685)."""

    type: Literal["lora"]
    rank: Rank = 8
    alpha: Positive = 16
    """How strong the adapter is: alpha / rank times what it computes."""
    dropout: Share = 0.0
    rank_pattern: dict[str, Rank] = {}
    """Other ranks for some layers, by their names, such as {down_proj: 32}."""
    alpha_pattern: dict[str, Positive] = {}
    """Other alphas for some layers, by their names."""
    use_rslora: bool = False
    """Scale by alpha / sqrt(rank), for high ranks (Kalajdzievski 2023, arXiv:2312.03732)."""
    use_dora: bool = False
    """Train the length of the weights apart from their direction (DoRA, arXiv:2402.09353)."""
    init: Annotated[
        str, Field(pattern=r"^(default|gaussian|orthogonal|olora|pissa|pissa_niter_[1-9][0-9]?)$")
    ] = "default"
    """How it begins: default, gaussian, orthogonal, olora, pissa or, faster, pissa_niter_16."""
    loraplus_lr_ratio: Annotated[float, Field(ge=1)] | None = None
    """How many times the learning rate B has (LoRA+, Hayou et al. 2024, arXiv:2402.12354)."""
    target_parameters: list[str] = []
    """Parameters that are no layers, as experts have them, such as [mlp.experts.down_proj]."""

    @property
    def is_principal(self) -> bool:
        """Whether it begins as a part of the model, which is taken out of that."""
        return self.init.startswith(("pissa", "olora"))
