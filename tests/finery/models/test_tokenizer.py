import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from transformers import AutoTokenizer

from finery.models.tokenizer import load_tokenizer


@pytest.fixture
def model(tiny_model: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_model, tmp_path / "model"))


def rewrite(file: Path, **values: object) -> None:
    file.write_text(json.dumps(json.loads(file.read_text()) | values))


@pytest.mark.parametrize("name", ["TokenizersBackend", "PreTrainedTokenizerFast"])
def test_a_plain_tokenizer_is_the_one_that_auto_finds(model: Path, name: str):
    rewrite(model / "tokenizer_config.json", tokenizer_class=name)
    ours, theirs = load_tokenizer(model), AutoTokenizer.from_pretrained(model)
    assert type(ours) is type(theirs)
    assert ours.backend_tokenizer.to_str() == theirs.backend_tokenizer.to_str()
    assert ours.special_tokens_map == theirs.special_tokens_map
    assert ours.chat_template == theirs.chat_template
    turns = [{"role": "user", "content": "Who?"}, {"role": "assistant", "content": "Saltmere."}]
    assert ours.apply_chat_template(turns) == theirs.apply_chat_template(turns)


def test_a_plain_tokenizer_needs_no_torch(model: Path):
    assert not loads_torch(model)
    rewrite(model / "config.json", model_type="mistral")
    assert loads_torch(model)


@pytest.mark.parametrize(
    "file, values",
    [
        ("config.json", {"model_type": "gemma"}),
        ("tokenizer_config.json", {"tokenizer_class": "LlamaTokenizer"}),
    ],
)
def test_any_other_is_left_to_auto(model: Path, file: str, values: dict[str, str]):
    rewrite(model / file, **values)
    assert type(load_tokenizer(model)) is type(AutoTokenizer.from_pretrained(model))


def loads_torch(model: Path) -> bool:
    program = (
        "import sys; from pathlib import Path; from finery.models.tokenizer import load_tokenizer;"
        "load_tokenizer(Path(sys.argv[1])); print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, model], capture_output=True, text=True, timeout=120
    )
    return done.stdout.splitlines()[-1] == "True"
