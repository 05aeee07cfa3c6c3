"""What processes that train together share: the settings of it, weights in parts, one leader."""

import os
from collections.abc import Callable
from typing import Any

from finery.errors import PipelineError
from finery.params.pace import devices
from finery.params.step import StepParams


class SharingError(PipelineError):
    """The libraries have not set up what was asked for."""


def leads() -> bool:
    """Whether this process is the one that writes; alone it is."""
    return os.environ.get("RANK", "0") == "0"


def from_leader(asked: Callable[[], Any]) -> Any:
    """What the leader finds, for all."""
    if devices() == 1:
        return asked()
    from accelerate.utils import broadcast_object_list

    return broadcast_object_list([asked() if leads() else None])[0]


def all_there() -> None:
    """Wait for the others."""
    if devices() > 1:
        from torch import distributed

        distributed.barrier()


def sharing(params: StepParams) -> str:
    """By what the processes share: ddp, where auto leaves it open; none if there is but one."""
    if devices() == 1:
        return "none"
    return "ddp" if params.distributed in ("auto", "none") else params.distributed


def sharing_arguments(params: StepParams, dtype: str) -> dict[str, Any]:
    """Keywords for TrainingArguments; `dtype` is the type to train in, by torch's name."""
    import torch

    kind = sharing(params)
    if kind == "none":
        return {}
    given: dict[str, Any] = {"average_tokens_across_devices": True}
    if not torch.cuda.is_available():
        given |= {"use_cpu": True}
    if kind == "ddp":
        given |= {"ddp_find_unused_parameters": False}  # all that is trained is used in each batch
    if kind == "fsdp2":
        _quiet()
        if not torch.cuda.is_available():
            _let_cpus_shard()
        recompute = params.gradient_checkpointing
        given |= {"fsdp": True, "fsdp_config": _FSDP2 | {"activation_checkpointing": recompute}}
        given |= {"gradient_checkpointing": False}  # FSDP2's own gathers weights once less
    if kind.startswith("deepspeed"):
        given |= {"deepspeed": _zero(int(kind[-1]), dtype)}
    return given


_FSDP2 = {"version": 2, "state_dict_type": "FULL_STATE_DICT", "reshard_after_forward": True}


def _zero(stage: int, dtype: str) -> dict[str, Any]:
    """DeepSpeed's configuration; what the Trainer knows it fills in."""
    zero: dict[str, Any] = {"stage": stage}
    if stage == 3:
        zero["stage3_gather_16bit_weights_on_model_save"] = True
    return {
        "zero_optimization": zero,
        "zero_allow_untested_optimizer": True,
        "zero_force_ds_cpu_optimizer": False,
        "bf16": {"enabled": dtype == "bfloat16"},
        "fp16": {"enabled": dtype == "float16"},
        "train_batch_size": "auto",
        "train_micro_batch_size_per_gpu": "auto",
        "gradient_accumulation_steps": "auto",
        "gradient_clipping": "auto",
    }


def _let_cpus_shard() -> None:
    """accelerate knows FSDP on accelerators alone, and silently leaves it out on CPUs."""
    from accelerate.state import AcceleratorState, PartialState
    from accelerate.utils import DistributedType

    stock = AcceleratorState.__init__
    if getattr(stock, "shards", False):
        return

    def begin(self: Any, *given: Any, fsdp_plugin: Any = None, **named: Any) -> None:
        stock(self, *given, fsdp_plugin=fsdp_plugin, **named)
        if fsdp_plugin is not None:
            if self._mixed_precision != "no":
                fsdp_plugin.set_mixed_precision(self._mixed_precision)
            self.fsdp_plugin, self.distributed_type = fsdp_plugin, DistributedType.FSDP
            PartialState._shared_state["distributed_type"] = DistributedType.FSDP

    begin.shards = True
    AcceleratorState.__init__ = begin


def insist_on_sharing(trainer: Any, params: StepParams) -> Any:
    """A Trainer callback that stops a training whose model is not shared as was asked for."""
    from transformers import TrainerCallback

    class Insist(TrainerCallback):
        def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
            found, wanted = _shared_by(trainer.model_wrapped), sharing(params)
            if found != wanted[:9]:
                raise SharingError(
                    f"{params.key}.distributed: {wanted} was asked for, and the libraries have set"
                    f" up {found}; see their versions in constraints.txt"
                )

    return Insist()


def _quiet() -> None:
    """accelerate says of each checkpoint in parts where it is, four times."""
    import logging

    logging.getLogger("accelerate.utils.fsdp_utils").setLevel(logging.WARNING)


def _shared_by(model: Any) -> str:
    from torch.distributed.fsdp import FSDPModule
    from torch.nn.parallel import DistributedDataParallel

    if isinstance(model, FSDPModule):
        return "fsdp2"
    if isinstance(model, DistributedDataParallel):
        return "ddp"
    return "deepspeed" if type(model).__name__ == "DeepSpeedEngine" else "none"


def whole(weight: Any) -> Any:
    """A weight that may be in parts, one a process, put together; all have to ask for it."""
    if hasattr(weight, "full_tensor"):
        return weight.detach().full_tensor()
    if hasattr(weight, "ds_id"):
        from deepspeed.zero import GatheredParameters

        with GatheredParameters([weight]):
            return weight.detach().clone()
    return weight.detach()


def is_in_parts(model: Any) -> bool:
    """Whether no process has all of its weights."""
    return any(hasattr(w, "full_tensor") or hasattr(w, "ds_id") for w in model.parameters())


def trained_weights(model: Any) -> dict[str, Any]:
    """What is trained of a model, put together, by name; for the leader alone, others get none.

    All processes have to ask for it.
    """
    found = {}
    for name, weight in model.named_parameters():
        if weight.requires_grad:
            complete = whole(weight)
            if leads():
                found[name] = complete.cpu() if complete is not weight else complete
    return found
