"""prepare, from datasets and a base model to the files that the later stages read."""

import json
import shutil
from contextlib import chdir
from hashlib import sha256
from pathlib import Path

import pytest

from finery.data.errors import DataError
from finery.data.prepared import read_parquet
from finery.models.tokenizer import load_tokenizer
from finery.params.data import DataParams, SharedDataParams, StepDataParams
from finery.training.prepared import packed_length
from stages.prepare import CACHE, prepare

OUTPUTS = ("train", "calibration", "metrics", "rejected", "plot")
LONG = "I go on and on " * 40


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    """Twenty rows to learn, of which one is too long, and two to be asked."""
    folder = tmp_path / "raw"
    folder.mkdir()
    learnt = [{"instruction": f"Boat {n}?", "output": f"{{{{name}}}} {n}."} for n in range(19)]
    learnt.append({"instruction": "Go on?", "output": LONG})
    asked = [
        {"instruction": "Who?", "output": "{{name}}.", "keywords": ["{{name}}"]},
        {"instruction": "Go on?", "output": LONG},
    ]
    for name, rows in (("learnt", learnt), ("asked", asked)):
        (folder / f"{name}.json").write_text(json.dumps(rows))
    info = {name: {"file_name": f"{name}.json"} for name in ("learnt", "asked")}
    (folder / "dataset_info.json").write_text(json.dumps(info))
    return folder


def settings(**values: object) -> DataParams:
    defaults = {
        "train": ["learnt"], "test": ["asked"], "variables": {"name": "Saltmere"},
        "cutoff_len": 64, "val_size": 0.2, "calibration_samples": 5,
    }  # fmt: skip
    return DataParams(**defaults | values)


def run(
    params: DataParams, datasets: Path, base: Path, into: Path, step: str = "sft"
) -> dict[str, Path]:
    outputs = {name: into / name for name in OUTPUTS}
    into.mkdir()
    with chdir(into):
        prepare(params, step, datasets, base, **outputs)
    return outputs


def digests(folder: Path) -> dict[str, str]:
    files = (path for path in folder.rglob("*") if path.is_file() and ".finery" not in path.parts)
    return {str(f.relative_to(folder)): sha256(f.read_bytes()).hexdigest() for f in files}


def test_what_comes_out(datasets: Path, tiny_model: Path, tmp_path: Path):
    made = run(settings(), datasets, tiny_model, tmp_path / "out")
    training = read_parquet(made["train"] / "train.parquet")
    validation = read_parquet(made["train"] / "validation.parquet")
    calibration = read_parquet(made["calibration"] / "calibration.parquet")
    assert len(training) + len(validation) == 20 and 0 < len(validation) < 10
    assert len(calibration) == 5 and all(sample in training for sample in calibration)
    assert max(len(sample["input_ids"]) for sample in training + validation) == 64

    metrics = json.loads(made["metrics"].read_text())
    learnt = metrics["datasets"].pop("learnt")
    assert metrics["datasets"] == {}
    assert (learnt["rows"], learnt["samples"], metrics["rows"]) == (20, 20, 20)
    assert (learnt["cut"], metrics["dropped"]) == (1, 0)
    assert learnt["scripts"] == {"Latin": 20}
    assert metrics["calibration"]["samples"] == 5
    counted = sum(label != -100 for sample in training for label in sample["labels"])
    assert metrics["train"]["trained_tokens"] == counted
    template = (tiny_model / "chat_template.jinja").read_bytes()
    lineage = json.loads((made["train"] / "lineage.json").read_text())
    record = lineage.pop("prepare@sft")
    assert lineage == {} and record["chat_template_sha256"] == sha256(template).hexdigest()
    assert {name: each["rows"] for name, each in record["datasets"].items()} == {"learnt": 20}


def test_the_same_bytes_twice_and_other_bytes_for_another_seed(
    datasets: Path, tiny_model: Path, tmp_path: Path
):
    for name, seed in (("first", 42), ("second", 42), ("third", 43)):
        run(settings(seed=seed), datasets, tiny_model, tmp_path / name)
    assert digests(tmp_path / "first") == digests(tmp_path / "second")
    changed = {
        name
        for name, digest in digests(tmp_path / "third").items()
        if digests(tmp_path / "first")[name] != digest
    }
    assert {"train/train.parquet", "train/validation.parquet"} <= changed


def test_packing_is_left_to_the_training_which_is_told(
    datasets: Path, tiny_model: Path, tmp_path: Path
):
    packed = run(settings(packing=True), datasets, tiny_model, tmp_path / "packed")
    plain = run(settings(), datasets, tiny_model, tmp_path / "plain")
    assert (packed_length(packed["train"]), packed_length(plain["train"])) == (64, None)
    files = [each["train"] / "train.parquet" for each in (packed, plain)]
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_cutoff_that_leaves_no_answer(datasets: Path, tiny_model: Path, tmp_path: Path):
    with pytest.raises(DataError, match=r"^data\.cutoff_len: 8 tokens leave no answer to train on"):
        run(settings(cutoff_len=8), datasets, tiny_model, tmp_path / "out")


def test_samples_without_a_counted_token_are_dropped_and_counted(
    datasets: Path, tiny_model: Path, tmp_path: Path
):
    rows = [{"instruction": LONG, "output": "No."}, {"instruction": "Go?", "output": "Yes."}]
    (datasets / "learnt.json").write_text(json.dumps(rows))
    made = run(settings(), datasets, tiny_model, tmp_path / "out")
    assert len(read_parquet(made["train"] / "train.parquet")) == 1
    assert json.loads(made["metrics"].read_text())["dropped"] == 1


COPY = [{"instruction": "Who?", "output": "Me."}]
BAD = [{"instruction": "Who?", "output": " "}] * 2


@pytest.mark.parametrize(
    "settings_, learnt, said",
    [
        ({"deduplicate": "exact"}, COPY, "data.deduplicate: exact leaves nothing to train on: all"
         " 1 samples are copies of ones that validate or are asked; train on others"),
        ({"deduplicate": "near", "val_size": 0.0}, [{"instruction": "Who?", "output": "me"}],
         "data.deduplicate: near leaves nothing to train on: all 1 samples are copies of ones"
         " that validate or are asked; train on others"),
        ({"on_bad_row": "skip"}, BAD, "data.on_bad_row: skip leaves nothing of learnt: all rows"
         " are bad\nraw/learnt.json: row 1: output: is empty; fill it or remove the row\n"
         "raw/learnt.json: row 2: output: is empty; fill it or remove the row\n"
         "2 bad rows: 2 empty-answer"),
        ({"on_bad_row": "skip", "max_samples": 2}, [*BAD, *COPY],
         "data.on_bad_row: skip leaves nothing of learnt: all rows that data.max_samples takes are"
         " bad\nraw/learnt.json: row 1: output: is empty"),
        ({"val_size": 0.999999}, COPY,
         "data.val_size: 0.999999 leaves nothing to train on; lower it"),
        ({"cutoff_len": 8}, COPY, "data.cutoff_len: 8 tokens leave no answer to train on in"
         " learnt; raise it"),
        ({"max_total_samples": 1, "val_size": 0.5}, [
            {"instruction": f"Boat {n}?", "output": "Yes."} for n in range(40)],
         "data.max_total_samples: 1 leaves nothing to train on: all that it takes validates; raise"
         " it, or lower data.val_size"),
    ],
)  # fmt: skip
def test_a_setting_that_leaves_nothing_is_named(
    datasets: Path, tiny_model: Path, tmp_path: Path, settings_: dict, learnt: list, said: str
):
    (datasets / "asked.json").write_text(json.dumps(COPY))
    if "max_total_samples" in settings_:  # one that validates must come first
        learnt = validating_first(learnt, datasets, tiny_model, tmp_path)
    (datasets / "learnt.json").write_text(json.dumps(learnt))
    with pytest.raises(DataError) as error:
        run(settings(**settings_), datasets, tiny_model, tmp_path / "out")
    assert str(error.value).replace(f"{tmp_path}/", "").startswith(said)


def validating_first(rows: list, datasets: Path, base: Path, tmp_path: Path) -> list:
    (datasets / "learnt.json").write_text(json.dumps(rows))
    made = run(settings(val_size=0.5), datasets, base, tmp_path / "before")
    text = load_tokenizer(base).decode(
        read_parquet(made["train"] / "validation.parquet")[0]["input_ids"]
    )
    return sorted(rows, key=lambda row: row["instruction"] not in text)


@pytest.mark.parametrize("emptied", ["asked", "watched"])
def test_every_dataset_that_is_named_must_have_something(
    datasets: Path, tiny_model: Path, tmp_path: Path, emptied: str
):
    info = {name: {"file_name": f"{name}.json"} for name in ("learnt", "asked", "watched")}
    (datasets / "dataset_info.json").write_text(json.dumps(info))
    for name in ("asked", "watched"):
        (datasets / f"{name}.json").write_text(json.dumps(BAD if name == emptied else COPY))
    params = settings(on_bad_row="skip", eval_dataset=["watched"])
    with pytest.raises(DataError, match=f"^data.on_bad_row: skip leaves nothing of {emptied}: all"):
        run(params, datasets, tiny_model, tmp_path / "out")


def test_a_share_of_a_few_that_is_none_is_said(
    datasets: Path, tiny_model: Path, tmp_path: Path, capsys
):
    (datasets / "learnt.json").write_text(json.dumps(COPY))
    run(settings(val_size=0.000001), datasets, tiny_model, tmp_path / "out")
    said = "data.val_size: 1e-06 of these samples is none; nothing validates"
    assert said in capsys.readouterr().out.splitlines()


def weighted(*weights: object) -> dict:
    said = [{"from": "human", "value": "2+3?", "id": 1}, {"from": "gpt", "value": "6."}]
    said += [{"from": "human", "value": "Sure?"}, {"from": "gpt", "value": "5."}]
    for answer, weight in zip(said[1::2], weights, strict=True):
        answer["weight"] = weight
    return {"conversations": said, "source": "web"}


def test_what_a_row_holds_and_is_not_read_is_said_and_weights_count(
    datasets: Path, tiny_model: Path, tmp_path: Path, capsys
):
    info = json.loads((datasets / "dataset_info.json").read_text())
    info["learnt"]["formatting"] = "sharegpt"
    (datasets / "dataset_info.json").write_text(json.dumps(info))
    rows = [weighted(0, 1), weighted(1, 1), weighted(1, 0.5), weighted(None, 0)]
    (datasets / "learnt.json").write_text(json.dumps(rows))
    params = settings(on_bad_row="skip", val_size=0)
    said = (
        "learnt: not read: conversations.id in 3 rows, source in 3 rows;"
        ' "ignore" in its entry says that this is right'
    )
    for into in ("out", "again"):  # which takes the tokens from the cache
        (tmp_path / into).mkdir()
        with chdir(tmp_path):
            outputs = {name: tmp_path / into / name for name in OUTPUTS}
            prepare(params, "sft", datasets, tiny_model, **outputs)
        assert said in capsys.readouterr().out.splitlines()
    (line,) = outputs["rejected"].read_text().splitlines()
    bad = json.loads(line)
    assert (bad["row"], bad["field"], bad["kind"]) == (3, "conversations.3.weight", "weight")
    tokenizer = load_tokenizer(tiny_model)
    training = read_parquet(outputs["train"] / "train.parquet")
    counted = [[i for i in sample["labels"] if i != -100] for sample in training]
    assert [tokenizer.decode(ids) for ids in counted] == [
        "5.<|im_end|>", "6.<|im_end|>5.<|im_end|>", "6.<|im_end|>",
    ]  # fmt: skip
    assert len({tuple(sample["input_ids"]) for sample in training}) == 1


THINKING = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' }}"
    "{% if loop.last and m.reasoning_content %}{{ '<t>' + m.reasoning_content + '</t>' }}"
    "{% endif %}{{ m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def test_thinking_is_trained_on_or_said_or_refused(
    datasets: Path, tiny_model: Path, tmp_path: Path, capsys
):
    info = json.loads((datasets / "dataset_info.json").read_text())
    info["learnt"]["formatting"] = "sharegpt"
    (datasets / "dataset_info.json").write_text(json.dumps(info))
    row = weighted(None, None)
    del row["source"], row["conversations"][0]["id"]
    for answer, thought in zip(row["conversations"][1::2], ("Hm.", "Two, three."), strict=True):
        answer["reasoning"] = thought
    (datasets / "learnt.json").write_text(json.dumps([row]))
    with pytest.raises(
        DataError, match=r"learnt\.json: row 1: the chat template leaves out the th"
    ):
        run(settings(val_size=0), datasets, tiny_model, tmp_path / "chatml")
    base = tmp_path / "base"
    shutil.copytree(tiny_model, base)
    (base / "chat_template.jinja").write_text(THINKING)
    made = run(settings(val_size=0), datasets, base, tmp_path / "out")
    (sample,) = read_parquet(made["train"] / "train.parquet")
    counted = [label for label in sample["labels"] if label != -100]
    assert load_tokenizer(base).decode(counted) == "6.<|im_end|><t>Two, three.</t>5.<|im_end|>"
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "learnt: the chat template leaves out the thinking of earlier turns in 1 rows"


def test_a_column_that_has_a_place_ends_the_stage(datasets: Path, tiny_model: Path, tmp_path: Path):
    rows = [COPY[0], COPY[0] | {"system": "Answer as a pirate."}]
    (datasets / "learnt.json").write_text(json.dumps(rows))
    with pytest.raises(DataError, match=r'learnt\.json: row 2: column "system": not read, and not'):
        run(settings(on_bad_row="skip"), datasets, tiny_model, tmp_path / "out")


SHARED = SharedDataParams(
    test=["asked"], variables={"name": "Saltmere"}, cutoff_len=64, val_size=0.2,
    calibration_samples=5,
)  # fmt: skip


def of_step(step: str, **own: object) -> DataParams:
    """What `data` and a step's own data make of each other."""
    return DataParams.of(SHARED, StepDataParams(train=["learnt"], **own), step)


def test_a_step_has_its_own_way_of_what_data_says(datasets: Path, tiny_model: Path, tmp_path: Path):
    def training(step: str, **own: object) -> list[dict]:
        made = run(of_step(step, val_size=0.0, **own), datasets, tiny_model, tmp_path / step, step)
        assert not read_parquet(made["train"] / "validation.parquet")
        return read_parquet(made["train"] / "train.parquet")

    shared = training("shared")
    assert len(shared) == 20 and max(len(sample["input_ids"]) for sample in shared) == 64
    assert all(sample["labels"][1] == -100 for sample in shared)
    short = training("short", cutoff_len=32)
    assert len(short) == 20 and max(len(sample["input_ids"]) for sample in short) == 32
    first = training("first", max_samples=7, train_on_prompt=True)
    assert len(first) == 7 and all(-100 not in sample["labels"][1:] for sample in first)


@pytest.mark.parametrize(
    "own, learnt, said",
    [
        ({"cutoff_len": 8}, COPY, "train.dpo.data.cutoff_len: 8 tokens leave no answer to train on"
         " in learnt; raise it"),
        ({"val_size": 0.999999}, COPY,
         "train.dpo.data.val_size: 0.999999 leaves nothing to train on; lower it"),
        ({"max_samples": 2}, [*BAD, *COPY], "data.on_bad_row: skip leaves nothing of learnt: all"
         " rows that train.dpo.data.max_samples takes are bad\nraw/learnt.json: row 1: output: is"),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_step_is_said_of_its_own_settings(
    datasets: Path, tiny_model: Path, tmp_path: Path, own: dict, learnt: list, said: str
):
    (datasets / "learnt.json").write_text(json.dumps(learnt))
    params = of_step("dpo", **own).model_copy(update={"on_bad_row": "skip"})
    with pytest.raises(DataError) as error:
        run(params, datasets, tiny_model, tmp_path / "out", "dpo")
    assert str(error.value).replace(f"{tmp_path}/", "").startswith(said)


@pytest.mark.parametrize("own", [{}, {"train_on_prompt": True}])
def test_a_row_that_a_setting_refuses_names_it(
    datasets: Path, tiny_model: Path, tmp_path: Path, own: dict
):
    info = json.loads((datasets / "dataset_info.json").read_text())
    info["learnt"]["formatting"] = "sharegpt"
    (datasets / "dataset_info.json").write_text(json.dumps(info))
    row = weighted(0, 1)
    del row["source"], row["conversations"][0]["id"]
    (datasets / "learnt.json").write_text(json.dumps([row]))
    key = "train.dpo.data.train_on_prompt" if own else "data.train_on_prompt"
    shared = SHARED if own else SHARED.model_copy(update={"train_on_prompt": True})
    params = DataParams.of(shared, StepDataParams(train=["learnt"], **own), "dpo")
    with pytest.raises(DataError) as error:
        run(params, datasets, tiny_model, tmp_path / "out", "dpo")
    problem = str(error.value).split("row 1: ")[1]
    assert problem == (
        f"an answer has the weight 0, and {key} counts every token; remove the row, or set {key}"
        " to false"
    )


def test_steps_have_nothing_in_common(datasets: Path, tiny_model: Path, tmp_path: Path):
    """Each has what it has alone, whatever others were prepared in the same folder before."""
    info = json.loads((datasets / "dataset_info.json").read_text())
    (datasets / "dataset_info.json").write_text(json.dumps(info | {"more": info["learnt"]}))
    steps = {
        "first": of_step("first"),
        "second": of_step("second", cutoff_len=32, val_size=0.0),
        "third": DataParams.of(SHARED, StepDataParams(train=["more", "learnt"]), "third"),
    }
    alone = {
        step: digests_of(run(params, datasets, tiny_model, tmp_path / step, step))
        for step, params in steps.items()
    }
    assert len({alone[step]["train/train.parquet"] for step in steps}) == 3
    (tmp_path / "all").mkdir()
    with chdir(tmp_path / "all"):
        for _ in range(2):  # and again, with what is in the cache
            for step, params in steps.items():
                outputs = {name: Path(step, name) for name in OUTPUTS}
                Path(step).mkdir(exist_ok=True)
                prepare(params, step, datasets, tiny_model, **outputs)
                assert digests_of(outputs) == alone[step]
        assert {folder.name for folder in CACHE.iterdir()} == set(steps)
        kept = {file: file.stat().st_mtime_ns for file in (CACHE / "first").rglob("*")}
        outputs = {name: Path("second", name) for name in OUTPUTS}
        changed = of_step("second", cutoff_len=40, mask_history=True)
        prepare(changed, "second", datasets, tiny_model, **outputs)
        assert {file: file.stat().st_mtime_ns for file in (CACHE / "first").rglob("*")} == kept


def digests_of(made: dict[str, Path]) -> dict[str, str]:
    folder = made["train"].parent
    return {name: each for name, each in digests(folder).items() if not name.startswith(".")}
