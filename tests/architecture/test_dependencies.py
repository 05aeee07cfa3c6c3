"""dvc.yaml lists for each stage what its code really reads: its modules, settings and files.

dvc.yaml is read for a training whose steps have every method and every tuner once.
"""

import ast
import importlib
import inspect
import shlex
import shutil
from pathlib import Path
from typing import get_args

import grimp
import pytest
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.stage import PipelineStage
from ruamel.yaml import YAML

from finery.params.data import DataParams
from finery.params.merge import MergeParams
from finery.params.recipe import Recipe
from finery.params.report import ComparedParams
from finery.params.step import StepParams, Tuner
from finery.params.train import Step
from tests.architecture.code import CHOICES, closure, modules_of, shared

ROOT = Path(__file__).resolve().parents[2]
STEPS = {f"{method}_lora": {"methods": method, "tuners": "lora"} for method in CHOICES["methods"]}
STEPS |= {f"sft_{tuner}": {"methods": "sft", "tuners": tuner} for tuner in CHOICES["tuners"]}


@pytest.fixture(scope="module")
def stages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, PipelineStage]:
    """The stages of dvc.yaml, as DVC reads them, for a training with all of `STEPS` in a chain."""
    folder, yaml = tmp_path_factory.mktemp("chain"), YAML(typ="safe")
    shutil.copy(ROOT / "dvc.yaml", folder)
    params = yaml.load(ROOT / "params.yaml")
    _, default = params["train"].popitem()
    params["starts"]["champion"] = "release:merged@prod"
    last = "champion"
    for name, chosen in STEPS.items():
        choice = {"method": chosen["methods"], "tuner": {"type": chosen["tuners"]}}
        params["train"][name] = default | choice | {"after": last}
        last = name
    params["merge"]["step"] = last
    yaml.dump(params, folder / "params.yaml")
    with Repo.init(str(folder), no_scm=True) as repo:
        return {stage.name: stage for stage in repo.index.stages}


@pytest.mark.parametrize(
    ("choice", "key", "union"), [("methods", "method", Step), ("tuners", "type", Tuner)]
)
def test_each_choice_has_a_module_of_settings_and_one_of_code(
    choice: str, key: str, union: object
) -> None:
    settings = get_args(get_args(union)[0])
    values = {get_args(each.model_fields[key].annotation): each.__module__ for each in settings}
    assert values == {(name,): f"finery.params.{choice}.{name}" for name in CHOICES[choice]}
    assert modules_of(f"finery.training.{choice}") == CHOICES[choice]


def test_every_stage_of_the_graph_is_a_module_and_the_reverse(
    stages: dict[str, PipelineStage],
) -> None:
    modules = {file.stem for file in (ROOT / "stages").glob("[a-z]*.py")}
    assert set(map(module_of, stages)) == modules
    for name, stage in stages.items():
        assert shlex.split(stage.cmd)[:3] == ["python", "-m", f"stages.{module_of(name)}"]


def test_the_code_a_stage_depends_on_is_the_code_it_imports(
    stages: dict[str, PipelineStage], imports: grimp.ImportGraph
) -> None:
    wrong, for_all = [], shared(imports)
    for name, stage in stages.items():
        imported, listed = imported_files(imports, stage), listed_files(stage)
        extra = listed - imported - (for_all if name.startswith("train@") else set())
        wrong += [f"{name}: add {file} to its deps" for file in sorted(imported - listed)]
        wrong += [
            f"{name}: take {file} out of its deps (or list its folder's modules): not imported"
            for file in sorted(extra)
            if file.name != "__init__.py"
        ]
    assert not wrong, "dvc.yaml:\n" + "\n".join(wrong)


@pytest.mark.parametrize("step", STEPS)
def test_of_what_a_step_chooses_from_only_what_it_chose_is_its_own(
    step: str, stages: dict[str, PipelineStage], imports: grimp.ImportGraph
) -> None:
    own = {
        Path("finery", area, choice, f"{value}.py")
        for choice, value in STEPS[step].items()
        for area in ("params", "training")
    }
    stage = stages[f"train@{step}"]
    for files in (imported_files(imports, stage), listed_files(stage)):
        assert {file for file in files if file.parent.name in CHOICES} == own


def test_packages_that_are_not_listed_hold_no_code(
    stages: dict[str, PipelineStage], imports: grimp.ImportGraph
) -> None:
    """Importing a module runs the `__init__` of its packages: empty, it is no dependency."""
    unlisted = set()
    for stage in stages.values():
        imported = imported_files(imports, stage)
        packages = {folder / "__init__.py" for file in imported for folder in file.parents[:-1]}
        unlisted |= packages - listed_files(stage)
    assert unlisted >= {Path("finery/__init__.py"), Path("stages/__init__.py")}
    wrong = [str(file) for file in sorted(unlisted) if not only_a_docstring(ROOT / file)]
    assert wrong == []


def test_the_settings_a_stage_depends_on_are_those_it_is_handed(
    stages: dict[str, PipelineStage],
) -> None:
    tracked = {name: tracked_settings(stage) for name, stage in stages.items()}
    assert tracked == {name: handed_settings(name) for name in stages}


def test_the_files_a_stage_is_handed_are_its_deps_and_outs(
    stages: dict[str, PipelineStage],
) -> None:
    for name, stage in stages.items():
        given = options(stage.cmd)
        parameters = signature(name).values()
        paths = [p for p in parameters if p.annotation is Path and p.name != "checkpoints"]
        read = {given[p.name] for p in paths if p.kind is not p.KEYWORD_ONLY}
        written = {given[p.name] for p in paths if p.kind is p.KEYWORD_ONLY}
        assert read == {str(path) for path in dep_paths(stage) if not is_code(path)}, name
        assert written == {out.def_path for out in stage.outs}, name


def options(command: str) -> dict[str, str]:
    """`--KEY VALUE` and `--KEY=VALUE` of a stage's command."""
    _, _, _, *words = shlex.split(command)
    parts = [part for word in words for part in (word.split("=", 1) if word[0] == "-" else [word])]
    return dict(zip([part.removeprefix("--") for part in parts[::2]], parts[1::2], strict=True))


def imported_files(imports: grimp.ImportGraph, stage: PipelineStage) -> set[Path]:
    """The files of a stage's module and of all that it imports.

    The settings that a step of the training is handed are of the classes that it chooses.
    """
    name, step = module_of(stage.name), stage.name.partition("@")[2]
    chosen = STEPS.get(step, {})
    handed = chosen if next(iter(signature(name).values())).annotation is StepParams else {}
    settings = [f"finery.params.{choice}.{value}" for choice, value in handed.items()]
    return closure(imports, [f"stages.{name}", *settings], chosen)


def listed_files(stage: PipelineStage) -> set[Path]:
    """The code among a stage's deps; a folder stands for all modules in it."""
    files = set()
    for path in filter(is_code, dep_paths(stage)):
        assert (ROOT / path).exists(), f"dvc.yaml: {stage.name}: no such file {path}"
        folder = (ROOT / path).is_dir()
        found = (ROOT / path).rglob("*.py") if folder else [ROOT / path]
        files |= {file.relative_to(ROOT) for file in found}
    return files


def dep_paths(stage: PipelineStage) -> list[Path]:
    return [Path(d.def_path) for d in stage.deps if not isinstance(d, ParamsDependency)]


def is_code(path: Path) -> bool:
    return path.parts[0] in ("finery", "stages", "flows")


def only_a_docstring(file: Path) -> bool:
    body = ast.parse(file.read_text(encoding="utf-8")).body
    return all(isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) for node in body)


def module_of(stage: str) -> str:
    """What a stage runs; evaluate_quantized@gptq does for a format what evaluate@merged does."""
    return stage.partition("@")[0].removesuffix("_quantized")


def signature(stage: str) -> dict[str, inspect.Parameter]:
    name = module_of(stage)
    function = getattr(importlib.import_module(f"stages.{name}"), name)
    return dict(inspect.signature(function).parameters)


def tracked_settings(stage: PipelineStage) -> set[str]:
    return {key for d in stage.deps if isinstance(d, ParamsDependency) for key in d.params}


def handed_settings(stage: str) -> set[str]:
    """The section that is the type of the stage's first parameter; all of them for `Recipe`.

    A stage for each sub-section (quantize@gptq) reads that one alone, one of a step what is the
    step's; merge.step is for dvc.yaml.
    """
    first = next(iter(signature(stage).values())).annotation
    item = stage.partition("@")[2]
    if first is Recipe:
        return set(Recipe.model_fields)
    if first is str:  # start: all that it is told is in its command
        return set()
    if first is StepParams:
        return {f"train.{item}"}
    if first is DataParams:
        return {"data", f"train.{item}.data"}
    if first is ComparedParams:
        return {"quantize.formats", "report"}
    if first is MergeParams:
        return {f"merge.{name}" for name in MergeParams.model_fields if name != "step"}
    (section,) = (name for name, f in Recipe.model_fields.items() if f.annotation is first)
    return {f"{section}.{item}" if item in first.model_fields else section}
