"""A layer with LoRA in one product is PEFT's layer: the same outputs, the same gradients."""

from pathlib import Path
from typing import Any

import pytest
import torch
from peft import LoraConfig, get_peft_model
from peft.tuners.lora import Linear

from finery.data.prepared import write_parquet
from finery.models.load import load_model
from finery.training.lora_kernel import is_worth_merging, quicken
from finery.training.start import built
from tests.steps import step

FEW, MANY = (1, 3), (3, 50)
"""Rows and their lengths; a merged matrix is worth it for the many alone."""


def adapted(model: Path, dtype: str = "float32", **settings: Any) -> Any:
    """With an adapter that does something."""
    torch.manual_seed(0)
    settings = {"target_modules": "all-linear", "r": 4, "lora_alpha": 12} | settings
    made = get_peft_model(load_model(model, dtype), LoraConfig(**settings))
    generator = torch.Generator().manual_seed(1)
    for name, weight in made.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.1, generator=generator)
        if name.endswith("bias"):
            weight.data.normal_(generator=generator)
    return made.train()


def results(model: Any, size: tuple[int, int]) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    """Logits, and the gradients of a loss of them."""
    model.zero_grad()
    ids = torch.randint(5, 300, size, generator=torch.Generator().manual_seed(2))
    logits = model(input_ids=ids, use_cache=False).logits
    logits.float().log_softmax(-1)[..., 7].sum().backward()
    named = model.named_parameters()
    return logits.detach(), {name: w.grad.clone() for name, w in named if w.grad is not None}


@pytest.mark.parametrize("size", [FEW, MANY], ids=["few", "many"])
@pytest.mark.parametrize(
    "settings",
    [{}, {"use_rslora": True}, {"rank_pattern": {"down_proj": 1}, "alpha_pattern": {"q_proj": 40}},
     {"target_modules": ["v_proj"], "layers_to_transform": [1]}],
    ids=["plain", "rslora", "patterns", "one layer"],
)  # fmt: skip
def test_the_logits_and_gradients_are_pefts(
    settings: dict[str, Any], size: tuple[int, int], tiny_model: Path
) -> None:
    model = adapted(tiny_model, **settings)
    expected, pulls = results(model, size)
    layers = sum(type(part) is Linear for part in model.modules())
    assert quicken(model) == layers == (1 if "layers_to_transform" in settings else 14)
    weight = torch.empty(64, 128)
    assert is_worth_merging(size[0] * size[1], weight) == (size == MANY)
    found, gradients = results(model, size)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert gradients.keys() == pulls.keys() and len(pulls) == 2 * layers
    for name, pull in pulls.items():
        assert pull.abs().max() > 1e-3
        torch.testing.assert_close(gradients[name], pull, rtol=1e-4, atol=1e-4 * pull.abs().max())


def test_a_bias_of_the_layer_is_added(tiny_model: Path) -> None:
    model = adapted(tiny_model, target_modules=["o_proj"])
    for part in model.modules():
        if type(part) is Linear:
            part.base_layer.bias = torch.nn.Parameter(torch.arange(64.0) / 50, requires_grad=False)
    expected, pulls = results(model, MANY)
    assert quicken(model) == 2
    found, gradients = results(model, MANY)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    for name, pull in pulls.items():
        torch.testing.assert_close(gradients[name], pull, rtol=1e-4, atol=1e-4 * pull.abs().max())


def test_in_half_precision_no_small_change_of_a_weight_is_lost(tiny_model: Path) -> None:
    model = adapted(tiny_model, "bfloat16")
    expected, _ = results(model, MANY)
    ids = torch.randint(5, 300, MANY, generator=torch.Generator().manual_seed(2))
    with torch.no_grad(), model.disable_adapter():
        plain = model(input_ids=ids, use_cache=False).logits
    assert quicken(model) == 14 and not is_worth_merging(10**6, torch.empty(2, 2).bfloat16())
    found, gradients = results(model, MANY)
    assert (found - expected).abs().mean() < (plain - expected).abs().mean() / 20
    assert {pull.dtype for pull in gradients.values()} == {torch.float32}  # as PEFT has them


@pytest.mark.parametrize(
    "settings", [{"lora_dropout": 0.1}, {"use_dora": True}, {"lora_bias": True}],
    ids=["dropout", "dora", "bias"],
)  # fmt: skip
def test_layers_that_are_more_are_left_to_peft(settings: dict[str, Any], tiny_model: Path) -> None:
    model = load_model(tiny_model, "float32")
    if "lora_bias" in settings:
        layer = model.model.layers[0].mlp.up_proj
        layer.bias = torch.nn.Parameter(torch.zeros(128))
    config = LoraConfig(target_modules=["layers.0.mlp.up_proj"], **settings)
    assert quicken(get_peft_model(model, config)) == 0


def test_without_the_adapter_it_is_the_model(tiny_model: Path) -> None:
    ids, model = torch.arange(5, 50)[None], adapted(tiny_model)
    plain = load_model(tiny_model, "float32")(ids).logits
    quicken(model)
    with torch.no_grad(), model.disable_adapter():
        torch.testing.assert_close(model(ids).logits, plain, rtol=0, atol=1e-5)
    assert (model(ids).logits - plain).abs().max() > 0.01
    torch.testing.assert_close(
        model.merge_and_unload()(ids).logits, adapted(tiny_model)(ids).logits, rtol=0, atol=1e-5
    )


@pytest.mark.parametrize("wanted", [True, False])
def test_the_setting_says_whether(wanted: bool, tiny_model: Path, tmp_path: Path) -> None:
    sample = {"dataset": "d", "input_ids": list(range(5, 25)), "labels": list(range(5, 25))}
    write_parquet(tmp_path / "train.parquet", "samples", [sample])
    write_parquet(tmp_path / "validation.parquet", "samples", [])
    trainer = built(
        step(cpu_kernels=wanted, precision="fp32"), tiny_model, tmp_path, tmp_path / "c"
    )
    layers = [part for part in trainer.model.modules() if type(part) is Linear]
    assert len(layers) == 14
    assert {"forward" in vars(part) for part in layers} == {wanted}
