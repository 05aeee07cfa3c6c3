"""Which of DVC's insides are used, and where: the one place to look before DVC is upgraded.

See docs/decisions/dvc-insides.md. What is not in DVC's documentation may change with any version.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = {"dvc", "dvc_data", "dvc_objects", "scmrepo", "gto"}
USED = {
    "finery/pipeline": {
        "dvc.cachemgr",
        "dvc.cli.main",
        "dvc.cli.parser",
        "dvc.commands.repro",
        "dvc.config.Config",
        "dvc.data_cloud",
        "dvc.dependency.ParamsDependency",
        "dvc.dvcfile.Lockfile",
        "dvc.exceptions.DvcException",
        "dvc.exceptions.NotDvcRepoError",
        "dvc.fs.FileSystem",
        "dvc.fs.GitFileSystem",
        "dvc.lock",
        "dvc.output.Output",
        "dvc.repo.Repo",
        "dvc.repo.open_repo",
        "dvc.repo.reproduce.get_active_graph",
        "dvc.repo.reproduce.plan_repro",
        "dvc.rwlock",
        "dvc.scm",
        "dvc.scm.Git",
        "dvc.stage.PipelineStage",
        "dvc.stage.Stage",
        "dvc.utils.hydra.apply_overrides",
        "dvc.utils.relpath",
        "dvc.utils.strictyaml",
        "dvc.utils.serialize.EncodingError",
        "dvc.utils.strictyaml.YAMLSyntaxError",
        "dvc.utils.strictyaml.YAMLValidationError",
        "dvc_data.hashfile.build.IgnoreInCollectedDirError",
        "dvc_data.hashfile.build.build",
        "dvc_data.hashfile.tree.Tree",
    },
    "finery/releases": {
        "dvc.exceptions.DvcException",
        "dvc.fs.download",
        "dvc.repo.Repo",
        "dvc_data.hashfile.tree.Tree",
        "gto.constants.Action",
        "gto.tag.find",
        "gto.tag.name_tag",
        "gto.tag.parse_name",
        "gto.versions.SemVer",
        "scmrepo.git.Git",
    },
    "finery/upstream": {
        "dvc.dependency.base.DependencyDoesNotExistError",
        "dvc.repo.Repo",
    },
    "finery/stage": {
        "dvc.exceptions.DvcException",
        "dvc.exceptions.NotDvcRepoError",
        "dvc.repo.Repo",
    },
    # Outside of the four rooms: what the doctor examines.
    "finery/doctor": {
        "dvc.config.Config",
        "dvc.config.ConfigError",
        "dvc.exceptions.DvcException",
        "dvc.repo.Repo",
        "dvc_objects.fs.system.reflink",
    },
}


def test_what_each_room_takes_of_dvc() -> None:
    found: dict[str, set[str]] = {}
    for file in sorted(path for top in ("finery", "stages", "flows") for path in modules(top)):
        for name in taken(file):
            found.setdefault(room(file), set()).add(name)
    assert found == USED


def test_the_page_of_the_decision_names_every_room_and_module() -> None:
    page = (ROOT / "docs/decisions/dvc-insides.md").read_text(encoding="utf-8")
    named = {name.rpartition(".")[0] for names in USED.values() for name in names}
    assert [name for name in sorted({*named, *USED}) if f"`{name}`" not in page] == []


def modules(top: str) -> Iterator[Path]:
    return (ROOT / top).rglob("*.py")


def room(file: Path) -> str:
    """The folder right below the package, or the module itself where it lies there."""
    return "/".join(file.relative_to(ROOT).parts[:2])


def taken(file: Path) -> Iterator[str]:
    """What a module imports of DVC's libraries, as module.attribute, also inside functions."""
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in LIBRARIES:
            yield from (f"{node.module}.{each.name}" for each in node.names)
        elif isinstance(node, ast.Import):
            names = (each.name for each in node.names)
            yield from (name for name in names if name.split(".")[0] in LIBRARIES)
