"""A tokenizer that cannot be used is refused from its files."""

import json
from pathlib import Path
from typing import Any

import pytest

from .conftest import LLAMA, SPECIAL, WEIGHTS, change, make, problems


def alone(folder: Path, *names: str) -> None:
    """The folder without tokenizer.json, but with files of these names."""
    (folder / "tokenizer.json").unlink()
    for name in names:
        (folder / name).write_text("{}")


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ((), "no tokenizer.json is there; add the tokenizer of the model"),
        (("tokenizer.model",), "tokenizer.model alone is read by sentencepiece only; make a token"),
        (("spiece.model",), "spiece.model alone is read by sentencepiece only"),
        (("qwen.tiktoken",), "qwen.tiktoken alone is read by tiktoken only"),
        (("tekken.json",), "tekken.json alone is read by mistral-common only"),
        (("vocab.json",), "no tokenizer.json is there"),
    ],
)
def test_no_fast_tokenizer(project: Path, files: tuple[str, ...], said: str):
    alone(make(project / "tiny"), *files)
    assert [said in found for found in problems()] == [True]


def test_lists_of_words_will_do(project: Path):
    more = {"additional_special_tokens": SPECIAL[1:]}
    alone(make(project / "tiny", LLAMA | {"model_type": "gpt2"}, **more), "merges.txt")
    words = {word: i for i, word in enumerate([*SPECIAL, "a"])}
    (project / "tiny/vocab.json").write_text(json.dumps(words))
    assert problems() == []


@pytest.mark.parametrize(
    ("config", "tokenizer"),
    [
        (LLAMA | {"model_type": "ctrl", "architectures": ["CTRLLMHeadModel"]}, {}),
        (LLAMA | {"model_type": "gpt2"}, {"tokenizer_class": "BertJapaneseTokenizer"}),
    ],
)
def test_one_that_runs_in_python(project: Path, config: dict, tokenizer: dict):
    make(project / "tiny", config, **tokenizer)
    (found,) = problems()
    assert "runs in Python and does not say where in the text its tokens are; choose" in found


@pytest.mark.parametrize("own", [["own.Slow", "own.Fast"], {"AutoTokenizer": ["own.Own", None]}])
def test_one_with_code_of_its_own(project: Path, own: Any):
    config = LLAMA | {"model_type": "own", "auto_map": {"AutoModelForCausalLM": "own.Own"}}
    make(project / "tiny", config, auto_map=own, tokenizer_class="OwnTokenizer")
    change(**{"model.trust_remote_code": True})
    assert problems() == []
    change(**{"model.trust_remote_code": False})
    assert "(own.py); read it, then set model.trust_remote_code: true" in problems()[0]


def test_code_that_transformers_can_do_without(project: Path):
    own = {"AutoTokenizer": ["own.Slow", "own.Fast"]}
    make(project / "tiny", auto_map=own, tokenizer_class="LlamaTokenizerFast")
    assert problems() == []


def test_a_token_without_a_row(project: Path):
    make(project / "tiny", weights=WEIGHTS | {"model.embed_tokens.weight": (28, 64)})
    assert problems() == [
        "model: tiny: tokenizer: 29 tokens, but model.embed_tokens has 28 rows: 'z' has the id 28;"
        " take the tokens added last out of the tokenizer's files, or choose a model whose"
        " embedding has them"
    ]


@pytest.mark.parametrize("rows", [29, 30, 64])
def test_an_embedding_may_be_padded(project: Path, rows: int):
    make(project / "tiny", weights=WEIGHTS | {"model.embed_tokens.weight": (rows, 64)})
    assert problems() == []


@pytest.mark.parametrize(
    "more",
    [{"pad_token": "<pad>"}, {"extra_special_tokens": ["<pad>"]},
     {"added_tokens_decoder": {"29": {"content": "<pad>", "special": True}}}],
)  # fmt: skip
def test_a_token_that_is_only_named_gets_the_next_number(project: Path, more: dict):
    """As transformers does it."""
    from transformers.tokenization_utils_tokenizers import TokenizersBackend

    folder = make(
        project / "tiny", weights=WEIGHTS | {"model.embed_tokens.weight": (29, 64)}, **more
    )
    assert ["'<pad>' has the id 29" in found for found in problems()] == [True]
    assert TokenizersBackend.from_pretrained(folder).convert_tokens_to_ids("<pad>") == 29


def test_rows_of_positions_are_no_words(project: Path):
    names = {"wte.weight": (29, 64), "wpe.weight": (8, 64), "h.0.mlp.c_fc.weight": (64, 64)}
    config = {"model_type": "gpt2", "vocab_size": 29, "n_positions": 512}
    make(project / "tiny", config, names)
    assert problems() == []
