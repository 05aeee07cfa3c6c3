"""dvc.yaml lists for each stage what its code really reads: its modules, settings and files."""

import ast
import importlib
import inspect
import shlex
from copy import deepcopy
from pathlib import Path

import grimp
import pytest
from dvc.dependency import ParamsDependency
from dvc.repo import Repo
from dvc.stage import PipelineStage

from finery.params.recipe import Recipe

ROOT = Path(__file__).resolve().parents[2]
HARNESS = "finery.stage.run"


@pytest.fixture(scope="module")
def stages() -> dict[str, PipelineStage]:
    """The stages of dvc.yaml, as DVC reads them."""
    with Repo(str(ROOT)) as repo:
        return {stage.name: stage for stage in repo.index.stages}


def test_every_stage_of_the_graph_is_a_module_and_the_reverse(
    stages: dict[str, PipelineStage],
) -> None:
    modules = {file.stem for file in (ROOT / "stages").glob("[a-z]*.py")}
    assert {name.partition("@")[0] for name in stages} == modules
    for name, stage in stages.items():
        assert shlex.split(stage.cmd)[:3] == ["python", "-m", f"stages.{name.partition('@')[0]}"]


def test_the_code_a_stage_depends_on_is_the_code_it_imports(
    stages: dict[str, PipelineStage], imports: grimp.ImportGraph
) -> None:
    wrong = []
    for name, stage in stages.items():
        imported, listed = imported_files(imports, name.partition("@")[0]), listed_files(stage)
        wrong += [f"{name}: add {file} to its deps" for file in sorted(imported - listed)]
        wrong += [
            f"{name}: take {file} out of its deps (or list its folder's modules): not imported"
            for file in sorted(listed - imported)
            if file.name != "__init__.py"
        ]
    assert not wrong, "dvc.yaml:\n" + "\n".join(wrong)


def test_packages_that_are_not_listed_hold_no_code(
    stages: dict[str, PipelineStage], imports: grimp.ImportGraph
) -> None:
    """Importing a module runs the `__init__` of its packages: empty, it is no dependency."""
    unlisted = set()
    for name, stage in stages.items():
        imported = imported_files(imports, name.partition("@")[0])
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


def imported_files(imports: grimp.ImportGraph, stage: str) -> set[Path]:
    """The files of `stages.STAGE` and of all it imports, directly or not, but for the harness.

    The harness (params in, outputs into place) cannot change an artefact's bytes.
    """
    graph = without(imports, HARNESS)
    module = f"stages.{stage}"
    closure = {module} | graph.find_upstream_modules(module)
    return {file_of(name) for name in closure}


def without(imports: grimp.ImportGraph, module: str) -> grimp.ImportGraph:
    graph = deepcopy(imports)
    graph.remove_module(module)
    return graph


def file_of(module: str) -> Path:
    path = Path(*module.split("."))
    return path / "__init__.py" if (ROOT / path).is_dir() else path.with_suffix(".py")


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


def signature(stage: str) -> dict[str, inspect.Parameter]:
    name = stage.partition("@")[0]
    function = getattr(importlib.import_module(f"stages.{name}"), name)
    return dict(inspect.signature(function).parameters)


def tracked_settings(stage: PipelineStage) -> set[str]:
    return {key for d in stage.deps if isinstance(d, ParamsDependency) for key in d.params}


def handed_settings(stage: str) -> set[str]:
    """The section that is the type of the stage's first parameter; all of them for `Recipe`.

    A stage for each sub-section (quantize@gptq) reads that one alone.
    """
    first = next(iter(signature(stage).values())).annotation
    if first is Recipe:
        return set(Recipe.model_fields)
    (section,) = (name for name, f in Recipe.model_fields.items() if f.annotation is first)
    item = stage.partition("@")[2]
    return {f"{section}.{item}" if item in first.model_fields else section}
