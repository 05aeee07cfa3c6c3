"""What is trained and how: stage, finetuning_type, LoRA and its kin, preferences, quantization."""

from typing import Any

from finery.moving.llamafactory.files.given import MovingError, names
from finery.moving.llamafactory.keys.draft import Draft

STAGES = {
    "sft": "sft", "pt": "pretrain", "rm": "reward", "dpo": "dpo", "kto": "kto", "ppo": "rloo",
}  # fmt: skip
WITHOUT_REFERENCE = ("orpo", "simpo")
NO_PPO = "there is no PPO: rloo learns from the same reward model without a value model"
TUNERS = ("lora", "oft", "freeze", "full")
SMOOTHED = "smooths the loss sigmoid there; here robust does, which takes its expectation"


def method(draft: Draft) -> None:
    stage, loss = draft["stage"], draft["pref_loss"]
    if stage not in STAGES:
        where = draft.source.given["stage"].where
        raise MovingError(f"{where}: stage: there is no {stage}; known are {', '.join(STAGES)}")
    name = loss if stage == "dpo" and loss in WITHOUT_REFERENCE else STAGES[stage]
    keys = ("stage", "pref_loss") if name == loss else ("stage",)
    draft.carry("step.method", name, *keys, note=NO_PPO if stage == "ppo" else "")


def preferences(draft: Draft) -> None:
    name = draft.values["step.method"]
    reference(draft)
    if name in ("dpo", "kto", *WITHOUT_REFERENCE):
        draft.carry("step.beta", draft["pref_beta"], "pref_beta")
    if name == "dpo":
        _losses(draft)
    if name == "simpo":
        draft.carry("step.gamma", draft["simpo_gamma"], "simpo_gamma")
        if draft["pref_ftx"]:
            draft.carry("step.sft_weight", draft["pref_ftx"], "pref_ftx")
    if name == "kto":
        draft.carry("step.desirable_weight", draft["kto_chosen_weight"], "kto_chosen_weight")
        draft.carry("step.undesirable_weight", draft["kto_rejected_weight"], "kto_rejected_weight")
        if draft["pref_ftx"]:
            draft.leave("pref_ftx", "kto learns from verdicts alone; add a step of sft before it")


def reference(draft: Draft) -> None:
    """One that is what the training begins with is what is taken anyway."""
    named, model = draft.source.path("ref_model"), draft.source.path("model_name_or_path")
    if named and named == model and not draft.has("adapter_name_or_path"):
        draft.note("ref_model", "the reference is the model that the step starts from")


def _losses(draft: Draft) -> None:
    loss = draft["pref_loss"]
    if loss == "kto_pair":
        draft.leave("pref_loss", "TRL has no kto_pair any more; it is dpo's sigmoid now")
        loss = "sigmoid"
    if draft["dpo_label_smoothing"] and loss == "sigmoid":
        draft.carry("step.label_smoothing", draft["dpo_label_smoothing"], "dpo_label_smoothing",
                    note=SMOOTHED)  # fmt: skip
        loss = "robust"
    losses: dict[str, Any] = {loss: 1}
    for key, also in (("pref_ftx", "sft"), ("pref_bco_weight", "bco_pair")):
        if draft[key]:
            losses[also] = draft[key]
    said = [key for key in ("pref_loss", "pref_ftx", "pref_bco_weight") if draft.open(key)]
    draft.carry("step.loss", losses if len(losses) > 1 else loss, *said)


def tuner(draft: Draft) -> None:
    kind = draft["finetuning_type"]
    if kind not in TUNERS:
        where = draft.source.given["finetuning_type"].where
        known = ", ".join(TUNERS)
        raise MovingError(f"{where}: finetuning_type: there is no {kind}; known are {known}")
    if draft["use_llama_pro"] and kind == "freeze":
        note = "the blocks that the step trains are put in by it, not by a script before"
        draft.carry("tuner.type", "expansion", "finetuning_type", "use_llama_pro", note=note)
        blocks = abs(draft["freeze_trainable_layers"]) or None
        draft.carry("tuner.blocks", blocks, "freeze_trainable_layers")
        return
    draft.carry("tuner.type", kind, "finetuning_type")
    {"lora": _lora, "oft": _oft, "freeze": _freeze, "full": lambda draft: None}[kind](draft)
    if draft["use_llama_pro"]:
        draft.leave("use_llama_pro", "an adapter on new blocks alone: take tuner.type: expansion")


def _lora(draft: Draft) -> None:
    _targets(draft, "lora_target")
    rank = draft["lora_rank"]
    draft.carry("tuner.rank", rank, "lora_rank")
    draft.carry("tuner.alpha", draft["lora_alpha"] or 2 * rank, "lora_alpha")
    if not draft["lora_alpha"]:
        draft.origins["tuner.alpha"] = "LLaMA-Factory's default: twice lora_rank"
    for key in ("use_rslora", "use_dora", "loraplus_lr_ratio"):
        draft.carry(f"tuner.{key}", draft[key], key)
    draft.carry("tuner.dropout", draft["lora_dropout"], "lora_dropout")
    if not draft["pissa_init"]:
        return
    rounds = draft["pissa_iter"]
    draft.carry("tuner.init", "pissa" if rounds < 0 else f"pissa_niter_{rounds}",
                "pissa_init", "pissa_iter")  # fmt: skip
    note = "what is saved is always the difference to the beginning, a plain adapter"
    draft.note("pissa_convert", note)


def _oft(draft: Draft) -> None:
    _targets(draft, "oft_target")
    draft.carry("tuner.dropout", draft["module_dropout"], "module_dropout")
    if draft["oft_rank"]:
        draft.leave("oft_rank", "how many blocks a layer has follows from oft_block_size")
    draft.carry("tuner.block_size", draft["oft_block_size"], "oft_block_size")


def _freeze(draft: Draft) -> None:
    draft.carry("tuner.trainable_layers", draft["freeze_trainable_layers"],
                "freeze_trainable_layers")  # fmt: skip
    parts = names(draft["freeze_trainable_modules"])
    draft.carry("tuner.trainable_modules", "all" if "all" in parts else parts,
                "freeze_trainable_modules")  # fmt: skip
    extra = names(draft["freeze_extra_modules"])
    draft.carry("tuner.extra_modules", extra or None, "freeze_extra_modules")


def _targets(draft: Draft, key: str) -> None:
    layers = names(draft[key])
    draft.carry("tuner.target_modules", "all-linear" if "all" in layers else layers, key)
    draft.carry("tuner.modules_to_save", names(draft["additional_target"]) or None,
                "additional_target")  # fmt: skip


def quantization(draft: Draft) -> None:
    bits, way = draft["quantization_bit"], draft["quantization_method"]
    if bits is None:
        return
    keys = ("quantization_bit", "quantization_method", "quantization_type", "double_quantization")
    note = ""
    if way == "hqq":
        held: dict[str, Any] = {"method": "hqq", "bits": bits}
    elif way == "eetq" or str(way).endswith("EETQ"):
        held, note = {"method": "torchao", "bits": 8}, "torchao's 8 bits in the place of EETQ's"
    else:
        held = {"method": "bnb", "bits": bits}
        if bits == 4 and draft["quantization_type"] != "nf4":
            held["type"] = draft["quantization_type"]
        if bits == 4 and not draft["double_quantization"]:
            held["double_quant"] = False
    draft.carry("step.quantization", held, *keys, note=note)


def vision(draft: Draft) -> None:
    """The tower and the projector are trained, or not, together."""
    keys = ("freeze_vision_tower", "freeze_multi_modal_projector")
    given = [key for key in keys if draft.has(key)]
    if not given:
        return
    frozen = [draft[key] for key in keys]
    note = "" if all(frozen) or not any(frozen) else "here both are trained, or neither"
    draft.carry("step.freeze_vision", all(frozen), *given, note=note)
