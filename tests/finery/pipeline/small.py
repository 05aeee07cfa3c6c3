"""A project whose stages are shell commands: real DVC, a tenth of a second a stage."""

import os
import shutil
import subprocess
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path

from dvc.repo import Repo, lock_repo

GRAPH = """\
stages:
  prepare:
    cmd: mkdir prepared && cat data/raw/*.txt > prepared/rows && wc -c < prepared/rows > prepared/n
    deps: [data/raw, finery/cleaning, finery/clean.py]
    params: [data]
    outs: [prepared]
  train:
    cmd: cat prepared/* > model && echo 1 > score.json
    deps: [prepared]
    params: [train.sft.learning_rate, train.sft.tuner]
    outs: [model]
    metrics: [score.json: {cache: false}]
  quantize:
    foreach: [gptq, awq]
    do: {cmd: "cp model ${item}", deps: [model], outs: ["${item}"]}
  report:
    cmd: cat gptq awq > report
    deps: [gptq, awq, notes.txt]
    outs: [report]
"""
PARAMS = """\
data: {size: 10, names: [a, b]}
train:
  sft:
    learning_rate: 2.0e-4
    tuner: {rank: 8}
    unread: 1
"""
FILES = {
    "dvc.yaml": GRAPH,
    "params.yaml": PARAMS,
    "notes.txt": "notes\n",
    "finery/clean.py": "# one\n",
    "finery/cleaning/words.py": "# two\n",
    **{f"data/raw/{name}.txt": f"{name}\n" for name in ("one", "two", "three")},
}


@dataclass(frozen=True)
class Small:
    folder: Path

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.unlink(missing_ok=True)  # DVC's links are not to be written into
        file.write_text(text)

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.folder / path).read_text()
        assert old in text
        self.write(path, text.replace(old, new))

    def remove(self, path: str) -> None:
        place = self.folder / path
        shutil.rmtree(place) if place.is_dir() else place.unlink()

    def repro(self) -> None:
        with chdir(self.folder), Repo() as repo:
            repo.reproduce()

    def changed(self) -> dict[str, bool]:
        """DVC's own verdict on each stage."""
        with chdir(self.folder), Repo() as repo, lock_repo(repo):
            return {stage.name: bool(stage.changed()) for stage in repo.index.stages}

    def commit(self) -> None:
        self.git("add", ".")
        self.git("commit", "--quiet", "-m", "State")

    def git(self, *arguments: str) -> None:
        who = ("-c", "user.name=Tester", "-c", "user.email=tester@example.org")
        subprocess.run(["git", *who, *arguments], cwd=self.folder, check=True)


def make(folder: Path) -> Small:
    """A project of which nothing ran."""
    project = Small(folder)
    for path, text in FILES.items():
        project.write(path, text)
    project.git("init", "--quiet")
    with chdir(folder):
        Repo.init().close()
    return project


def environment(home: Path) -> dict[str, str]:
    """Keeps DVC's settings and state off the user's, and the user's git settings away."""
    names = ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR")
    quiet = {"DVC_NO_ANALYTICS": "1", "GIT_CONFIG_GLOBAL": os.devnull}
    return dict.fromkeys(names, str(home)) | quiet
