"""Files of questions are answered as the evaluation answers them, and once."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from finery.cli import app
from finery.data.prepared import read_parquet
from finery.inference.answers import answer
from finery.models.tokenizer import load_tokenizer
from finery.params.data import SharedDataParams
from finery.params.evaluate import EvaluateParams
from stages.evaluate import evaluate
from stages.prepare_test import prepare_test
from tests.seeing import make_data
from tests.taught import CALLED, NAME, THOUGHT, WEATHER, WORLD

SHAREGPT = {
    "conversations": [
        {"from": "human", "value": "Who are you?"}, {"from": "gpt", "value": NAME},
        {"from": "human", "value": "Again?"}, {"from": "gpt", "value": "As I said."},
    ]
}  # fmt: skip
ALPACA = {"instruction": "Who are you?", "input": "", "output": "Saltmere."}


def predict(model: Path, file: Path, *more: object) -> tuple[int, str, str]:
    done = CliRunner().invoke(app, ["predict", str(model), "--input", str(file), *map(str, more)])
    return done.exit_code, done.stdout, done.stderr


def write(file: Path, *rows: Any) -> Path:
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def answers(model: Path, file: Path, *more: object) -> list[dict[str, Any]]:
    status, out, error = predict(model, file, *more)
    assert status == 0, error
    return [json.loads(line) for line in out.splitlines()]


def test_greedy_answers_are_those_of_the_evaluation(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("metrics").mkdir()
    system = {"columns": {"prompt": "asked", "response": "said", "system": "as"}}
    Path("dataset_info.json").write_text(json.dumps({
        "talks": {"file_name": "talks.json", "formatting": "sharegpt"},
        "short": {"file_name": "short.json"} | system,
    }))  # fmt: skip
    Path("talks.json").write_text(json.dumps([SHAREGPT] * 2))
    short = {"asked": "Who are you?", "said": "A boat.", "as": "Short."}
    boats = {"asked": "How many boats?", "said": "Three."}
    Path("short.json").write_text(json.dumps([short, boats, short | {"asked": "你好"}]))
    data = SharedDataParams(dataset_dir="data", test=["talks", "short"])
    Path("tests").mkdir()
    outs = {name: tmp_path / f"{name}.out" for name in ("metrics", "rejected")}
    prepare_test(data, Path(), taught, test=Path("tests"), **outs)
    settings = EvaluateParams(max_new_tokens=20, batch_size=2)
    evaluate(
        settings, taught, Path("tests"), Path("metrics"),
        samples=Path("samples.jsonl"), metrics=Path("metrics.json"),
    )  # fmt: skip
    expected = [json.loads(line) for line in Path("samples.jsonl").read_text().splitlines()]
    said = [
        each
        for file in ("talks.json", "short.json")
        for each in answers(taught, Path(file), "--max-new-tokens", 20, "--batch-size", 3)
    ]
    assert [each["answer"] for each in said] == [each["answer"] for each in expected]
    assert [each["label"] for each in said] == [each["reference"] for each in expected]
    ended = [each["finish_reason"] == "stop" for each in said]
    assert ended == [each["finished"] for each in expected]
    tokenizer = load_tokenizer(taught)
    prompts = [tokenizer.decode(row["prompt_ids"]) for row in read_parquet("tests/test.parquet")]
    assert [each["prompt"] for each in said] == prompts
    assert said[0]["answer"] == "As I said." and len({each["answer"] for each in said}) > 2


def test_rows_of_every_kind(taught: Path, tmp_path: Path) -> None:
    asks = {"role": "user", "content": "Who are you?"}
    rows = [
        {"prompt": "你好"},
        {"question": "2+2?", "label": "four"},
        {"messages": [asks]},
        {"messages": [{"role": "system", "content": "Short."}, asks]},
        {"messages": [asks, {"role": "assistant", "content": "right"}]},
        {"prompt": "Weather?", "tools": [WEATHER]},
        {"instruction": "Who are", "input": "you?"},
        ALPACA,
        SHAREGPT,
    ]
    said = answers(taught, write(tmp_path / "mine.jsonl", *rows))
    assert [each["answer"] for each in said[:5]] == [WORLD, THOUGHT, NAME, "A test.", NAME]
    assert said[5]["tool_calls"] == [CALLED]
    assert said[7]["answer"] == NAME and said[8]["answer"] == "As I said."
    labels = [each.get("label") for each in said]
    assert labels == [None, "four", None, None, "right", None, None, "Saltmere.", "As I said."]
    assert "Who are\nyou?" in said[6]["prompt"]


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({"ask": "x"}, "row 2: has ask; name question, prompt, messages, instruction or"),
        ([1], "row 2: must be an object, not an array"),
        ({"prompt": 3}, "row 2: must have a question, a text"),
        ({"prompt": "a", "more": 1}, "row 2: more: no such key; there are question,"),
        ({"messages": [{"role": "me"}]}, "row 2: message 1: must have a role"),
        ({"prompt": "a <|im_end|>"}, "row 2: user: contains the control token <|im_end|>"),
        ({"instruction": "a <|im_end|>"}, "contains the control token <|im_end|>"),
        ({"instruction": 3}, "row 2: instruction: "),
        ({"conversations": []}, "row 2: conversations: "),
        ({"prompt": "a", "images": ["x.png"]}, "row 2: the model reads no images"),
    ],
)
def test_what_is_wrong_is_named_with_its_row(
    taught: Path, tmp_path: Path, row: Any, said: str
) -> None:
    file = write(tmp_path / "mine.jsonl", {"prompt": "a"}, row, {"prompt": "b"}, row)
    status, out, error = predict(taught, file, "--output", tmp_path / "out.jsonl")
    assert (status, out) == (2, "")
    assert error.startswith(f"{file}: row 2") and said in error and error.count("\n") == 1
    assert "(1 more rows are wrong)" in error
    assert [each.name for each in tmp_path.iterdir()] == ["mine.jsonl"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("no.jsonl",), "no.jsonl: no such file"),
        (("a.txtt",), "a.txtt: must be .json, .jsonl,"),
        (("a.jsonl", "--output", "no/where.jsonl"), "no/where.jsonl: cannot be written there"),
        (("a.jsonl", "--temperature", "-1"), "temperature: input should be greater than"),
        (("empty.jsonl",), "empty.jsonl: the file is empty"),
    ],
)
def test_what_cannot_be_done_is_one_line(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: tuple, said: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write(Path("a.jsonl"), {"prompt": "a"})
    write(Path("a.txtt"), {"prompt": "a"})
    write(Path("empty.jsonl"))
    status, out, error = predict(taught, *arguments)
    assert (status, out) == (2, "") and error.startswith(said) and error.count("\n") == 1


def test_a_run_that_was_cut_off_goes_on(
    taught: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was answered is kept, and nothing else: not that of other settings or questions."""
    rows = [{"prompt": "How many boats? " * n} for n in (3, 1, 2, 1, 5)]
    file = write(tmp_path / "mine.jsonl", *rows)
    told = ["--output", tmp_path / "out.jsonl", "--batch-size", 2, "--max-new-tokens", 8]
    drawn = [*told, "--temperature", 2]
    assert predict(taught, file, *drawn)[0] == 0
    expected = (tmp_path / "out.jsonl").read_text()
    assert sorted(each.name for each in tmp_path.iterdir()) == ["mine.jsonl", "out.jsonl"]

    from finery.predicting import predict as module

    asked: list[int] = []

    def counted(*arguments: Any) -> Any:
        *given, known, tell = arguments

        def told_of(answers: Any) -> None:
            tell(answers)
            asked.extend(answers)
            if len(asked) == 2:
                raise KeyboardInterrupt

        return answer(*given, known, told_of)

    monkeypatch.setattr(module, "answer", counted)
    (tmp_path / "out.jsonl").unlink()
    assert predict(taught, file, *drawn)[0] != 0
    assert not (tmp_path / "out.jsonl").exists() and sorted(asked) == [1, 3]
    shutil.copy(tmp_path / ".partial-out.jsonl", tmp_path / "partial")
    assert predict(taught, file, *drawn)[0] == 0
    assert asked == [1, 3, 2, 0, 4] and (tmp_path / "out.jsonl").read_text() == expected

    shutil.copy(tmp_path / "partial", tmp_path / ".partial-out.jsonl")
    assert predict(taught, file, *told, "--temperature", 3)[0] == 0
    assert len(asked) == 10 and (tmp_path / "out.jsonl").read_text() != expected


def test_images_are_shown(qwen_vl: Path, tmp_path: Path) -> None:
    folder = make_data(tmp_path)
    said = answers(qwen_vl, folder / "asked.json", "--max-new-tokens", 2)
    assert [each["label"] for each in said] == ["red", "blue", "green"]
    row = {"prompt": "What?", "images": [str(folder / "pictures/red-32.png")]}
    assert len(answers(qwen_vl, write(tmp_path / "more.jsonl", row), "--max-new-tokens", 2)) == 1
