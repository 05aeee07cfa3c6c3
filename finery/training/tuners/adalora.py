"""LoRA whose ranks go to the layers that need them most, by PEFT."""

from collections.abc import Iterator
from copy import copy
from pathlib import Path
from typing import Any

from finery.params.tuners.adalora import AdaloraParams
from finery.training.places import places

STATE = "pruning.safetensors"
ORTHOGONALITY = 0.5
"""The weight, PEFT's, of the term that keeps A and B orthogonal."""


def peft_config(params: AdaloraParams) -> Any:
    """PEFT's configuration; the task type is the method's to set, the steps are the Trainer's."""
    from peft import AdaLoraConfig

    return AdaLoraConfig(
        init_r=params.init_rank,
        target_r=params.target_rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        total_step=1,
        **places(params),
    )


def attach(params: AdaloraParams, trainer: Any) -> None:
    """Have the ranks pruned after each step, as far as this one goes."""
    layers = trainer.model.base_model
    # PEFT adds its term to a loss that the model returns, and few of our Trainers have it do so.
    layers.forward = layers.model.forward
    # The first: a checkpoint is marked as complete by another.
    trainer.callback_handler.callbacks.insert(0, _pruning(params, layers))


def _pruning(params: AdaloraParams, layers: Any) -> Any:
    """A Trainer callback that keeps A and B orthogonal, prunes, and knows more after a kill.

    The pruned triplets are zero and stay in the adapter: PEFT would cut them off in checkpoints,
    from which the optimizer could not go on.
    """
    from transformers import TrainerCallback

    allocator = layers.rankallocator
    allocator.peft_config = plan = copy(allocator.peft_config)

    class Pruning(TrainerCallback):
        kept: dict[str, list[bool]] = {}

        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            plan.total_step, plan.deltaT = state.max_steps, params.every
            plan.tinit = int(params.begin * state.max_steps)
            plan.tfinal = int(params.end * state.max_steps)
            if state.global_step:
                self.kept = _read(_file(args, state), allocator)

        def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            _keep_orthogonal(layers.model)

        def on_optimizer_step(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            step, last = state.global_step + 1, plan.total_step - plan.tfinal
            if step > last:
                allocator.mask_using_rank_pattern(layers.model, self.kept)
                return
            _, kept = allocator.update_and_allocate(layers.model, step, force_mask=step == last)
            self.kept = kept or self.kept

        def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            if state.is_world_process_zero:
                _write(_file(args, state), allocator, self.kept)

    return Pruning()


def _keep_orthogonal(model: Any) -> None:
    """Add to the gradients those of how far A A^T and B^T B are from one, in the mean of all."""
    import torch

    pairs = [(weight, "lora_A" in name) for name, weight in model.named_parameters()
             if weight.requires_grad and ("lora_A" in name or "lora_B" in name)]  # fmt: skip
    with torch.enable_grad():
        for weight, is_a in pairs:
            product = weight @ weight.T if is_a else weight.T @ weight
            off = torch.linalg.matrix_norm(product - torch.eye(len(product), device=weight.device))
            (gradient,) = torch.autograd.grad(off * ORTHOGONALITY / len(pairs), weight)
            if weight.grad is not None:
                weight.grad += gradient


def _file(args: Any, state: Any) -> Path:
    return Path(args.output_dir) / f"checkpoint-{state.global_step}" / STATE


def _tables(allocator: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    yield "importance", allocator.exp_avg_ipt
    yield "uncertainty", allocator.exp_avg_unc


def _write(file: Path, allocator: Any, kept: dict[str, list[bool]]) -> None:
    import torch
    from safetensors.torch import save_file

    tensors = {f"kept:{name}": torch.tensor(rows) for name, rows in kept.items()}
    for table, values in _tables(allocator):
        tensors |= {f"{table}:{name}": value.contiguous() for name, value in values.items()}
    save_file(tensors, file)


def _read(file: Path, allocator: Any) -> dict[str, list[bool]]:
    """Put back what was kept of the importance; which triplets were left is returned."""
    from safetensors.torch import load_file

    tensors = {tuple(key.split(":", 1)): value for key, value in load_file(file).items()}
    for table, values in _tables(allocator):
        found = {name: value for (kind, name), value in tensors.items() if kind == table}
        values.update(found)
    # PEFT fills in zeros where the last importance is missing, and it is not used again.
    allocator.ipt = dict(allocator.exp_avg_ipt)
    return {name: rows.tolist() for (kind, name), rows in tensors.items() if kind == "kept"}
