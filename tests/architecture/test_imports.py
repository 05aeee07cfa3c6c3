"""Data flows one way: flows -> stages -> finery, and the areas of finery do not know each other."""

import json
import subprocess
import sys
from itertools import combinations, permutations
from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]
AREAS = {
    "data",
    "doctor",
    "training",
    "merging",
    "quantization",
    "evaluation",
    "comparison",
    "moving",
    "packaging",
    "pipeline",
    "serving",
    "sources",
}
GROUND = {"params", "stage", "models", "inference", "hubs", "check", "answering"}
"""Rooms that several areas stand on, with the loose modules of finery/."""
FACES = {"cli", "predicting", "preflight"}
"""Rooms that see several areas."""
DATA = ("report", "choosing", "tokens", "rendering", "formats", "datasets", "rows")
"""The rooms of finery/data from the top down: each may import from those after it."""
HEAVY = {"torch", "transformers", "datasets", "pandas", "scipy", "matplotlib", "prefect", "trl"}


def within(imports: grimp.ImportGraph, package: str) -> set[str]:
    """A package and all modules in it; nothing if there is no such package."""
    if package not in imports.modules:
        return set()
    return {package} | imports.find_descendants(package)


@pytest.mark.parametrize(
    ("package", "forbidden"), [("finery", "stages"), ("finery", "flows"), ("stages", "flows")]
)
def test_nothing_flows_back(imports: grimp.ImportGraph, package: str, forbidden: str) -> None:
    wrong = [
        f"{module} imports {imported}"
        for module in within(imports, package)
        for imported in imports.find_modules_directly_imported_by(module)
        if imported in within(imports, forbidden)
    ]
    assert wrong == []


def test_the_areas_do_not_know_each_other(imports: grimp.ImportGraph) -> None:
    packages = {m for m in imports.find_children("finery") if imports.find_children(m)}
    areas = packages - {f"finery.{name}" for name in GROUND | FACES}
    assert areas >= {f"finery.{name}" for name in AREAS}
    chains = [
        " -> ".join(chain)
        for importer, imported in permutations(sorted(areas), 2)
        for chain in imports.find_shortest_chains(importer, imported, as_packages=True)
    ]
    assert chains == []


def test_common_ground_stands_on_no_area(imports: grimp.ImportGraph) -> None:
    """Otherwise an area would know another by way of it."""
    top = {m for m in imports.find_children("finery") if not imports.find_children(m)}
    ground = top.union(*(within(imports, f"finery.{name}") for name in GROUND))
    areas = {module for name in AREAS for module in within(imports, f"finery.{name}")}
    wrong = [
        f"{module} imports {imported}"
        for module in ground
        for imported in imports.find_modules_directly_imported_by(module)
        if imported in areas
    ]
    assert wrong == []


def test_the_rooms_of_data_look_down_only(imports: grimp.ImportGraph) -> None:
    rooms = {m for m in imports.find_children("finery.data") if imports.find_children(m)}
    assert rooms == {f"finery.data.{name}" for name in DATA}
    wrong = [
        f"{importer} imports {imported}"
        for lower, upper in combinations(reversed(DATA), 2)
        for importer in within(imports, f"finery.data.{lower}")
        for imported in imports.find_modules_directly_imported_by(importer)
        if imported in within(imports, f"finery.data.{upper}")
    ]
    assert wrong == []


def test_nobody_stands_on_the_faces(imports: grimp.ImportGraph) -> None:
    faces = set().union(*(within(imports, f"finery.{name}") for name in FACES))
    importers = {i for m in faces for i in imports.find_modules_that_directly_import(m)}
    assert importers <= faces | within(imports, "flows")
    assert not within(imports, "finery.cli") & {
        i for m in within(imports, "finery.preflight") for i in imports.find_upstream_modules(m)
    }


def test_only_a_stage_started_as_a_program_uses_the_harness(imports: grimp.ImportGraph) -> None:
    stages = imports.find_children("stages")
    assert imports.find_modules_that_directly_import("finery.stage.run") == stages
    for stage in stages:
        source = (ROOT / f"{stage.replace('.', '/')}.py").read_text().splitlines()
        main = source.index('if __name__ == "__main__":') + 1
        details = imports.get_import_details(importer=stage, imported="finery.stage.run")
        assert all(detail["line_number"] > main for detail in details), stage


@pytest.mark.parametrize(
    "module",
    [
        "finery.cli",
        "finery.check.settings",
        "finery.moving.llamafactory.bring",
        "finery.preflight.check",
        "finery.stage.run",
        "stages.download",
        "stages.gate",
        "stages.package",
        "stages.prepare",
        "stages.prepare_test",
        "stages.start",
    ],
)
def test_light_modules_import_nothing_heavy(module: str) -> None:
    assert heavy_after(f"import {module}") == set()


@pytest.mark.parametrize(
    "arguments", [["--help"], ["--version"], ["check"], ["schema"]], ids=" ".join
)
def test_the_command_line_needs_nothing_heavy(arguments: list[str]) -> None:
    assert (
        heavy_after(
            f"sys.argv = ['finery', *{arguments}]",
            "from finery.cli import app",
            "try: app()",
            "except SystemExit as end: assert end.code in (0, None), end.code",
        )
        == set()
    )


def test_a_heavy_import_is_seen() -> None:
    assert heavy_after("import torch") == {"torch"}


def heavy_after(*lines: str) -> set[str]:
    """Which of the heavy libraries a fresh Python has loaded after these lines."""
    report = f"print(json.dumps(sorted({HEAVY} & set(sys.modules))))"
    program = "\n".join(["import json, sys", *lines, report])
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))
