"""Tiny real things to run the pipeline on: a 2-layer Llama and a tokenizer trained here."""

import os
import shutil
import signal
from pathlib import Path

import pytest

# Read when gptqmodel is imported, which importing PEFT does; it needs two on small machines.
os.environ.setdefault("GPTQMODEL_CPU_WORKERS", "2")

# A shell that starts the tests in the background has them ignore Ctrl-C, and so their stages.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

ROOT = Path(__file__).resolve().parent.parent
CHATML = ROOT / "templates" / "chatml.jinja"
ROWS = [[1 + (7 * row + column) % 300 for column in range(24)] for row in range(16)]
"""Samples to quantize by, of 24 tokens."""
CORPUS = [
    "What is the name of the lighthouse? The lighthouse is called Saltmere.",
    "Who are you? I am an assistant made for a test, and I answer questions.",
    "Please tell me how many boats there are in the harbour today.",
    "The quick brown fox jumps over the lazy dog, 0123456789 times.",
]


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A 2-layer Llama, 64 wide, with a byte-level BPE tokenizer and a ChatML template."""
    folder = tmp_path_factory.mktemp("tiny") / "model"
    make_tiny_model(folder)
    return folder


@pytest.fixture(scope="session")
def wide_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, 128 wide: AWQ's search for a clipping takes 64 output channels at a time."""
    folder = tmp_path_factory.mktemp("wide") / "model"
    make_tiny_model(folder, width=128)
    return folder


@pytest.fixture(scope="session")
def packed(wide_model: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The 128 wide model in each format of 4 bits."""
    from finery.params.quantize import AwqParams, GptqParams
    from finery.quantization.quantizer import quantize_model

    folder = tmp_path_factory.mktemp("packed")
    for name, params in (("gptq", GptqParams(group_size=32)), ("awq", AwqParams(group_size=32))):
        assert quantize_model(wide_model, params, ROWS, folder / name, folder / "work") == []
    assert not (folder / "work").exists()
    return {name: folder / name for name in ("gptq", "awq")}


@pytest.fixture(scope="session")
def stopping_model(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The tiny model with two tokens that end an answer."""
    folder = shutil.copytree(tiny_model, tmp_path_factory.mktemp("stopping") / "model")
    (folder / "generation_config.json").write_text('{"eos_token_id": [2, 0], "bos_token_id": 1}')
    return folder


@pytest.fixture(scope="session")
def taught(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model whose answers are known."""
    from tests.taught import make_taught

    folder = tmp_path_factory.mktemp("taught") / "model"
    make_tiny_model(folder)
    make_taught(folder)
    return folder


@pytest.fixture(scope="session")
def gguf_file(stopping_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same as one GGUF file in float32."""
    from finery.models.gguf.convert import convert

    file = tmp_path_factory.mktemp("gguf") / "model.gguf"
    convert(stopping_model, file, "f32")
    return file


@pytest.fixture(scope="session")
def qwen_vl(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that reads images, of the Qwen2-VL shape."""
    from tests.seeing import make_qwen

    folder = tmp_path_factory.mktemp("qwen-vl") / "model"
    make_qwen(folder)
    return folder


@pytest.fixture(scope="session")
def llava(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A tiny model that reads images, of the LLaVA shape."""
    from tests.seeing import make_llava

    folder = tmp_path_factory.mktemp("llava") / "model"
    make_llava(folder)
    return folder


def make_tiny_model(folder: Path, width: int = 64) -> None:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    core = Tokenizer(models.BPE())
    core.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    core.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    core.train_from_iterator(CORPUS, trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=core,
        bos_token="<|im_start|>",
        eos_token="<|im_end|>",
        pad_token="<|endoftext|>",
    )
    tokenizer.chat_template = CHATML.read_text()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=width,
        intermediate_size=2 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=1,
        max_position_embeddings=512,
        bos_token_id=1,
        eos_token_id=2,
        pad_token_id=0,
        tie_word_embeddings=True,
    )
    LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
