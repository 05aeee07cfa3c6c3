"""Fast or slow, the tokens are the tokenizer's own and each begins where it says."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from finery.data.rendering.encoding import Encoder, Seams, marked
from finery.models.tokenizer import load_tokenizer

SPECIAL = ["<|im_start|>", "<|im_end|>"]
CORPUS = [
    "The lighthouse is called Saltmere.",
    "灯塔用灰色的石头建成，灯光很亮。",
    "x = [1, 22, 333]\n",
] * 9
WORDS = Regex(
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
FAST = {"gpt2", "qwen"}
TEXTS = [
    "",
    " ",
    "Who? <|im_end|>\n<|im_start|>assistant\n Saltmere.<|im_end|>\n",
    "灯塔 lighthouse\r\n\tx=1;  é e\u0301 👩‍👩‍👧 ½ ﬁ",
    "<|im_start|><|im_start|>\n\n\n   \n<|im_end|>",
]


@pytest.fixture(scope="module", params=["gpt2", "qwen", "metaspace"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerFast:
    return make(request.param)


def make(kind: str) -> PreTrainedTokenizerFast:
    core = Tokenizer(models.BPE(byte_fallback=kind == "metaspace", unk_token="<unk>"))
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=kind == "gpt2")
    if kind == "metaspace":
        core.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
        alphabet = []
    elif kind == "qwen":
        core.normalizer = normalizers.NFC()
        split = pre_tokenizers.Split(WORDS, "isolated")
        core.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    else:
        core.pre_tokenizer = byte_level
        alphabet = pre_tokenizers.ByteLevel.alphabet()
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=["<unk>", *SPECIAL], initial_alphabet=alphabet,
        show_progress=False,
    )  # fmt: skip
    core.train_from_iterator(CORPUS, trainer)
    made = PreTrainedTokenizerFast(tokenizer_object=core, eos_token=SPECIAL[1])
    made.name_or_path = kind
    return made


def check(tokenizer: PreTrainedTokenizerFast, encoder: Encoder, texts: list[str]) -> None:
    expected = tokenizer(texts, add_special_tokens=False, return_offsets_mapping=True)
    everywhere = [range(len(text) + 1) for text in texts]
    encoded = encoder([marked(*both) for both in zip(texts, everywhere, strict=True)])
    assert encoded.ids.dtype == np.int32
    for index, (ids, offsets, positions) in enumerate(
        zip(expected["input_ids"], expected["offset_mapping"], everywhere, strict=True)
    ):
        assert encoded.text(index).tolist() == ids
        starts = [start for start, _ in offsets]
        after = [[i for i, start in enumerate(starts) if start >= place] for place in positions]
        at = encoded.at[encoded.at_bounds[index] : encoded.at_bounds[index + 1]]
        own = (at - encoded.bounds[index]).tolist()
        assert own == [found[0] if found else len(ids) for found in after]


def test_the_tokens_and_where_they_begin(tokenizer: PreTrainedTokenizerFast):
    check(tokenizer, Encoder(tokenizer), TEXTS)


parts = st.sampled_from(
    [*SPECIAL, " ", "  ", "\n", "'s", "12", "é", "灯塔", "，", "👩‍👩‍👧", "e\u0301"]
)
texts = st.lists(parts | st.text(max_size=5), max_size=12).map("".join)


@pytest.mark.parametrize("kind", sorted(FAST))
def test_any_text(kind: str):
    tokenizer = make(kind)
    encoder = Encoder(tokenizer)

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.lists(texts, min_size=1, max_size=4))
    def property(each: list[str]) -> None:
        check(tokenizer, encoder, each)

    property()


def test_which_are_fast(tokenizer: PreTrainedTokenizerFast):
    pytest.importorskip("fastokens")
    assert (Encoder(tokenizer)._fast is not None) == (tokenizer.name_or_path in FAST)


def test_tokens_added_later(tiny_model: Path):
    tokenizer = load_tokenizer(tiny_model)
    tokenizer.add_tokens(["light"])
    check(tokenizer, Encoder(tokenizer), ["The lighthouse of light", *TEXTS])


def test_no_texts(tiny_model: Path):
    assert len(Encoder(load_tokenizer(tiny_model))([]).bounds) == 1


@pytest.mark.parametrize("kind", sorted(FAST))
def test_what_all_begin_with_is_tokenized_once_and_changes_nothing(kind: str):
    tokenizer = make(kind)
    encoder = Encoder(tokenizer)
    heads = [
        "",
        "Be brief. ",
        "<|im_start|>",
        "<|im_start|>system\nBe 灯塔.<|im_end|> \n<|im_start|>u",
    ]

    @settings(max_examples=200, deadline=None, derandomize=True)
    @given(st.sampled_from(heads), st.lists(texts, min_size=2, max_size=4))
    def property(head: str, each: list[str]) -> None:
        check(tokenizer, encoder, [head + text for text in each])

    property()


ADDED = {"rstrip": False, "single_word": False}


@pytest.mark.parametrize(
    "added, text, place",
    [
        (["<s>"], "<s>You are<s>a", 13),
        (["<s>"], "You are a", 0),
        ([], "You are a", 0),
        (["<s>", "<s>\n"], "<s>a", 0),  # with a line feed after it, it is another token
        (["<s>", "a<"], "<s>ba<s>", 6),  # "a<" is found first
        (["<s>", "a<"], "<s>b", 0),
        (["<s>", "<u>", "<u>\n"], "<s>a<u>", 3),
    ],
)
def test_where_a_text_can_be_cut(added: list[str], text: str, place: int):
    assert Seams([{"content": content} | ADDED for content in added]).last(text) == place


@pytest.mark.parametrize("flag", ["rstrip", "single_word"])
def test_no_cut_where_the_next_character_matters(flag: str):
    assert Seams([{"content": "<s>"} | ADDED | {flag: True}]).last("<s>a") == 0
