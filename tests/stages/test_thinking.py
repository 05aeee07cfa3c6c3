"""Keywords for the chat template, from the datasets to what is asked in the evaluation."""

import json
import shutil
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from finery import lineage
from finery.data.prepared import read_parquet
from finery.models.chat_template import ChatTemplateError
from finery.models.tokenizer import load_tokenizer
from finery.params.data import DataParams
from stages.prepare import prepare
from stages.prepare_test import prepare_test

THINKS = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if m.role == 'assistant' and loop.last %}"
    "{{ '<think>\n' + (m.reasoning_content or '') + '\n</think>\n\n' }}{% endif %}"
    "{{ m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}"
    "{% if enable_thinking is defined and enable_thinking is false %}"
    "{{ '<think>\n\n</think>\n\n' }}{% endif %}{% endif %}"
)
"""As Qwen 3 has it, as far as these conversations go."""
EMPTY = "<think>\n\n</think>\n\n"


def says(*answers: dict[str, str]) -> list[dict[str, Any]]:
    return [
        {"messages": [{"role": "user", "content": f"Boat {number}?"}, {"role": "assistant"} | each]}
        for number, each in enumerate(answers)
    ]


PLAIN = [{"content": f"Number {number}."} for number in range(6)]
THOUGHT = [{"content": f"Ship {n}.", "reasoning_content": f"Count {n}."} for n in range(6)]


@pytest.fixture
def base(tiny_model: Path, tmp_path: Path) -> Path:
    folder = shutil.copytree(tiny_model, tmp_path / "base")
    (folder / "chat_template.jinja").write_text(THINKS)
    return folder


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    folder = tmp_path / "raw"
    folder.mkdir()
    for name, rows in (
        ("plain", says(*PLAIN)),
        ("mixed", says(*PLAIN, *THOUGHT)),
        ("asked", says({"content": "Ten."})),
    ):
        (folder / f"{name}.json").write_text(json.dumps(rows))
    tags = {
        "role_tag": "role", "content_tag": "content", "user_tag": "user",
        "assistant_tag": "assistant", "system_tag": "system",
    }  # fmt: skip
    entry = {"formatting": "openai", "columns": {"messages": "messages"}, "tags": tags}
    info = {name: entry | {"file_name": f"{name}.json"} for name in ("plain", "mixed", "asked")}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def prepared(datasets: Path, base: Path, into: Path, train: str, **keywords: Any) -> Any:
    """What the training counts, sample by sample, the prompt and reference that are asked."""
    params = DataParams(
        train=[train], test=["asked"], val_size=0, chat_template_kwargs=keywords
    )  # fmt: skip
    into.mkdir()
    files = {name: into / name for name in ("metrics", "rejected")}
    with chdir(into):
        made = {name: into / name for name in ("train", "calibration", "plot")}
        prepare(params, "sft", datasets, base, **made, **files)
        prepare_test(params, datasets, base, test=into / "test", **files)
    tokenizer = load_tokenizer(base)
    counted = [
        tokenizer.decode([token for token in sample["labels"] if token >= 0])
        for sample in read_parquet(into / "train/train.parquet")
    ]
    (asked,) = read_parquet(into / "test/test.parquet")
    answer = [token for token in asked["labels"] if token >= 0]
    return sorted(counted), tokenizer.decode(asked["prompt_ids"]), tokenizer.decode(answer)


PROMPT = "<|im_start|>user\nBoat 0?<|im_end|>\n<|im_start|>assistant\n"


def test_answers_without_thinking_are_learnt_and_asked_without(
    datasets: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    made = prepared(datasets, base, tmp_path / "out", "plain", enable_thinking=False)
    answers = [f"{each['content']}<|im_end|>" for each in PLAIN]
    assert made == (answers, PROMPT + EMPTY, "Ten.<|im_end|>")
    assert "thought" not in capsys.readouterr().out
    for folder, stage in (("train", "prepare@sft"), ("calibration", None), ("test", "test")):
        record = lineage.read(tmp_path / "out" / folder)
        if stage:
            assert record[stage]["chat_template_kwargs"] == {"enable_thinking": False}


def test_samples_with_and_without_thinking(
    datasets: Path, base: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    counted, prompt, reference = prepared(datasets, base, tmp_path / "out", "mixed")
    plain = [f"{each['content']}<|im_end|>" for each in PLAIN]
    thought = [
        f"<think>\n{each['reasoning_content']}\n</think>\n\n{each['content']}<|im_end|>"
        for each in THOUGHT
    ]
    assert counted == sorted([*plain, *thought])
    assert (prompt, reference) == (PROMPT, "Ten.<|im_end|>")
    said = capsys.readouterr().out
    assert "mixed: the empty thought that stands before the answers of 6 rows is not" in said
    assert "chat_template_kwargs" not in lineage.read(tmp_path / "out/train")["prepare@sft"]


def test_other_keywords_make_other_tokens_of_what_is_cached(
    datasets: Path, base: Path, tmp_path: Path
):
    prompts = []
    for number, keywords in enumerate(({}, {"enable_thinking": False}, {})):
        into = tmp_path / f"out{number}"
        into.mkdir()
        (into / ".finery").symlink_to(tmp_path / "cache", target_is_directory=True)
        (tmp_path / "cache").mkdir(exist_ok=True)
        params = DataParams(train=["plain"], test=["asked"], chat_template_kwargs=keywords)
        files = {name: into / name for name in ("metrics", "rejected")}
        with chdir(into):
            prepare_test(params, datasets, base, test=into / "test", **files)
        (asked,) = read_parquet(into / "test/test.parquet")
        prompts.append(load_tokenizer(base).decode(asked["prompt_ids"]))
    assert prompts == [PROMPT, PROMPT + EMPTY, PROMPT]


def test_a_keyword_that_the_template_does_not_know(datasets: Path, base: Path, tmp_path: Path):
    with pytest.raises(ChatTemplateError, match="did you mean enable_thinking") as refused:
        prepared(datasets, base, tmp_path / "out", "plain", enable_thinkng=False)
    assert "\n" not in str(refused.value) and refused.value.exit_status == 2
