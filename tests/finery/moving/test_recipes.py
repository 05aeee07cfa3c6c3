"""Recipes: each is valid, plans its graph, and fits into the memory that it names."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from dvc.parsing import DataResolver
from dvc.repo import Repo
from ruamel.yaml import YAML

from finery.check.facts import read_model
from finery.check.group_size import group_size_problem
from finery.check.memory.batches import longest_batch
from finery.check.memory.fitting import Fitting, Plan
from finery.check.memory.room import Room
from finery.check.memory.shape import shape
from finery.check.memory.step import Need
from finery.moving.recipes import Recipe, RecipeError, recipes, use
from finery.params.engine import IN_PARTS
from finery.params.schema import load
from tests.finery.moving.models import write_model

ROOT = Path(__file__).resolve().parents[3]
ALL = recipes(ROOT / "recipes")
HARDWARE = re.compile(r"a CPU with (?P<ram>\d+) GB|(?P<gpus>a|\d+) GPUs? of (?P<gb>\d+) GB")
STAGES = {
    "download", "prepare_test", "evaluate@base", "evaluate@merged", "compare", "gate",
    "package@merged",
}  # fmt: skip


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project with the graph and nothing else."""
    folder = tmp_path_factory.mktemp("recipes")
    Repo.init(str(folder), no_scm=True).close()
    shutil.copy(ROOT / "dvc.yaml", folder)
    return folder


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What read_model says of each model that a recipe names."""
    folder = tmp_path_factory.mktemp("models")
    sources = {load(each.path).model.source for each in ALL}
    return {
        source: read_model(write_model(source, folder / str(number)))
        for number, source in enumerate(sorted(sources))
    }


def test_there_are_recipes_for_all_that_is_offered() -> None:
    params = [load(each.path) for each in ALL]
    steps = [step for each in params for step in each.train.values()]
    assert {step.method for step in steps} >= {"sft", "dpo", "kto", "reward", "rloo", "pretrain"}
    assert {step.distributed for step in steps} >= {"ddp", "fsdp2", "deepspeed_zero3"}
    assert any(step.quantization for step in steps)
    assert {name for each in params for name in each.quantize.formats} >= {"gptq", "awq", "gguf"}


def test_the_settings_that_the_project_comes_with_are_a_recipe() -> None:
    default = ROOT / "recipes/smollm2-135m-cpu.yaml"
    assert load(default) == load(ROOT / "params.yaml"), "copy what has changed"


def test_heads_say_what_is_so() -> None:
    shipped = json.loads((ROOT / "data/raw/dataset_info.json").read_text())
    for each in ALL:
        own = [name for name in load(each.path).datasets if name not in shipped]
        assert all(name in each.facts["Data"] for name in own), each.name
        assert each.facts["Data"].startswith("shipped") or own, each.name
        assert each.facts["Command"] == f"finery use {each.name} && dvc repro"


def test_a_recipe_without_a_head_is_said(tmp_path: Path) -> None:
    (tmp_path / "mine.yaml").write_text("# For: nothing\n\nmodel: {}\n")
    with pytest.raises(RecipeError, match=r"mine.yaml: its head has no line # Hardware: ..."):
        recipes(tmp_path)


@pytest.mark.parametrize("recipe", ALL, ids=lambda each: each.name)
def test_a_recipe_plans_its_graph(recipe: Recipe, project: Path) -> None:
    params = load(recipe.path)
    shutil.copy(recipe.path, project / "params.yaml")
    graph = YAML(typ="safe").load(project / "dvc.yaml")
    with Repo(str(project)) as repo:
        stages = DataResolver(repo, str(project), graph).resolve()["stages"]
    steps = {f"{stage}@{step}" for stage in ("prepare", "train", "merge") for step in params.train}
    made = ("quantize", "evaluate_quantized", "package_quantized")
    formats = {f"{stage}@{name}" for stage in made for name in params.quantize.formats}
    assert set(stages) == STAGES | steps | formats
    values = YAML(typ="safe").load(recipe.path)
    for stage in stages.values():
        for key in stage.get("params", []):
            assert _has(values, key), f"DVC finds no {key} in {recipe.path}"


@pytest.mark.parametrize("recipe", ALL, ids=lambda each: each.name)
def test_a_recipe_fits_the_hardware_that_it_names(recipe: Recipe, models: dict[str, Any]) -> None:
    params = load(recipe.path)
    model = models[params.model.source]
    found = HARDWARE.fullmatch(recipe.facts["Hardware"])
    assert found, recipe.facts["Hardware"]
    gpus = int((found["gpus"] or "a").replace("a", "1"))
    room = Room(int(found["ram"] or found["gb"]) * 1e9, recipe.facts["Hardware"], not found["ram"])
    for name, step in params.train.items():
        data = params.data_of(name)
        plan = Plan(step, longest_batch(step, data.cutoff_len))
        fitting = Fitting(plan, shape(model), room, data.key("cutoff_len"))
        need = fitting.need
        parts = gpus if step.distributed in IN_PARTS else 1
        assert need.total - _in_parts(need) * (1 - 1 / parts) <= room.size, fitting.advice
    assert params.resources.gpus("train") == gpus
    for name in {"gptq", "awq"} & set(params.quantize.formats):
        assert group_size_problem(model, getattr(params.quantize, name)) is None


def _in_parts(need: Need) -> int:
    """What each of several devices has a part of."""
    return need.weights + need.optimizer + need.gradients


def _has(values: Any, key: str) -> bool:
    for part in key.split("."):
        if not isinstance(values, dict) or part not in values:
            return False
        values = values[part]
    return True


def test_a_recipe_is_used_and_the_old_settings_are_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("params.yaml").write_text("mine: 1\n")
    used = use("sft-then-kto", folder=ROOT / "recipes")
    assert (
        Path("params.yaml")
        .read_text()
        .startswith(
            "# yaml-language-server: $schema=params.schema.json\n# For: supervised fine-tuning"
        )
    )
    assert load(Path("params.yaml")) == load(ROOT / "recipes/sft-then-kto.yaml")
    assert used.kept == Path("params.1.yaml")
    assert used.kept.read_text() == "mine: 1\n"
    assert "verdicts" in used.missing
    assert use("sft-then-kto", folder=ROOT / "recipes").kept is None


def test_an_unknown_recipe_is_said_with_the_nearest() -> None:
    with pytest.raises(RecipeError, match=r"no such recipe in .*; did you mean sft-then-dpo\?"):
        use("sft-than-dpo", folder=ROOT / "recipes")


def test_what_is_no_valid_recipe_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("mine.yaml").write_text("model: {}\n")
    Path("params.yaml").write_text("mine: 1\n")
    with pytest.raises(Exception, match=r"mine.yaml"):
        use("mine.yaml")
    assert Path("params.yaml").read_text() == "mine: 1\n"
    assert not Path("params.1.yaml").exists()
