"""A step goes on from a released model: the same in every clone, whatever was released since."""

import json
import re
import shutil
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from dvc.repo import Repo
from ruamel.yaml import YAML

from finery import lineage
from finery.git import git
from finery.packaging.errors import PackageError
from finery.params.package import PackageParams
from finery.params.schema import load
from finery.releases import tags
from finery.releases.errors import NotDelivered, ReleaseError
from finery.releases.git import head
from stages.package import package
from stages.start import start
from stages.train import train
from tests.steps import step

ROOT = Path(__file__).resolve().parents[2]
PIPELINE = """
stages:
  package:
    cmd: mkdir -p models/packages && cp -r made models/packages/merged
    deps: [made]
    outs: [models/packages/merged]
artifacts:
  merged: {path: models/packages/merged, type: model}
"""
PROD = "release:merged@prod"
STARTS = 'starts: {champion: "release:merged@prod"}'
KEYWORDS = {"enable_thinking": False}


class Project:
    """A project in git and DVC, in the present folder, with models/base and releases of it."""

    def __init__(self, base: Path) -> None:
        self.base = Path("models/base")
        shutil.copytree(base, self.base)
        Path("dvc.yaml").write_text(PIPELINE)
        Path(".gitignore").write_text("/models/*\n!/models/revisions.json\n/made\n")
        git(Path(), "init", "-q", "--initial-branch=main")
        git(Path(), "config", "user.name", "a")
        git(Path(), "config", "user.email", "a@b")
        with Repo.init():
            pass

    def release(self, version: str, description: str, **keywords: Any) -> str:
        """Make, commit and tag a package as the one in prod; returns its commit."""
        model = Path("model")
        shutil.rmtree(model, ignore_errors=True)
        shutil.copytree(self.base, model)
        template = sha256((model / "chat_template.jinja").read_bytes()).hexdigest()
        prepared = {"datasets": {"d": {"rows": 1, "sha256": "5f"}}} | {
            "chat_template_sha256": template
        }
        if keywords:
            prepared["chat_template_kwargs"] = keywords
        records = {
            "download": {"source": "hf:org/name@main", "revision": "abc"},
            "prepare@sft": prepared,
            "train@sft": {"method": "sft"},
        }
        (model / "lineage.json").write_text(json.dumps(records))
        Path("metrics.json").write_text('{"all": {"loss": 1.5}}')
        Path("gate.json").write_text('{"passed": true, "rules": []}')
        about = PackageParams(name="boat", license="mit", language=["en"], description=description)
        params = load(ROOT / "params.yaml").model_copy(update={"package": about})
        shutil.rmtree("made", ignore_errors=True)
        package(params, model, Path("metrics.json"), Path("gate.json"), package=Path("made"))
        with Repo() as repo:
            repo.reproduce()
        git(Path(), "add", ".")
        git(Path(), "commit", "-qm", version)
        commit = head(Path())
        tags.register(Path(), "merged", version, commit)
        tags.assign(Path(), "merged", "prod", commit, "Promoted", {})
        return commit

    def start(self, source: str = PROD, name: str = "champion") -> Path:
        start(name, source, self.base, model=Path("models") / name)
        return Path("models") / name


@pytest.fixture
def project(tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(tmp_path / ".dvc-home"))
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", "/dev/null")
    base = Path(shutil.copytree(tiny_model, tmp_path / "base"))
    template = base / "chat_template.jinja"
    template.write_text(template.read_text() + "{{ '' if enable_thinking }}")
    (tmp_path / "project").mkdir()
    monkeypatch.chdir(tmp_path / "project")
    return Project(base)


def refused(project: Project, source: str, kind: Any = ReleaseError) -> str:
    with pytest.raises(kind) as caught:
        project.start(source)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def names(folder: Path) -> Sequence[str]:
    return sorted(file.name for file in folder.iterdir())


def test_a_released_model_is_one_to_train_on(project: Project, tmp_path: Path):
    commit = project.release("v0.1.0", "First.", **KEYWORDS)
    model = project.start()
    assert set(names(model)) == {*names(project.base), "lineage.json"}
    for file in project.base.iterdir():
        assert (model / file.name).read_bytes() == file.read_bytes(), file.name
    records = lineage.read(model)
    assert list(records) == [
        "download", "prepare@sft of merged v0.1.0", "train@sft of merged v0.1.0", "start@champion",
    ]  # fmt: skip
    assert records["start@champion"] == {"source": PROD, "version": "v0.1.0", "commit": commit}
    assert records["download"] == {"source": "hf:org/name@main", "revision": "abc"}


def test_it_stays_the_same_when_another_is_released(project: Project):
    first = project.release("v0.1.0", "First.")
    project.start()
    pinned = json.loads(Path("models/revisions.json").read_text())
    assert pinned == {PROD: first}
    project.release("v0.2.0", "Second.")
    shutil.rmtree("models/champion")
    assert lineage.read(project.start())["start@champion"]["version"] == "v0.1.0"
    newest = project.start("release:merged@v0.2.0", "newest")
    assert lineage.read(newest)["start@newest"]["version"] == "v0.2.0"
    Path("models/revisions.json").unlink()
    shutil.rmtree("models/champion")
    assert lineage.read(project.start())["start@champion"]["version"] == "v0.2.0"


def test_a_clone_starts_from_what_was_pinned(project: Project, tmp_path: Path, monkeypatch: Any):
    with Repo() as repo, repo.config.edit() as config:
        config["remote"] = {"store": {"url": str(tmp_path / "store")}}
        config["core"] = {"remote": "store"}
    project.release("v0.1.0", "First.")
    project.start()
    project.release("v0.2.0", "Second.")
    folder = Path.cwd()
    with Repo() as repo:
        repo.push(all_tags=True)
    git(tmp_path, "clone", "-q", "--no-tags", str(folder), "clone")
    monkeypatch.chdir(tmp_path / "clone")
    shutil.copytree(folder / "models/base", "models/base")
    model = project.start()
    assert lineage.read(model)["start@champion"]["version"] == "v0.1.0"
    for name in ("model.safetensors", "lineage.json"):
        assert (model / name).read_bytes() == (folder / "models/champion" / name).read_bytes()


def test_what_is_no_release_is_refused(project: Project):
    project.release("v0.1.0", "First.")
    assert refused(project, "release:merged@v9.9.9").startswith("merged@v9.9.9: no such version")
    assert refused(project, "release:other@prod").startswith("other: no release; there are merged")
    Path("models/revisions.json").write_text(json.dumps({PROD: "f" * 40}))
    assert refused(project, PROD) == (
        f"{PROD}: models/revisions.json has it at commit ffffffff, and no release of merged is"
        " there; fetch its tags, or remove that line to take the one that prod is now"
    )
    assert not Path("models/champion").exists()


def test_a_package_that_is_damaged_or_gone_is_refused(project: Project):
    project.release("v0.1.0", "First.")
    shutil.rmtree(".dvc/cache")
    assert refused(project, PROD, NotDelivered).startswith("models/packages/merged (commit ")


@pytest.mark.parametrize("file", ["chat_template.jinja", "tokenizer.json"])
def test_another_tokenizer_or_template_than_the_data_is_prepared_by(project: Project, file: str):
    project.release("v0.1.0", "First.")
    text = (project.base / file).read_text()
    (project.base / file).write_text(text + "\n")
    word = {"chat_template.jinja": "chat template", "tokenizer.json": "tokenizer"}[file]
    said = refused(project, PROD, PackageError)
    assert said.startswith(f"merged v0.1.0: has another {word} than models/base; set model.")


def test_quantized_weights_are_refused(project: Project):
    config = project.base / "config.json"
    plain = config.read_text()
    config.write_text(json.dumps(json.loads(plain) | {"quantization_config": {"bits": 4}}))
    project.release("v0.1.0", "First.")
    config.write_text(plain)
    assert "go on from the merged model" in refused(project, PROD, PackageError)


def test_a_step_goes_on_from_it_and_its_package_says_so(project: Project):
    """The new step has the name of the old one, and its record does not replace that."""
    from tests.stages.test_train import BASIC, write_samples

    project.release("v0.1.0", "First.")
    model, data, out = project.start(), write_samples(Path("data"), rows=8), Path("out")
    (data / "lineage.json").write_text('{"prepare@sft": {"datasets": {}}}')
    out.mkdir()
    params = step(**BASIC | {"after": "champion", "num_train_epochs": 1})
    files = {name: out / name for name in ("loss", "plot", "metrics")}
    train(params, "sft", model, data, adapter=out / "adapter", checkpoints=out / "c", **files)
    records = lineage.read(out / "adapter")
    assert list(records) == [
        "download", "prepare@sft of merged v0.1.0", "train@sft of merged v0.1.0", "start@champion",
        "prepare@sft", "train@sft",
    ]  # fmt: skip


def test_dvc_makes_it_and_finds_it_unchanged(project: Project, monkeypatch: Any):
    """Within `dvc repro`, which holds the project; and after another release nothing reruns."""
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    project.release("v0.1.0", "First.")
    shutil.copytree(ROOT / "templates", "templates")
    text = (ROOT / "params.yaml").read_text()
    Path("params.yaml").write_text(re.sub("(?m)^starts: .*", STARTS, text))
    graph = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]["start"]
    graph["do"]["deps"] = ["models/base"]
    pipeline = YAML(typ="safe").load(Path("dvc.yaml"))
    pipeline["stages"]["start"] = graph
    YAML(typ="safe").dump(pipeline, Path("dvc.yaml"))
    with Repo() as repo:
        assert [stage.addressing for stage in repo.reproduce("start@champion")] == [
            "start@champion"
        ]
    project.release("v0.2.0", "Second.")
    with Repo() as repo:
        assert repo.reproduce("start@champion") == []
    record = lineage.read(Path("models/champion"))["start@champion"]
    assert (record["source"], record["version"]) == (PROD, "v0.1.0")
