"""A package of the tiny model: loadable, verifiable, the same every time."""

import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from dvc.repo import Repo
from transformers import AutoTokenizer
from typer.testing import CliRunner

from finery import lineage
from finery.cli import app
from finery.git import GitError, git
from finery.packaging.errors import PackageError
from finery.packaging.verify import verify
from finery.params.package import PackageParams
from finery.params.recipe import Recipe
from finery.params.schema import load
from stages.package import package

ROOT = Path(__file__).resolve().parents[2]
BOAT = PackageParams(name="boat", license="apache-2.0", language=["en"], description="Boats.")
PARAMS = load(ROOT / "params.yaml").model_copy(update={"package": BOAT})
METRICS = {"test": {"loss": 1.5, "perplexity": 4.5}, "all": {"loss": 1.5, "perplexity": 4.5}}
GATE = {"passed": True, "rules": [{"rule": "merged test.loss <= 2", "value": 1.5, "passed": True}]}
END = 2


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def project(tiny_model: Path, tmp_path: Path) -> Path:
    """A folder with models/sft, metrics.json, gate.json and params.yaml."""
    model = tmp_path / "models/sft"
    shutil.copytree(tiny_model, model)
    template = sha256((model / "chat_template.jinja").read_text())
    datasets = {"identity": {"rows": 106, "sha256": "5f"}}
    prepared = {"datasets": datasets, "chat_template_sha256": template}
    (tmp_path / "first").mkdir()
    lineage.write(tmp_path / "first", [], "prepare@sft", prepared)
    lineage.write(model, [tmp_path / "first"], "merge@sft", {"dtype": "bfloat16"})
    (tmp_path / "metrics.json").write_text(json.dumps(METRICS))
    (tmp_path / "gate.json").write_text(json.dumps(GATE))
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def make(project: Path, name: str = "package", params: Recipe = PARAMS) -> Path:
    inputs = (project / "models/sft", project / "metrics.json", project / "gate.json")
    package(params, *inputs, package=project / name)
    return project / name


def test_transformers_loads_it_and_the_card_runs(project: Path, monkeypatch, capsys):
    """The example in the card is run as it stands, beside the package."""
    made = make(project, "boat")
    code = re.search(r"```python\n(.*?)```", (made / "README.md").read_text(), re.DOTALL)[1]
    monkeypatch.chdir(project)
    ran: dict = {}
    exec(code.replace("max_new_tokens=128", "max_new_tokens=4"), ran)
    assert 1 <= len(ran["answer"]) <= 4
    assert ran["model"].generation_config.eos_token_id == END
    assert ran["tokenizer"].chat_template == (made / "chat_template.jinja").read_text()
    assert ran["inputs"]["input_ids"][0, 0] == 1


def test_the_card_trusts_code_that_came_along(project: Path):
    """Of the tokenizer alone, too."""
    assert "trust_remote_code" not in (make(project, "plain") / "README.md").read_text()
    (project / "models/sft/tokenization_own.py").write_text("class Own: ...\n")
    card = (make(project, "own") / "README.md").read_text()
    assert card.count("trust_remote_code=True") == 2 and "--trust-remote-code" in card


def test_the_generation_config_is_the_models_own(project: Path):
    config = project / "models/sft/generation_config.json"
    config.write_text('{"eos_token_id": [2, 0], "do_sample": true, "temperature": 0.7}')
    assert (make(project) / config.name).read_bytes() == config.read_bytes()


@pytest.mark.parametrize("text", [None, "{}", '{"eos_token_id": null}', '{"eos_token_id": []}'])
def test_a_model_that_nothing_stops_is_refused(project: Path, text: str | None):
    config = project / "models/sft/generation_config.json"
    config.unlink() if text is None else config.write_text(text)
    with pytest.raises(PackageError, match=r"eos_token_id.*from download again") as caught:
        make(project)
    assert "\n" not in str(caught.value)
    assert not (project / "package").exists()


def test_a_template_within_the_tokenizer_config_becomes_a_file(project: Path):
    model = project / "models/sft"
    template = (model / "chat_template.jinja").read_text()
    (model / "chat_template.jinja").unlink()
    config = model / "tokenizer_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"chat_template": template}))
    assert (make(project) / "chat_template.jinja").read_text() == template


def test_the_manifest_says_what_it_was_made_from(project: Path):
    made = make(project)
    manifest = json.loads((made / "MANIFEST.json").read_text())
    names = {file.relative_to(made).as_posix() for file in made.rglob("*")} - {"MANIFEST.json"}
    assert [file["path"] for file in manifest["files"]] == sorted(names)
    for file in manifest["files"]:
        content = (made / file["path"]).read_bytes()
        assert file["size"] == len(content)
        assert file["sha256"] == hashlib.sha256(content).hexdigest()
    assert manifest["lineage"] == lineage.read(project / "models/sft")
    assert (manifest["metrics"], manifest["gate"]) == (METRICS, GATE)
    assert manifest["params"] == PARAMS.model_dump(mode="json")
    template = (made / "chat_template.jinja").read_text()
    assert manifest["chat_template_sha256"] == sha256(template)
    assert str(project) not in (made / "MANIFEST.json").read_text()


def test_it_verifies_and_changes_are_found(project: Path):
    made = make(project)
    assert verify(made) == []
    card = (made / "README.md").read_text()
    (made / "README.md").write_text(card.replace("Boats", "Goats"))
    (made / "tokenizer.json").unlink()
    (made / "run.py").write_text("pass")
    assert verify(made) == [
        "README.md: changed",
        "run.py: not in MANIFEST.json",
        "tokenizer.json: missing",
    ]


def test_two_packagings_are_the_same_to_the_byte(project: Path):
    first, second = make(project, "first-package"), make(project, "second-package")
    names = sorted(file.relative_to(first) for file in first.rglob("*"))
    assert names == sorted(file.relative_to(second) for file in second.rglob("*"))
    assert len(names) == 11
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes(), name


def test_a_failed_gate_packages_nothing(project: Path):
    (project / "gate.json").write_text('{"passed": false, "rules": []}')
    with pytest.raises(PackageError, match="the gate was not passed; nothing is packaged"):
        make(project)
    assert not (project / "package").exists()


@pytest.mark.parametrize("link", ["LICENSE", "config.json", "README.md"])
def test_a_licence_that_did_not_come_with_the_model(project: Path, link: str):
    licence = {"license": "other", "license_name": "be-kind", "license_link": link}
    boat = PackageParams.model_validate(BOAT.model_dump() | licence)
    params = PARAMS.model_copy(update={"package": boat})
    (project / "models/sft/NOTICE").write_text("Be kind.")
    with pytest.raises(PackageError, match=rf"license_link: {link}: .*it has NOTICE.*or a URL"):
        make(project, params=params)
    (project / "models/sft/LICENSE").write_text("Be kind.")
    if link == "LICENSE":
        card = (make(project, params=params) / "README.md").read_text()
        assert "license: other\nlicense_name: be-kind\nlicense_link: LICENSE\n" in card


def chained(project: Path, **prepared: dict) -> None:
    """Give the model the past of a chain, as the stages write it: step after step, each on what
    the one before made."""
    made, past = [], project / "past"
    for step, record in prepared.items():
        for stage, upstream, said in (
            (f"prepare@{step}", [], record),
            (f"train@{step}", [*made, past / f"prepare@{step}"], {"method": "sft"}),
            (f"merge@{step}", [past / f"train@{step}"], {"dtype": "bfloat16"}),
        ):
            (past / stage).mkdir(parents=True)
            lineage.write(past / stage, upstream, stage, said)
        made = [past / f"merge@{step}"]
    shutil.copy(made[0] / lineage.LINEAGE, project / "models/sft")


def test_a_chain_of_two_steps_is_on_record_in_its_order(project: Path):
    template = sha256((project / "models/sft/chat_template.jinja").read_text())
    one, two = ({"datasets": {name: {"rows": 5, "sha256": "5f"}}} for name in ("one", "two"))
    chained(project, a=one | {"chat_template_sha256": template}, b=two)
    made = make(project)
    records = json.loads((made / "MANIFEST.json").read_text())["lineage"]
    assert list(records) == ["prepare@a", "train@a", "merge@a", "prepare@b", "train@b", "merge@b"]
    assert list(lineage.of(records, "prepare")) == ["a", "b"]
    card = (made / "README.md").read_text()
    assert "| a | one | 5 | 5f |" in card and "| b | two | 5 | 5f |" in card


@pytest.mark.parametrize("odd", ["a", "b"])
def test_every_step_of_a_chain_was_trained_with_its_template(project: Path, odd: str):
    template = sha256((project / "models/sft/chat_template.jinja").read_text())
    chained(project, **{
        step: {"chat_template_sha256": "0" * 64 if step == odd else template} for step in "ab"
    })  # fmt: skip
    with pytest.raises(PackageError, match="not the one it was trained with"):
        make(project)


def test_another_template_than_in_training_is_refused(project: Path):
    template = project / "models/sft/chat_template.jinja"
    template.write_text(template.read_text() + " ")
    with pytest.raises(PackageError, match="not the one it was trained with"):
        make(project)


def test_the_package_renders_as_the_model_was_trained(project: Path):
    """Its template has the keywords of the training for defaults, which a request can change."""
    model, chat = project / "models/sft", [{"role": "user", "content": "Who?"}]
    template = (model / "chat_template.jinja").read_text() + (
        "{% if add_generation_prompt and enable_thinking is defined and not enable_thinking %}"
        "{{ '<think>\n\n</think>\n\n' }}{% endif %}"
    )
    (model / "chat_template.jinja").write_text(template)
    records = lineage.read(model)
    keywords = {"enable_thinking": False}
    records["prepare@sft"] |= {
        "chat_template_sha256": sha256(template), "chat_template_kwargs": keywords,
    }  # fmt: skip
    (model / "lineage.json").write_text(json.dumps(records))
    made = make(project)

    def prompt(folder: Path, **given: bool) -> str:
        tokenizer = AutoTokenizer.from_pretrained(folder)
        return tokenizer.apply_chat_template(
            chat, tokenize=False, add_generation_prompt=True, **given
        )

    assert prompt(made) == prompt(model, **keywords)
    assert prompt(made).endswith("<|im_start|>assistant\n<think>\n\n</think>\n\n")
    assert prompt(made, enable_thinking=True) == prompt(model)
    manifest = json.loads((made / "MANIFEST.json").read_text())
    assert manifest["chat_template_kwargs"] == keywords
    assert manifest["chat_template_sha256"] == sha256(template)
    assert '`{"enable_thinking": false}`' in (made / "README.md").read_text()
    assert verify(made) == []


def test_a_model_without_a_past_is_packaged(project: Path):
    (project / "models/sft/lineage.json").unlink()
    made = make(project)
    assert json.loads((made / "MANIFEST.json").read_text())["lineage"] == {}
    assert "## Training data" not in (made / "README.md").read_text()


def run(project: Path) -> subprocess.CompletedProcess:
    inputs = ("--model=models/sft", "--metrics=metrics.json", "--gate=gate.json")
    command = [sys.executable, "-m", "stages.package", *inputs, "--package=models/packages/merged"]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    environment.pop("DVC_STAGE", None)
    return subprocess.run(
        command, cwd=project, env=environment, capture_output=True, text=True, timeout=120
    )


def test_from_the_command_line(project: Path):
    done = run(project)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"smollm2-135m-nimbrick: 10 files, \d\.\d MB\n", done.stdout)
    assert verify(project / "models/packages/merged") == []


def test_a_pickle_ends_in_one_line_and_leaves_nothing(project: Path):
    (project / "models/sft/pytorch_model.bin").write_bytes(b"x")
    done = run(project)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == (
        "package: models/sft: pytorch_model.bin: a pickle can run code when loaded;"
        " save the weights as safetensors and remove it\n"
    )
    assert list((project / "models/packages").iterdir()) == []


def in_git(project: Path, monkeypatch) -> None:
    """Commit it as a project of git and DVC, and go there."""
    for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
        monkeypatch.setenv(name, str(project / ".dvc-home"))
    monkeypatch.chdir(project)
    write = {
        "dvc.yaml": "stages: {p: {cmd: 'true', deps: [raw], outs: [out]}}",
        ".gitignore": "*.csv",
    }
    for name, text in write.items():
        (project / name).write_text(text)
    (project / "raw").mkdir()
    Repo.init(str(project), no_scm=True).close()
    git(project, "init", "-q")
    git(project, "add", ".")
    git(project, "-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "all")


def test_data_in_no_commit_is_named_and_on_record(project: Path, monkeypatch, capsys):
    in_git(project, monkeypatch)
    (project / "raw/rows.csv").write_text("1")
    made = make(project)
    record = json.loads((made / "MANIFEST.json").read_text())["git"]
    assert (record["modified"], record["untracked"]) == ([], ["raw/"])
    assert capsys.readouterr().out.splitlines()[0] == (
        "raw/: in no commit; MANIFEST.json says so, and nobody else has it"
    )
    verified = CliRunner().invoke(app, ["verify", str(made)])
    assert verified.stdout.endswith(
        f"match MANIFEST.json (commit {record['commit'][:8]} and 1 file not as in it); not signed\n"
    )


def test_a_repository_that_git_does_not_read_is_no_project_without_one(project: Path, monkeypatch):
    in_git(project, monkeypatch)
    (project / ".git/HEAD").unlink()
    with pytest.raises(GitError, match=r"git: not a git repository .* says what is damaged"):
        make(project)
    assert not (project / "package").exists()


def test_packaging_never_imports_torch():
    code = "import sys, stages.package; print({'torch', 'transformers'} & sys.modules.keys())"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stdout == "set()\n"
