"""A broken adapter is one line from the merge stage, before anything is loaded or written."""

import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from finery.data.prepared import write_parquet
from finery.errors import UserError
from finery.lineage import LINEAGE
from finery.params.merge import MergeParams
from stages.merge import merge

CONFIG, WEIGHTS = "adapter_config.json", "adapter_model.safetensors"
AGAIN = "; run `dvc repro -f train@sft`"


def record(folder: Path, weights: str, source: str) -> None:
    made = {"source": source, "weights": {"model.safetensors": weights}}
    (folder / LINEAGE).write_text(json.dumps({"download": made}))


@pytest.fixture(scope="module")
def trained(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of a base, an adapter of random weights and calibration samples."""
    from peft import LoraConfig, get_peft_model

    from finery.models.load import load_model

    folder = tmp_path_factory.mktemp("trained")
    shutil.copytree(tiny_model, folder / "base")
    torch.manual_seed(0)
    config = LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM")
    model = get_peft_model(load_model(folder / "base", "float32"), config)
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            weight.data.normal_(std=0.1)
    model.save_pretrained(folder / "adapter")
    for part in ("base", "adapter"):
        record(folder / part, "a" * 64, "hf:acme/tiny@main")
    row = {"dataset": "d", "input_ids": list(range(5, 25)), "labels": list(range(5, 25))}
    write_parquet(folder / "data/calibration.parquet", "samples", [row])
    return folder


@pytest.fixture
def project(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    configured(base_model_name_or_path="base")(Path("adapter"))
    return tmp_path / "project"


def merged() -> Path:
    folders = [Path(name) for name in ("base", "adapter", "data")]
    params = MergeParams(step="sft")
    merge(params, "sft", *folders, merged=Path("merged"), metrics=Path("metrics.json"))
    return Path("merged/model.safetensors")


def written(name: str, content: bytes) -> Callable[[Path], None]:
    return lambda adapter: (adapter / name).write_bytes(content) and None


def removed(name: str) -> Callable[[Path], None]:
    return lambda adapter: (adapter / name).unlink()


def configured(**changes: Any) -> Callable[[Path], None]:
    def change(adapter: Path) -> None:
        config = json.loads((adapter / CONFIG).read_text()) | changes
        (adapter / CONFIG).write_text(json.dumps(config))

    return change


def cut_off(adapter: Path) -> None:
    (adapter / WEIGHTS).write_bytes((adapter / WEIGHTS).read_bytes()[:-100])


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Callable[[Path], None]:
    def apply(adapter: Path) -> None:
        tensors = load_file(adapter / WEIGHTS)
        change(tensors)
        save_file(tensors, adapter / WEIGHTS)

    return apply


class Harmful:
    def __reduce__(self) -> tuple:
        return Path.touch, (Path("harm"),)


def pickled(*names: str) -> Callable[[Path], None]:
    def change(adapter: Path) -> None:
        for name in names:
            (adapter / name).write_bytes(pickle.dumps(Harmful()))

    return change


def only_pickled(adapter: Path) -> None:
    (adapter / WEIGHTS).unlink()
    pickled("adapter_model.bin")(adapter)


def trained_on(weights: str, source: str) -> Callable[[Path], None]:
    return lambda adapter: record(adapter, weights, source)


PICKLES = ": pickled weights are refused, they can run code when they are loaded; convert them to"
CASES = {
    "no config": (removed(CONFIG), f"adapter/{CONFIG}: missing{AGAIN}"),
    "not JSON": (written(CONFIG, b'{"r": 8,'), f"adapter/{CONFIG}: not JSON ("),
    "not UTF-8": (written(CONFIG, b"\xff\xfe{"), f"adapter/{CONFIG}: not JSON ("),
    "empty": (written(CONFIG, b""), f"adapter/{CONFIG}: not JSON ("),
    "a list": (written(CONFIG, b"[]"), f"adapter/{CONFIG}: not a JSON object{AGAIN}"),
    "nothing in it": (written(CONFIG, b"{}"), f"adapter/{CONFIG}: peft_type: Field required"),
    "another tuner": (
        configured(peft_type="PROMPT_TUNING"), f"adapter/{CONFIG}: peft_type: Input should be"),
    "another tuner's weights": (
        configured(peft_type="IA3", feedforward_modules=[]), "adapter does not fit base"),
    "computed anew": (
        configured(init_lora_weights="pissa_niter_4"),
        f"adapter/{CONFIG}: init_lora_weights: Value error, pissa_niter_4 begins as a part of"),
    "layers of layers": (
        configured(layer_replication=[[0, 2], [1, 2]]),
        f"adapter/{CONFIG}: layer_replication: Value error, replicated layers share weights"),
    "a rank in words": (configured(r="four"), f"adapter/{CONFIG}: r: Input should be a valid int"),
    "alpha is NaN": (
        configured(lora_alpha=float("nan")),
        f"adapter/{CONFIG}: lora_alpha: Input should be a finite number",
    ),
    "another rank": (configured(r=8), "adapter does not fit base"),
    "other layers": (configured(target_modules=["no_such"]), "adapter does not fit base"),
    "another base by name": (
        configured(base_model_name_or_path="acme/large"),
        f"adapter/{CONFIG}: base_model_name_or_path: acme/large is another model than base"
        f" (hf:acme/tiny){AGAIN}",
    ),
    "another base by its weights": (
        trained_on("b" * 64, "hf:acme/tiny@v2"),
        f"adapter: trained on other weights (hf:acme/tiny@v2) than base{AGAIN}",
    ),
    "a broken record": (written(LINEAGE, b"{"), f"adapter/{LINEAGE}: not JSON ("),
    "no weights": (removed(WEIGHTS), f"adapter/{WEIGHTS}: missing{AGAIN}"),
    "truncated": (cut_off, f"adapter/{WEIGHTS}: truncated or damaged ("),
    "an empty file": (written(WEIGHTS, b""), f"adapter/{WEIGHTS}: truncated or damaged ("),
    "a pickle by another name": (
        pickled(WEIGHTS),
        f"adapter/{WEIGHTS}: truncated or damaged (",
    ),
    "no tensor": (weights(dict.clear), f"adapter/{WEIGHTS}: holds no weights{AGAIN}"),
    "a tensor less": (weights(dict.popitem), "adapter does not fit base"),
    "NaN": (
        weights(lambda tensors: next(iter(tensors.values())).view(-1)[:1].fill_(torch.nan)),
        f"adapter/{WEIGHTS}: base_model.",
    ),
    "only pickled": (only_pickled, f"adapter/adapter_model.bin{PICKLES}"),
    "pickled as well": (pickled("adapter_model.bin"), f"adapter/adapter_model.bin{PICKLES}"),
    "other pickles": (pickled("optimizer.pt"), f"adapter/optimizer.pt{PICKLES}"),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_a_broken_adapter(project: Path, case: str) -> None:
    break_it, said = CASES[case]
    break_it(Path("adapter"))
    with pytest.raises(UserError) as caught:
        merged()
    assert str(caught.value).startswith(said) and "\n" not in str(caught.value)
    assert {path.name for path in project.iterdir()} == {"base", "adapter", "data"}


@pytest.mark.parametrize("name", [None, "base", "./base", "acme/tiny"])
def test_an_adapter_of_this_base_by_any_name(project: Path, name: str | None) -> None:
    configured(base_model_name_or_path=name)(Path("adapter"))
    assert merged().exists()


def test_an_adapter_from_elsewhere_without_a_record(project: Path) -> None:
    Path("adapter", LINEAGE).unlink()
    assert merged().exists()


def test_an_adapter_with_words_of_its_own(project: Path) -> None:
    from peft import LoraConfig, get_peft_model

    from finery.models.load import load_model
    from finery.models.tokenizer import load_tokenizer

    tokenizer, model = load_tokenizer(Path("base")), load_model(Path("base"), "float32")
    tokenizer.add_tokens(["<saltmere>", "<harbour>"])
    model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    config = LoraConfig(r=2, target_modules=["q_proj"], modules_to_save=["embed_tokens"],
                        ensure_weight_tying=True, task_type="CAUSAL_LM")  # fmt: skip
    shutil.rmtree("adapter")
    get_peft_model(model, config).save_pretrained("adapter")
    tokenizer.save_pretrained("adapter")
    configured(base_model_name_or_path="base")(Path("adapter"))
    rows = load_file(merged())["model.embed_tokens.weight"]
    assert len(load_tokenizer(Path("merged"))) == len(rows) == len(tokenizer)
