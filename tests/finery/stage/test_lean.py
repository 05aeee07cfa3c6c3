"""What a stage's process does not load, though it is installed, and that nothing is lost by it."""

import json
import subprocess
import sys
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

import pytest

from finery.stage.beside import BESIDE, without
from finery.stage.lean import _is_plain
from tests.steps import step

ROOT = Path(__file__).resolve().parents[3]
LATER = "antigravity"
"""A module that nobody has loaded."""


def test_within_it_is_not_there_and_afterwards_it_is() -> None:
    assert LATER not in sys.modules
    with without((LATER, "json")):
        assert find_spec(LATER) is None
        with pytest.raises(ModuleNotFoundError):
            import_module(LATER)
        assert find_spec("json") is not None
    assert LATER not in sys.modules and find_spec(LATER) is not None
    assert sys.modules["json"] is json


def test_it_is_there_again_after_an_error() -> None:
    with pytest.raises(ValueError, match="wrong"), without((LATER,)):
        raise ValueError("wrong")
    assert find_spec(LATER) is not None


@pytest.mark.parametrize(
    ("config", "plain"),
    [
        ({"model_type": "llama"}, True),
        ({"quantization_config": {"quant_method": "bitsandbytes"}}, False),
        ({"auto_map": {"AutoModelForCausalLM": "own.Own"}}, False),
    ],
)
def test_a_quantized_model_or_one_with_code_of_its_own_may_need_all(
    config: dict, plain: bool, tmp_path: Path
) -> None:
    assert _is_plain(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert _is_plain(tmp_path) is plain


def test_a_model_with_the_same_in_few_bits_beside_it_may_need_all(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "llama"}')
    assert _is_plain(tmp_path)
    (tmp_path / "quantized").mkdir()
    assert not _is_plain(tmp_path)


PROGRAM = """
import json, sys
from pathlib import Path
from finery.params.methods.sft import SftParams
from finery.stage.lean import load_libraries
stage, model, settings = json.loads(sys.argv[1])
arguments = {"start": Path(model)}
if settings:
    arguments["params"] = SftParams.model_validate(settings)
load_libraries(stage, arguments)
loaded = sorted({name.partition(".")[0] for name in sys.modules})
import importlib.util
there = [each for each in ("scipy", "gptqmodel") if importlib.util.find_spec(each)]
print(json.dumps([loaded, there]))
"""


def loaded_by(stage: str, model: Path, settings: dict | None = None) -> set[str]:
    """What a fresh process has loaded of a stage; packages that were hidden are there again."""
    job = json.dumps([stage, str(model), settings])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, job], cwd=ROOT, capture_output=True, text=True, check=True
    )
    loaded, there = json.loads(done.stdout.splitlines()[-1])
    assert there == ["scipy", "gptqmodel"]
    return set(loaded)


def test_a_training_loads_what_it_computes_with_and_no_more(tiny_model: Path) -> None:
    loaded = loaded_by("train@sft", tiny_model, settings())
    assert {"torch", "transformers", "peft"} <= loaded
    assert not {*BESIDE, "gptqmodel", "tensorflow"} & loaded


@pytest.mark.parametrize(
    ("stage", "changes"),
    [("train@sft", {"optim": "adamw_8bit"}), ("gate", None), ("prepare@sft", None)],
    ids=["an optimizer of a package", "gate", "prepare"],
)
def test_nothing_is_loaded_where_more_or_less_is_needed(
    stage: str, changes: dict | None, tiny_model: Path
) -> None:
    given = None if changes is None else settings(**changes)
    assert not {"torch", "transformers", *BESIDE} & loaded_by(stage, tiny_model, given)


def settings(**changes: object) -> dict:
    return step(**changes).model_dump(exclude_unset=True)
