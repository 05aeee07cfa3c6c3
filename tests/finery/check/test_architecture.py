"""What is no causal language model is refused before anything is trained on it."""

from pathlib import Path
from typing import Any

import pytest

from finery.check.library import causal_models, masked_models, runs_in_python, tokenizers

from .conftest import LLAMA, WEIGHTS, change, make, problems

HEAD = {"lm_head.weight": (30, 64)}
BERT = {"model_type": "bert", "vocab_size": 30}


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (BERT | {"architectures": ["BertForMaskedLM"]}, "BertForMaskedLM is an encoder"),
        (BERT | {"architectures": ["BertModel"]}, "BertModel is an encoder"),
        (BERT | {"architectures": ["BertLMHeadModel"]}, "is an encoder, no causal"),
        ({"model_type": "deberta-v2", "vocab_size": 30}, "deberta-v2 is an encoder"),
        (
            {"model_type": "t5", "architectures": ["T5ForConditionalGeneration"],
             "is_encoder_decoder": True},
            "T5ForConditionalGeneration is an encoder-decoder",
        ),
        (
            {"model_type": "bart", "architectures": ["BartForConditionalGeneration"],
             "is_encoder_decoder": True},
            "is an encoder-decoder",
        ),
        (
            {"model_type": "llava", "architectures": ["LlavaForConditionalGeneration"],
             "vision_config": {"model_type": "clip_vision_model"}, "text_config": LLAMA},
            "llava reads images, and preprocessor_config.json or processor_config.json, which says",
        ),
        (
            {"model_type": "clip", "architectures": ["CLIPModel"],
             "vision_config": {"hidden_size": 8}},
            "CLIPModel is a vision or audio model",
        ),
        (
            {"model_type": "qwen2_5_omni", "architectures": ["Qwen2_5OmniForConditionalGeneration"],
             "vision_config": {"hidden_size": 8}, "audio_config": {"hidden_size": 8}},
            "Qwen2_5OmniForConditionalGeneration is a vision or audio model",
        ),
        (
            LLAMA | {"architectures": ["LlamaForSequenceClassification"]},
            "LlamaForSequenceClassification is a classifier of texts",
        ),
        (LLAMA | {"architectures": ["LlamaForTokenClassification"]}, "a classifier of words"),
        (
            LLAMA | {"architectures": ["LlamaModel"], "tie_word_embeddings": False},
            "LlamaModel has no layer that writes words",
        ),
        (LLAMA | {"model_type": "lama"}, "model_type lama is no causal language model that tran"),
        (
            LLAMA | {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "modeling_own.Own"}},
            "needs code that comes with the model (modeling_own.py); read it, then set"
            " model.trust_remote_code: true",
        ),
        (
            LLAMA | {"quantization_config": {"quant_method": "gptq", "bits": 4}},
            "the weights are quantized already (gptq); what is learnt is merged into full"
            " precision: set model.source to the model they were made from and model.quantized to"
            " this one, and a step with quantization: {method: gptq} is trained on it",
        ),
        (
            LLAMA | {"quantization_config": {"quant_method": "bitsandbytes"}},
            "the weights are quantized already (bitsandbytes); set model.source to the model they",
        ),
    ],
)  # fmt: skip
def test_another_kind_of_model(project: Path, config: dict[str, Any], said: str):
    make(project / "tiny", config)
    (found,) = problems()
    assert found.startswith("model: tiny: config.json: ")
    assert said in found and ";" in found


@pytest.mark.parametrize(
    "config",
    [
        LLAMA,
        {key: value for key, value in LLAMA.items() if key != "architectures"},
        LLAMA | {"architectures": ["LlamaModel"]},  # tied: the table is the output too
        LLAMA | {"model_type": "gpt2", "architectures": ["GPT2LMHeadModel"]},
        LLAMA | BERT | {"architectures": ["BertLMHeadModel"], "is_decoder": True},
        LLAMA | {"model_type": "phi3", "architectures": ["Phi3ForCausalLM"],
                 "auto_map": {"AutoModelForCausalLM": "modeling_phi3.Phi3ForCausalLM"}},
        LLAMA | {"quantization_config": None},
    ],
)  # fmt: skip
def test_a_causal_language_model(project: Path, config: dict[str, Any]):
    make(project / "tiny", config)
    assert problems() == []


def test_an_output_apart_makes_a_bare_model_whole(project: Path):
    config = LLAMA | {"architectures": ["LlamaModel"], "tie_word_embeddings": False}
    make(project / "tiny", config, WEIGHTS | HEAD)
    assert problems() == []


def test_code_of_its_own_that_is_trusted(project: Path):
    own = {"AutoConfig": "own.OwnConfig", "AutoModelForCausalLM": "own.Own"}
    make(project / "tiny", LLAMA | {"model_type": "own", "auto_map": own})
    change(**{"model.trust_remote_code": True})
    assert problems() == []
    elsewhere = own | {"AutoModelForCausalLM": "acme/code--own.Own"}
    make(project / "tiny", LLAMA | {"model_type": "own", "auto_map": elsewhere})
    assert "(own.py) lies in another repository, acme/code" in problems()[0]


def test_what_transformers_knows_is_read_as_it_says():
    from transformers import AutoTokenizer, BertJapaneseTokenizer, GPT2Tokenizer
    from transformers.models.auto import modeling_auto, tokenization_auto

    assert causal_models() == dict(modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES)
    assert masked_models() == dict(modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES)
    theirs = dict(tokenization_auto.TOKENIZER_MAPPING_NAMES)
    assert tokenizers().keys() == theirs.keys()
    for kind, name in theirs.items():  # None where sentencepiece is not installed
        if name and tokenizers()[kind] != "MistralCommonBackend":  # nor mistral-common
            assert tokenizers()[kind] == name
    for known in (BertJapaneseTokenizer, GPT2Tokenizer):
        assert runs_in_python(known.__name__) is not hasattr(known, "backend_tokenizer")
    assert runs_in_python(AutoTokenizer.__name__) is None
