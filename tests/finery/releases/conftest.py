"""A project of a few files whose stages copy them: real git, real DVC, scores made by hand."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[3]
WHO = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
PIPELINE = """
stages:
  prepare:
    cmd: mkdir -p data/prepared && cp -r tests data/prepared/test
    deps: [tests]
    outs: [data/prepared/test]
  evaluate:
    foreach: [merged]
    do:
      cmd: >-
        python -m stages.evaluate --model weights --tests data/prepared/test
        --samples reports/evaluate/${item}/samples.jsonl
        --metrics reports/evaluate/${item}/metrics.json
      params: [evaluate]
      deps: [weights, data/prepared/test, stages/evaluate.py]
      outs: ["reports/evaluate/${item}/samples.jsonl"]
      metrics:
        - reports/evaluate/${item}/metrics.json: {cache: false}
  gate:
    cmd: mkdir -p reports/gate && cp gate.json reports/gate/report.json
    deps: [gate.json]
    metrics:
      - reports/gate/report.json: {cache: false}
  package:
    foreach: [merged]
    do:
      cmd: mkdir -p models/packages && cp -r weights models/packages/${item}
      deps: [weights, "reports/evaluate/${item}/metrics.json", reports/gate/report.json]
      outs: ["models/packages/${item}"]
artifacts:
  merged: {path: models/packages/merged, type: model}
"""
EVALUATE = '''
"""A model is a list of the questions' scores."""
import argparse, json, pathlib

parser = argparse.ArgumentParser()
for name in ("model", "tests", "functions", "samples", "metrics"):
    parser.add_argument(f"--{name}", type=pathlib.Path)
given = parser.parse_args()
model = json.loads((given.model / "model").read_text())
questions = json.loads((given.tests / "questions.json").read_text())
samples = [
    {
        "dataset": "identity_test", "question": question, "reference": "Fennel.",
        "keywords": ["fennel"], "keyword_match": score, "loss": 1.0 - score,
        "reference_tokens": 2, "finished": True,
    }
    for question, score in zip(questions, model["scores"], strict=True)
]
given.samples.parent.mkdir(parents=True, exist_ok=True)
lines = [json.dumps(sample, ensure_ascii=False) + "\\n" for sample in samples]
given.samples.write_text("".join(lines))
mean = sum(model["scores"]) / len(model["scores"])
given.metrics.write_text(json.dumps({"identity_test": {"keyword_match": mean}}))
'''


@dataclass(frozen=True)
class Tiny:
    """A project in git and DVC, and its remotes beside it."""

    folder: Path

    def copied_to(self, folder: Path) -> "Tiny":
        shutil.copytree(self.folder, folder, symlinks=True)
        return Tiny(folder)

    def sh(self, *command: str) -> str:
        done = subprocess.run(command, cwd=self.folder, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def write(self, path: str, text: str) -> None:
        file = self.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")

    def repro(self) -> None:
        self.sh(sys.executable, "-m", "dvc", "repro", "--quiet")

    def commit(self) -> str:
        self.sh("git", "add", ".")
        self.sh("git", "commit", "--quiet", "--allow-empty", "-m", "As it is")
        return self.sh("git", "rev-parse", "HEAD").strip()

    def train(self, name: str, scores: Sequence[float]) -> str:
        """Make a model that gets these scores, and commit it; returns the commit."""
        self.write("weights/model", json.dumps({"name": name, "scores": list(scores)}))
        self.repro()
        return self.commit()

    def tokenize(self, tokenizer: str) -> None:
        """Set the tokenizer of the models to come."""
        file = {"path": "tokenizer.json", "sha256": tokenizer, "size": 1}
        self.write("weights/MANIFEST.json", json.dumps({"lineage": {}, "files": [file]}))

    def ask(self, questions: str) -> None:
        """Set the test questions, 40 of them."""
        self.write("tests/questions.json", json.dumps([f"{questions} {n}?" for n in range(40)]))

    def tags(self) -> list[str]:
        return self.sh("git", "tag").split()


@pytest.fixture(scope="session", autouse=True)
def alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the user's settings of git and DVC out."""
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
            patch.setenv(name, str(tmp_path_factory.mktemp("dvc")))
        patch.setenv("DVC_NO_ANALYTICS", "1")
        patch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
        patch.setenv("GIT_CONFIG_SYSTEM", os.devnull)
        for name in WHO:
            patch.delenv(name, raising=False)
        yield


@pytest.fixture(scope="session")
def untouched(tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    """The project before its first run."""
    tiny = Tiny(tmp_path_factory.mktemp("untouched"))
    tiny.sh("git", "init", "--quiet", "--initial-branch=main")
    tiny.sh("git", "config", "user.name", "Tester")
    tiny.sh("git", "config", "user.email", "tester@example.org")
    tiny.sh(sys.executable, "-m", "dvc", "init", "--quiet")
    params = (ROOT / "params.yaml").read_text().replace(", handbook_test.keyword_match]", "]")
    tiny.write("params.yaml", params)
    tiny.write("dvc.yaml", PIPELINE)
    tiny.write("gate.json", '{"passed": true, "rules": []}')
    tiny.write("stages/evaluate.py", EVALUATE)
    tiny.write(".gitignore", ".finery/\n")
    tiny.tokenize("first")
    tiny.ask("Who is")
    return tiny


@pytest.fixture(scope="session")
def trained(untouched: Tiny, tmp_path_factory: pytest.TempPathFactory) -> Tiny:
    tiny = untouched.copied_to(tmp_path_factory.mktemp("trained") / "project")
    tiny.train("first", [1.0] * 36 + [0.0] * 4)
    return tiny


@pytest.fixture
def new(untouched: Tiny, tmp_path: Path) -> Tiny:
    """The project, of which nothing ran or was committed yet."""
    return untouched.copied_to(tmp_path / "project")


@pytest.fixture
def tiny(trained: Tiny, tmp_path: Path) -> Tiny:
    """The project with a model of 40 samples, 36 of them right, which is committed."""
    return trained.copied_to(tmp_path / "project")
