"""A copy of the project that is small enough to run, and what DVC does in it."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import chdir, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dvc.repo import Repo, lock_repo
from ruamel.yaml import YAML

RAN = re.compile(r"Running stage '([^']+)':$", re.MULTILINE)
RESTORED = re.compile(r"Stage '([^']+)' is cached - skipping run", re.MULTILINE)
MADE = (".dvc", ".git", ".finery", "models", "data/prepared", "reports")
"""What the pipeline or git writes; all else in the project was written by a person."""
A_FEW_STEPS = {
    "tuner": {"type": "lora", "rank": 4},
    "learning_rate": 1.0e-3,
    "num_train_epochs": 2,
    "per_device_batch_size": 4,
    "gradient_accumulation_steps": 1,
    "save_steps": 2,
}
"""Of a step of the training on the dozen rows of these projects."""


@dataclass(frozen=True)
class Outcome:
    """What one `dvc repro` did."""

    status: int
    output: str
    ran: set[str] = field(init=False)
    restored: set[str] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "ran", set(RAN.findall(self.output)))
        object.__setattr__(self, "restored", set(RESTORED.findall(self.output)))


@dataclass(frozen=True)
class Project:
    """A small copy of the project; `dvc_home` keeps DVC's settings and state off the user's."""

    folder: Path
    dvc_home: Path

    def copied_to(self, folder: Path) -> "Project":
        """The same project elsewhere, with its outputs and its DVC cache."""
        shutil.copytree(self.folder, folder, ignore=shutil.ignore_patterns("__pycache__"))
        return Project(folder, self.dvc_home)

    def repro(self, *arguments: str) -> Outcome:
        """Run `dvc repro` to its end."""
        process = self.start_repro(*arguments)
        output, _ = process.communicate(timeout=900)
        return Outcome(process.returncode, output)

    def start_repro(self, *arguments: str) -> subprocess.Popen[str]:
        """Start `dvc repro` in a process group of its own; its output ends when the group has."""
        return subprocess.Popen(
            [sys.executable, "-m", "dvc", "repro", *arguments],
            cwd=self.folder,
            env=self.environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def environment(self) -> dict[str, str]:
        """This process's environment, with its Python first and the user's DVC left out."""
        inherited = {k: v for k, v in os.environ.items() if k not in ("DVC_STAGE", "DVC_ROOT")}
        path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
        return inherited | self.dvc_settings() | {"PATH": path}

    def dvc_settings(self) -> dict[str, str]:
        names = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
        return dict.fromkeys(names, str(self.dvc_home)) | {"DVC_NO_ANALYTICS": "1"}

    def dry_run(self) -> set[str]:
        """The stages that `dvc repro --dry --all-pipelines` would run.

        It cannot know what a stage will write, and takes the stages below it as unchanged.
        """
        with chdir(self.folder), Repo() as repo, lock_repo(repo):
            return {stage.name for stage in repo.reproduce(dry=True, all_pipelines=True)}

    def set(self, key: str, value: Any) -> None:
        """Change one setting of params.yaml, named like `train.sft.tuner.rank`."""
        yaml, path = YAML(), self.folder / "params.yaml"
        params = yaml.load(path)
        section = params
        *parents, last = key.split(".")
        for parent in parents:
            section = section[parent]
        section[last] = value
        path.unlink()
        yaml.dump(params, path)

    def setting(self, key: str) -> Any:
        """What params.yaml says; None for a setting that it leaves at its default."""
        value: Any = YAML(typ="safe").load(self.folder / "params.yaml")
        for part in key.split("."):
            value = value.get(part, {})
        return value or None

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def read(self, path: str) -> str:
        return (self.folder / path).read_text(encoding="utf-8")

    def replace(self, path: str, old: str, new: str) -> None:
        """Replace the first `old` in a file that has it."""
        text = self.read(path)
        assert old in text, f"{path} has no {old!r}"
        self.write(path, text.replace(old, new, 1))

    def contents(self, *paths: str) -> dict[str, bytes]:
        """The bytes of every file under the paths, by its path in the project."""
        files = [file for path in paths for file in _files(self.folder / path)]
        assert files, f"nothing in {paths}"
        return {str(file.relative_to(self.folder)): file.read_bytes() for file in sorted(files)}

    def forget(self, stage: str, *outputs: str) -> None:
        """Make DVC forget that it ever ran a stage, and remove what it wrote."""
        yaml, lock = YAML(), self.folder / "dvc.lock"
        locked = yaml.load(lock)
        del locked["stages"][stage]
        yaml.dump(locked, lock)
        if (runs := self.folder / ".dvc/cache/runs").exists():  # not forgotten already
            shutil.rmtree(runs)
        for path in (self.folder / output for output in outputs):
            shutil.rmtree(path) if path.is_dir() else path.unlink()

    @contextmanager
    def undone(self) -> Iterator[None]:
        """Undo every change to what people write, at the end: bytes back, new files gone."""
        before = self._written()
        try:
            yield
        finally:
            after = self._written()
            for file in after.keys() - before.keys():
                file.unlink()
            for file, content in before.items():
                if after.get(file) != content:
                    file.write_bytes(content)

    def _written(self) -> Mapping[Path, bytes]:
        found = {}
        for folder, folders, files in os.walk(self.folder):
            place = Path(folder).relative_to(self.folder)
            folders[:] = [
                name
                for name in folders
                if name != "__pycache__" and (place / name).as_posix() not in MADE
            ]
            for name in files:
                if name != "dvc.lock":
                    found[Path(folder, name)] = Path(folder, name).read_bytes()
        return found


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    return [f for f in path.rglob("*") if f.is_file() and f.parent.name != "__pycache__"]
