import json
import os
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from finery.models.chat_template import ChatTemplateError
from finery.params.model import ModelParams
from stages.download import download

ROOT = Path(__file__).resolve().parents[2]
TEMPLATES = ROOT / "templates"


def digests(folder: Path) -> dict[str, str]:
    return {file.name: sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def test_a_local_model_is_linked_and_recorded(tiny_model: Path, tmp_path: Path) -> None:
    base = tmp_path / "base"
    download(ModelParams(source=f"path:{tiny_model}"), TEMPLATES, base=base)
    made, given = digests(base), digests(tiny_model)
    lineage = made.pop("lineage.json")
    assert made == given
    assert (base / "model.safetensors").samefile(tiny_model / "model.safetensors")
    assert json.loads((base / "lineage.json").read_text()) == {
        "download": {
            "source": "path:model",
            "weights": {"model.safetensors": given["model.safetensors"]},
            "chat_template": "the model's own",
            "chat_template_sha256": given["chat_template.jinja"],
            "trust_remote_code": False,
        }
    }
    download(ModelParams(source=f"path:{tiny_model}"), TEMPLATES, base=tmp_path / "again")
    assert digests(tmp_path / "again") == made | {"lineage.json": lineage}


def test_a_template_replaces_the_models_own(tiny_model: Path, tmp_path: Path) -> None:
    before = digests(tiny_model)
    templates, base = tmp_path / "templates", tmp_path / "base"
    (templates / "own").mkdir(parents=True)
    text = "{% for m in messages %}{{ m.role }}: {{ m.content }}<|endoftext|>{% endfor %}"
    (templates / "own" / "plain.jinja").write_text(text)
    params = ModelParams(source=f"path:{tiny_model}", chat_template="templates/own/plain.jinja")
    download(params, templates, base=base)
    record = json.loads((base / "lineage.json").read_text())["download"]
    assert record["chat_template"] == "templates/own/plain.jinja"
    assert record["chat_template_sha256"] == sha256(text.encode()).hexdigest()
    assert (base / "chat_template.jinja").read_text() == text
    assert json.loads((base / "generation_config.json").read_text())["eos_token_id"] == [0, 2]
    assert digests(tiny_model) == before


def test_a_template_that_is_not_jinja(tiny_model: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.jinja").write_text("{% for m in messages %}")
    params = ModelParams(source=f"path:{tiny_model}", chat_template="templates/bad.jinja")
    with pytest.raises(ChatTemplateError, match=r"^chat template, line 1: ") as caught:
        download(params, tmp_path, base=tmp_path / "base")
    assert "\n" not in str(caught.value)


def test_torch_stays_out(tiny_model: Path, tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from stages.download import download;"
        "from finery.params.model import ModelParams;"
        "params = ModelParams(source=sys.argv[1], chat_template='templates/chatml.jinja');"
        "download(params, Path('templates'), base=Path(sys.argv[2]));"
        "sys.exit('torch' in sys.modules)"
    )
    command = [sys.executable, "-c", code, f"path:{tiny_model}", str(tmp_path / "base")]
    assert subprocess.run(command, cwd=ROOT, timeout=120).returncode == 0


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A folder to run the stage in, with the shipped settings and templates."""
    shutil.copytree(TEMPLATES, tmp_path / "templates")
    shutil.copy(ROOT / "params.yaml", tmp_path)
    return tmp_path


def run(project: Path, source: str) -> subprocess.CompletedProcess:
    yaml = YAML()
    params = yaml.load(project / "params.yaml")
    params["model"] = {"source": source}
    params["quantize"]["gptq"]["group_size"] = params["quantize"]["awq"]["group_size"] = 32
    yaml.dump(params, project / "params.yaml")
    command = [sys.executable, "-m", "stages.download"]
    return subprocess.run(
        [*command, "--templates", "templates", "--base", "models/base"],
        cwd=project,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_the_command_makes_the_folder(project: Path, tiny_model: Path) -> None:
    done = run(project, f"path:{tiny_model}")
    assert done.returncode == 0, done.stderr
    assert "download: path:model" in done.stderr
    assert (project / "models" / "base" / "lineage.json").exists()


def test_a_damaged_model_is_one_line_and_leaves_nothing(project: Path, tiny_model: Path) -> None:
    damaged = Path(shutil.copytree(tiny_model, project / "damaged"))
    weights = damaged / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-100])
    done = run(project, "path:damaged")
    assert done.returncode == 2
    lines = done.stderr.splitlines()
    assert len(lines) == 1
    assert lines[0].startswith("download: model.safetensors: truncated or damaged")
    assert list((project / "models").iterdir()) == []
