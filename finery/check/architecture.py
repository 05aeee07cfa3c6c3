"""Whether a model writes text and can be trained, told from its config.json."""

from finery.check.facts import Model
from finery.check.library import causal_models, image_models, masked_models, release
from finery.models.seeing import PROCESSORS

CAUSAL = ("ForCausalLM", "LMHeadModel", "WithLMHead")
TASKS = {
    "ForSequenceClassification": "a classifier of texts",
    "ForTokenClassification": "a classifier of words",
    "ForQuestionAnswering": "a finder of answers in a text",
    "ForMultipleChoice": "a chooser among answers",
    "ForMaskedLM": "an encoder",
    "ForPreTraining": "an encoder",
    "RewardModel": "a reward model",
}
SENSES = ("audio_config", "vision_tower", "mm_vision_tower", "visual")
CHOOSE = "choose a model that writes text (its architecture ends in ForCausalLM)"


def architecture_problems(model: Model, trusted: bool) -> list[str]:
    """At most one reason why the model in a folder cannot be used; `trusted`: its code may run."""
    reason = _other_kind(model) or _unknown(model, trusted) or _quantized(model)
    return [f"config.json: {reason}"] if reason else []


def _other_kind(model: Model) -> str | None:
    """An architecture that is something else, whatever class would load it."""
    named = (model.config.get("architectures") or [""])[0]
    if model.config.get("is_encoder_decoder"):
        return f"{named or model.kind} is an encoder-decoder, no causal language model; {CHOOSE}"
    if any(model.config.get(key) for key in SENSES) or _sees_otherwise(model):
        return (
            f"{named or model.kind} is a vision or audio model, and no model that writes about"
            f" images which transformers {release()} knows; choose the language model that it was"
            " made from"
        )
    if model.sees:
        return _unprocessed(model)
    for ending, what in TASKS.items():
        if named.endswith(ending):
            return f"{named} is {what}, no causal language model; {CHOOSE}"
    if _looks_both_ways(model):
        return f"{named or model.kind} is an encoder, no causal language model; {CHOOSE}"
    if named.endswith("Model") and not named.endswith(CAUSAL) and not _has_output(model):
        return f"{named} has no layer that writes words (lm_head); {CHOOSE}"
    return None


def _sees_otherwise(model: Model) -> bool:
    return model.sees and model.kind not in image_models()


def _unprocessed(model: Model) -> str | None:
    """Images become numbers by settings of their own, that a folder of weights may lack."""
    if any((model.folder / name).is_file() for name in PROCESSORS):
        return None
    return (
        f"{model.kind} reads images, and {' or '.join(PROCESSORS)}, which says how, is missing;"
        " fetch the whole model"
    )


def _looks_both_ways(model: Model) -> bool:
    """BERT and its kind are in transformers' table of causal models too, for those retrained so."""
    causal = model.config.get("is_decoder") or model.config.get("causal")
    return model.kind in masked_models() and not causal


def _has_output(model: Model) -> bool:
    """A table apart for the output, or a config that says one table is both."""
    return len(model.embeddings) > 1 or model.config.get("tie_word_embeddings") is True


def _unknown(model: Model, trusted: bool) -> str | None:
    """No class to load it with: neither in transformers nor, if that may run, beside it."""
    if model.kind in causal_models() or model.sees:
        return None
    own = (model.config.get("auto_map") or {}).get("AutoModelForCausalLM")
    if not own:
        return (
            f"model_type {model.kind} is no causal language model that transformers {release()}"
            f" knows; {CHOOSE}"
        )
    code = own.rpartition("--")[2].partition(".")[0]
    if not trusted:
        return (
            f"model_type {model.kind} needs code that comes with the model ({code}.py);"
            " read it, then set model.trust_remote_code: true, or choose another model"
        )
    if "--" in own:
        elsewhere = own.partition("--")[0]
        return (
            f"the model's code ({code}.py) lies in another repository, {elsewhere}; put it"
            " beside the weights and take its name out of auto_map"
        )
    return None


def _quantized(model: Model) -> str | None:
    quantization = model.config.get("quantization_config")
    if not isinstance(quantization, dict):
        return None
    method = quantization.get("quant_method", "quantized")
    if method in ("gptq", "awq"):
        return (
            f"the weights are quantized already ({method}); what is learnt is merged into full"
            " precision: set model.source to the model they were made from and model.quantized to"
            f" this one, and a step with quantization: {{method: {method}}} is trained on it"
        )
    return (
        f"the weights are quantized already ({method}); set model.source to the model they were"
        " made from, in full precision"
    )
