"""Python, its environment, and the installed versions against those the project was tried with."""

import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import TYPE_CHECKING

from finery.doctor.finding import Finding, note, ok, problem

if TYPE_CHECKING:
    from packaging.requirements import Requirement

OLDEST = (3, 11)
BESIDE = {"prefect", "fastapi", "gto"}
"""What `dvc repro` does without."""
INSTALL = "pip install --no-build-isolation -c constraints.txt -e ."
SHOWN = 4
SECONDS = 10


def python() -> Iterator[Finding]:
    """The interpreter, and whether it is in an environment of its own."""
    name = sys.version.split()[0]
    if sys.version_info < OLDEST:
        advice = "make setup PYTHON=/path/to/python3.11"
        yield problem("Python", f"{name}; Finery needs {OLDEST[0]}.{OLDEST[1]} or newer", advice)
    elif sys.prefix == sys.base_prefix:
        advice = "install into an environment of its own: make setup"
        yield note("Python", f"{name} of the system, without a virtual environment", advice)
    elif (other := _python_on_path()) != Path(sys.prefix).resolve():
        has = f"is of {other}" if other else "is not on PATH"
        what = f"{name} in {sys.prefix}; but `python`, which dvc.yaml starts, {has}"
        advice = f"source {sys.prefix}/bin/activate before `dvc repro`; `finery run` needs no more"
        yield note("Python", what, advice)
    else:
        yield ok("Python", f"{name} in {sys.prefix}")


def _python_on_path() -> Path | None:
    """The environment of the `python` that dvc.yaml's commands start."""
    command = ["python", "-c", "import sys; print(sys.prefix)"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except OSError:
        return None
    return Path(done.stdout.strip()).resolve() if done.stdout.strip() else None


def libraries() -> Iterator[Finding]:
    """What pyproject.toml needs, which the pipeline fails without; what constraints.txt pins."""
    needed = _needed()
    wrong = [finding for each in needed for finding in _against_requirement(each)]
    yield from wrong
    pinned = _pinned(Path("constraints.txt"))
    other = {name: found for name, pin in pinned.items() if (found := _other(name, pin))}
    if other:
        first = [f"{name} {found} (not {pinned[name]})" for name, found in other.items()]
        more = f" and {len(first) - SHOWN} more" if len(first) > SHOWN else ""
        what = f"not as in constraints.txt: {', '.join(first[:SHOWN])}{more}"
        yield note("libraries", what, f"for the versions measured to work together: {INSTALL}")
    elif pinned and not wrong:
        yield ok("libraries", "the versions of constraints.txt")
    elif not wrong:
        yield ok("libraries", f"the {len(needed)} that Finery needs; constraints.txt is not here")


def installed(name: str) -> str | None:
    """The version of a distribution, without importing it; None if it is not there."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None


def _against_requirement(requirement: "Requirement") -> Iterator[Finding]:
    found = installed(requirement.name)
    if found is not None and requirement.specifier.contains(found, prereleases=True):
        return
    has = f"{found} is installed" if found else "not installed"
    level = note if requirement.name in BESIDE else problem
    needs = f", needs {requirement.specifier}" if requirement.specifier else ""
    yield level("libraries", f"{requirement.name}: {has}{needs}", INSTALL)


def _needed() -> "list[Requirement]":
    """From pyproject.toml, which `git pull` renews; else as Finery was installed."""
    from packaging.requirements import Requirement

    if (project := Path("pyproject.toml")).is_file():
        declared = tomllib.loads(project.read_text("utf-8")).get("project", {})
        lines = declared.get("dependencies", [])
    else:
        lines = [line for line in requires("finery") or [] if "extra ==" not in line]
    requirements = map(Requirement, lines)
    return [r for r in requirements if r.marker is None or r.marker.evaluate()]


def _pinned(constraints: Path) -> dict[str, str]:
    if not constraints.is_file():
        return {}
    lines = (line.partition("#")[0] for line in constraints.read_text("utf-8").splitlines())
    pins = (line.partition("==") for line in lines if "==" in line)
    return {name.strip(): pin.partition(";")[0].strip() for name, _, pin in pins}


def _other(name: str, pin: str) -> str | None:
    """The installed version if it is another; what is not installed may be for an extra."""
    found = installed(name)
    if found is None or found.partition("+")[0] == pin.partition("+")[0]:
        return None
    return found
