"""In which batches a step trains, for how long, after what schedule, and when it stops."""

from finery.moving.llamafactory.keys.draft import Draft

MANY = "a step has {} samples: {} GPUs take {} each, {} times"


def batch(draft: Draft) -> None:
    """LLaMA-Factory multiplies what a device takes by the devices; here the product is said."""
    each, summed = draft["per_device_train_batch_size"], draft["gradient_accumulation_steps"]
    keys = ("per_device_train_batch_size", "gradient_accumulation_steps")
    note, gpus = "", draft.source.gpus
    if draft.values["step.method"] == "kto" and each == 1:
        each, summed = 2, max(1, summed // 2)
        note = "kto compares within a batch, so it takes two at once, half as often"
    if draft.values["step.method"] == "rloo":
        answers = 8 * max(1, each * summed * gpus // 8)
        note = "counts answers here, 8 to a prompt (num_generations)"
        draft.carry("step.effective_batch_size", answers, *keys, note=note)
    elif gpus > 1:
        whole = each * summed * gpus
        note = note or MANY.format(whole, gpus, each, summed)
        draft.carry("step.effective_batch_size", whole, *keys, note=note)
        draft.origins["step.effective_batch_size"] = f"{each} x {summed} on {gpus} GPUs"
        draft.carry("step.per_device_batch_size", each, keys[0], note=note)
    else:
        draft.carry("step.per_device_batch_size", each, keys[0], note=note)
        draft.carry("step.gradient_accumulation_steps", summed, keys[1], note=note)


def sampling(draft: Draft) -> None:
    """Of reinforcement learning: how the answers are made that it learns from."""
    if draft.values["step.method"] != "rloo":
        return
    draft.carry("step.max_completion_length", draft["max_new_tokens"], "max_new_tokens")
    for key in ("temperature", "top_p"):
        if draft.has(key):
            draft.carry(f"step.{key}", draft[key], key)


def steps(draft: Draft) -> None:
    """Numbers of steps; LLaMA-Factory has shares of all of them, too."""
    draft.carry("step.num_train_epochs", draft["num_train_epochs"], "num_train_epochs")
    if (most := draft["max_steps"]) and most > 0:
        draft.carry("step.max_steps", most, "max_steps")
    for key in ("logging_steps", "eval_steps", "save_steps"):
        if not draft.has(key):
            continue
        if 0 < draft[key] < 1:
            draft.leave(key, "a share of all steps: give a number of them")
        else:
            draft.carry(f"step.{key}", draft[key], key)
    for key in ("eval_strategy", "save_strategy", "logging_strategy"):
        told = str(draft[key])
        if draft.has(key) and told == "epoch":
            each = key.replace("strategy", "steps")
            draft.leave(key, f"here it is every so many steps; set {each} to those of an epoch")
        elif draft.has(key) and told == "best":
            draft.leave(key, "load_best_model_at_end keeps the best")
        elif key == "save_strategy" and told == "no":
            draft.leave(
                key, "checkpoints are what a kill does not cost; they are removed at the end"
            )
        elif draft.has(key):
            draft.note(key, "looks and checkpoints come every so many steps anyway")


def warmup(draft: Draft) -> None:
    share, count = draft["warmup_ratio"], draft["warmup_steps"]
    if draft.has("warmup_steps") and count and count < 1:
        note = "below 1 it is a share of the steps, as transformers 5 reads it"
        draft.carry("step.warmup_ratio", count, "warmup_steps", note=note)
    elif draft.has("warmup_steps") and count:
        draft.carry("step.warmup_steps", int(count), "warmup_steps")
        if share:
            draft.leave("warmup_ratio", "warmup_steps takes its place, in LLaMA-Factory too")
    else:
        draft.carry("step.warmup_ratio", share or 0.0, "warmup_ratio")


def schedule(draft: Draft) -> None:
    draft.carry("step.lr_scheduler_type", draft["lr_scheduler_type"], "lr_scheduler_type")
    told = draft["lr_scheduler_kwargs"]
    draft.carry("step.lr_scheduler_kwargs", told or None, "lr_scheduler_kwargs")


def watching(draft: Draft) -> None:
    for key in ("load_best_model_at_end", "metric_for_best_model", "greater_is_better"):
        if draft.has(key):
            draft.carry(f"step.{key}", draft[key], key)
    draft.carry("step.early_stopping_patience", draft["early_stopping_steps"],
                "early_stopping_steps", note="looks in a row without a better one")  # fmt: skip
