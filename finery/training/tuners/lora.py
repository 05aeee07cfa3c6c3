"""Low-rank adaptation, by PEFT."""

from typing import Any

from finery.params.tuners.lora import LoraParams
from finery.training.places import places


def peft_config(params: LoraParams) -> Any:
    """PEFT's configuration; the task type is the method's to set."""
    from peft import LoraConfig

    return LoraConfig(
        r=params.rank,
        lora_alpha=params.alpha,
        lora_dropout=params.dropout,
        rank_pattern=dict(params.rank_pattern),
        alpha_pattern=dict(params.alpha_pattern),
        use_rslora=params.use_rslora,
        use_dora=params.use_dora,
        init_lora_weights=True if params.init == "default" else params.init,
        target_parameters=params.target_parameters or None,
        ensure_weight_tying=bool(params.modules_to_save),
        **places(params),
    )


def attach(params: LoraParams, trainer: Any) -> None:
    """Have B learn faster than A, by the optimizer that the step asks for, where LoRA+ is."""
    if params.loraplus_lr_ratio is None:
        return
    from peft.optimizers import create_loraplus_optimizer

    kind, settings = trainer.get_optimizer_cls_and_kwargs(trainer.args, trainer.model)
    trainer.optimizer = create_loraplus_optimizer(
        trainer.model,
        kind,
        loraplus_lr_ratio=params.loraplus_lr_ratio,
        loraplus_weight_decay=trainer.args.weight_decay,
        **settings,
    )
