"""Which of the evaluated models fit into a memory, and which of them to deploy."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from finery.cli import app
from finery.comparison.fit import Fit, FitError, cache_bytes, chosen, fits, lines, parsed_memory
from finery.errors import PipelineError

LLAMA = {
    "num_hidden_layers": 32, "num_attention_heads": 32, "num_key_value_heads": 8,
    "hidden_size": 4096, "max_position_embeddings": 8192,
}  # fmt: skip
PERPLEXITIES = {"merged": 4.0, "gptq": 4.4, "gguf": 4.1}
MB = {"merged": 16, "gptq": 5, "gguf": 8}


@pytest.fixture
def project(tmp_path: Path) -> dict[str, Path]:
    """Three models of the shape of Llama 3 8B, with few weights, and their evaluations."""
    folders = {name: tmp_path / "models" / name for name in MB}
    for name, folder in folders.items():
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps(LLAMA))
        weights = "model.gguf" if name == "gguf" else "model.safetensors"
        (folder / weights).write_bytes(bytes(MB[name] * 10**6))
        report = tmp_path / "reports/evaluate" / name / "metrics.json"
        report.parent.mkdir(parents=True)
        report.write_text(json.dumps({"all": {"perplexity": PERPLEXITIES[name]}}))
    return folders


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, 2 * 32 * 8192 * 2 * 8 * 128),  # 1 GiB: Llama 3 8B at 8192 tokens
        ({"head_dim": 64}, 2 * 32 * 8192 * 2 * 8 * 64),
        ({"num_key_value_heads": None}, 2 * 32 * 8192 * 2 * 32 * 128),
        ({"sliding_window": 1024}, 2 * 32 * 1024 * 2 * 8 * 128),
        ({"sliding_window": 1024, "use_sliding_window": False}, 2 * 32 * 8192 * 2 * 8 * 128),
        (
            {"sliding_window": 1024, "layer_types": ["sliding_attention", "full_attention"]},
            2 * (1024 + 8192) * 2 * 8 * 128,
        ),
        ({"layer_types": ["linear_attention", "full_attention"]}, 2 * 8192 * 2 * 8 * 128),
        ({"kv_lora_rank": 512, "qk_rope_head_dim": 64}, 2 * 32 * 8192 * 576),
    ],
)
def test_the_cache_of_one_stream(changes: dict, expected: int) -> None:
    assert cache_bytes(LLAMA | changes, 8192) == expected
    assert cache_bytes({"text_config": LLAMA | changes}, 8192) == expected


def test_weights_cache_and_recovery(project: dict[str, Path], tmp_path: Path) -> None:
    found = fits(project, tmp_path / "reports/evaluate", 8192, 4)
    assert [(each.name, each.weights) for each in found] == [
        ("merged", 16e6), ("gptq", 5e6), ("gguf", 8e6),
    ]  # fmt: skip
    assert {each.cache for each in found} == {4 * 2**30}
    assert [round(each.recovery, 4) for each in found] == [1, 0.9091, 0.9756]
    assert found[0].total == pytest.approx(16e6 * 1.1 + 4 * 2**30 + 5e8)
    (project["gptq"] / "model.safetensors").unlink()
    (tmp_path / "reports/evaluate/gguf/metrics.json").unlink()
    left = fits(project, tmp_path / "reports/evaluate", 8192, 4)
    assert [each.name for each in left] == ["merged"]


def test_the_best_that_fits_and_the_smaller_of_equal_ones() -> None:
    models = [
        Fit("merged", 16e9, 1e9, 1.0, 4.0, 10.0),
        Fit("gguf", 8e9, 1e9, 0.9996, 4.0, None),
        Fit("gptq", 5e9, 1e9, 0.95, 4.2, 30.0),
    ]
    assert chosen(models, 24e9).name == "gguf"  # 100.0 % either way
    assert chosen(models, 10e9).name == "gptq"
    table = lines(models, 10e9)
    assert table[2] == "| merged | no | 16.00 | 1.00 | 19.10 | 100.0% | 4.000 | 10.0 |"
    assert table[4] == "| gptq | yes | 5.00 | 1.00 | 7.00 | 95.0% | 4.200 | 30.0 |"
    with pytest.raises(PipelineError, match=r"into 4\.00 GB; gptq takes least, 7\.00 GB, of"):
        chosen(models, 4e9)


@pytest.mark.parametrize(
    ("text", "size"),
    [("24GB", 24e9), ("24", 24e9), ("16GiB", 16 * 2**30), ("900 mb", 9e8), ("1.5T", 1.5e12)],
)
def test_sizes(text: str, size: float) -> None:
    assert parsed_memory(text) == size


@pytest.mark.parametrize("text", ["", "much", "-1GB", "0", "24XB", "1e3GB"])
def test_no_sizes(text: str) -> None:
    with pytest.raises(FitError, match="is no size; say for instance 24GB"):
        parsed_memory(text)


def test_a_longer_context_than_the_model_takes(project: dict[str, Path], tmp_path: Path) -> None:
    with pytest.raises(FitError, match="--context: merged takes at most 8192 tokens, not 9000"):
        fits(project, tmp_path / "reports/evaluate", 9000, 1)


def test_from_the_command_line(
    project: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project["merged"].rename(tmp_path / "models/sft")
    root = Path(__file__).resolve().parents[3]
    text = (root / "params.yaml").read_text()
    text = text.replace("formats: [gptq, awq]", "formats: [gptq]").replace("- {model: awq", "#")
    (tmp_path / "params.yaml").write_text(text)
    monkeypatch.chdir(tmp_path)
    asked = ["fit", "--memory", "24GB", "--context", "8192", "--streams", "4"]
    done = CliRunner().invoke(app, asked)
    assert done.exit_code == 0, done.output
    assert done.output.splitlines()[-1] == "deploy merged"
    done = CliRunner().invoke(app, ["fit", "--memory", "1GB", "--context", "8192"])
    assert done.exit_code == 1 and "none fits into 1.00 GB" in done.output
