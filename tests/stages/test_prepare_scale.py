"""What prepare does with many datasets and rows: splits that stay, duplicates, the cache."""

import json
import os
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path
from typing import Any

import pytest

from finery.data.errors import DataError
from finery.data.prepared import read_parquet
from finery.data.tokens import parallel, tokenized
from finery.params.data import DataParams
from stages.prepare import CACHE, prepare

OUTPUTS = ("train", "calibration", "metrics", "rejected", "plot")
Row = dict[str, Any]


class Folder:
    """A project folder with datasets, in which prepare is run."""

    def __init__(self, place: Path, base: Path) -> None:
        self.place, self.base, self.info = place, base, {}
        self.write("asked", [{"instruction": "Who?", "output": "Saltmere."}])

    def write(self, name: str, rows: list[Row], **entry: Any) -> None:
        self.info[name] = {"file_name": f"{name}.json"} | entry
        (self.place / f"{name}.json").write_text(json.dumps(rows, ensure_ascii=False))
        (self.place / "dataset_info.json").write_text(json.dumps(self.info))

    def prepare(self, *train: str, test: str = "asked", **values: Any) -> dict[str, Any]:
        """Run the stage; the metrics."""
        defaults = {"val_size": 0.2, "calibration_samples": 5, "cutoff_len": 64}
        params = DataParams(train=list(train), test=[test], **defaults | values)
        with chdir(self.place):
            outputs = {name: Path("made") / name for name in OUTPUTS}
            Path("made").mkdir(exist_ok=True)
            prepare(params, "sft", Path("."), self.base, **outputs)
        return json.loads((self.place / "made/metrics").read_text())

    def samples(self, split: str) -> list[Row]:
        folder = "calibration" if split == "calibration" else "train"
        return read_parquet(self.place / "made" / folder / f"{split}.parquet")

    def ids(self, split: str) -> set[tuple[int, ...]]:
        return {tuple(sample["input_ids"]) for sample in self.samples(split)}

    def outputs(self) -> dict[str, bytes]:
        files = [file for file in (self.place / "made").rglob("*") if file.is_file()]
        return {str(file.relative_to(self.place)): file.read_bytes() for file in files}

    def cached(self) -> dict[str, int]:
        """When each dataset in the cache was made."""
        folders = (self.place / CACHE / "sft").iterdir()
        return {folder.name: folder.stat().st_mtime_ns for folder in folders}


@pytest.fixture
def folder(tmp_path: Path, tiny_model: Path) -> Folder:
    return Folder(tmp_path, tiny_model)


def boats(count: int, start: int = 0) -> list[Row]:
    numbers = range(start, start + count)
    return [{"instruction": f"Boat {n}?", "output": f"In harbour {n}."} for n in numbers]


def test_old_rows_stay_where_they_are_when_rows_are_appended(folder: Folder):
    folder.write("boats", boats(200))
    folder.prepare("boats")
    training, validation = folder.ids("train"), folder.ids("validation")
    calibration = folder.ids("calibration")
    assert len(training) + len(validation) == 200 and 20 < len(validation) < 60
    folder.write("boats", boats(300))
    folder.prepare("boats", calibration_samples=8)
    assert training < folder.ids("train") and validation < folder.ids("validation")
    assert folder.ids("calibration") <= folder.ids("train")
    assert len(folder.ids("calibration") & calibration) >= 3


def test_a_share_too_large(folder: Folder):
    folder.write("boats", boats(3))
    with pytest.raises(DataError, match=r"^data\.val_size: 0\.999 leaves nothing to train on"):
        folder.prepare("boats", val_size=0.999)


def test_copies_are_counted_and_left_out_if_asked(folder: Folder):
    asked = {"instruction": "Who?", "output": "Saltmere."}
    folder.write("boats", [*boats(50), *boats(20), asked])
    folder.write("watched", [*boats(5, start=10), *boats(5, start=500)])
    found = folder.prepare("boats", eval_dataset=["watched"], val_size=0)
    assert found["duplicates"] == {
        "exact": {
            "test": 0, "validation_in_test": 0, "validation": 0,
            "train_in_test": 1, "train_in_validation": 10, "train": 15,
        },
        "removed": 0,
    }  # fmt: skip
    assert found["train"]["samples"] == 71 and found["validation"]["samples"] == 10
    clean = folder.prepare("boats", eval_dataset=["watched"], val_size=0, deduplicate="exact")
    assert clean["duplicates"] == found["duplicates"] | {"removed": 26}
    assert clean["train"]["samples"] == len(folder.ids("train")) == 45
    assert not folder.ids("train") & folder.ids("validation")


def test_copies_are_on_one_side(folder: Folder):
    folder.write("boats", boats(100))
    folder.write("again", boats(100))
    found = folder.prepare("boats", "again")
    assert found["duplicates"]["exact"]["train_in_validation"] == 0
    assert not folder.ids("train") & folder.ids("validation")
    assert len(folder.samples("validation")) == 2 * len(folder.ids("validation")) > 0


def test_near_copies_are_found_where_they_are(folder: Folder):
    long = "The lighthouse is called Saltmere and it was built of grey stone in one summer."
    folder.write("asked", [{"instruction": "Tell me about it.", "output": long}])
    near = {"instruction": "Tell me about it!", "output": long.replace("in one", "in a")}
    own = {"instruction": "What of the dog?", "output": "The quick brown fox jumps over it."}
    folder.write("boats", [near, own, {**own, "output": own["output"].upper()}])
    found = folder.prepare("boats", val_size=0, deduplicate="near")["duplicates"]
    assert (found["near"]["train_in_test"], found["near"]["train"]) == (1, 1)
    assert found["exact"]["train_in_test"] == 0 and found["removed"] == 2
    assert len(folder.samples("train")) == 1


def test_only_what_changed_is_tokenized_again(folder: Folder):
    for name in ("boats", "ships"):
        folder.write(name, boats(10, start=len(name)))
    folder.prepare("boats", "ships")
    first, made = folder.cached(), folder.outputs()
    assert len(first) == 3
    folder.prepare("boats", "ships", seed=7, val_size=0.5, calibration_samples=2)
    assert folder.cached() == first
    folder.write("ships", boats(11))
    folder.prepare("boats", "ships")
    second = folder.cached()
    assert len(second) == 3 and len(second.items() & first.items()) == 2, "old ones are removed"
    folder.write("ships", boats(10, start=5))
    folder.prepare("boats", "ships")
    assert folder.outputs() == made
    folder.prepare("boats", "ships", cutoff_len=40)
    assert not folder.cached().items() & first.items()


def test_a_kill_leaves_nothing_that_passes_for_whole(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
):
    folder.write("boats", boats(10))

    write = tokenized._write

    def killed(*arguments: Any) -> None:
        write(*arguments)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(tokenized, "_write", killed)
        with pytest.raises(KeyboardInterrupt):
            folder.prepare("boats")
    assert all(name.startswith(".partial-") for name in folder.cached())
    folder.prepare("boats")
    assert len(folder.cached()) == 2
    assert not any(name.startswith(".partial-") for name in folder.cached())


def test_the_same_bytes_whatever_the_number_of_processes(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(parallel, "WORTH_IT", 0)
    rows = [*boats(2300), {"instruction": "Nothing?", "output": ""}, *boats(300, start=5000)]
    folder.write("boats", rows)
    made = []
    for workers in ("1", "3"):
        monkeypatch.setenv("FINERY_WORKERS", workers)
        for entry in (folder.place / CACHE).glob("*"):
            os.rename(entry, folder.place / f"{entry.name}-{workers}")
        folder.prepare("boats", on_bad_row="skip")
        made.append(folder.outputs())
    assert made[0] == made[1]


@pytest.mark.parametrize(
    "values, order",
    [
        ({"mix_strategy": "concat"}, "aaaabb"),
        ({"mix_strategy": "interleave_under"}, "abab"),
        ({"mix_strategy": "interleave_over"}, "abababab"),
        ({"mix_strategy": "interleave_once"}, "ababaa"),
        ({"mix_strategy": "concat", "max_total_samples": 5}, "aaaab"),
        ({"mix_strategy": "concat", "max_samples": 1}, "ab"),
    ],
)
def test_datasets_are_mixed(folder: Folder, values: dict[str, Any], order: str):
    folder.write("a", boats(4))
    folder.write("b", boats(2, start=10))
    folder.prepare("a", "b", val_size=0, **values)
    assert "".join(sample["dataset"] for sample in folder.samples("train")) == order


def test_num_samples_of_the_entry(folder: Folder):
    folder.write("boats", boats(40), num_samples=10)
    folder.prepare("boats", val_size=0)
    first = folder.ids("train")
    assert len(first) == 10
    folder.write("boats", boats(44), num_samples=10)
    folder.prepare("boats", val_size=0)
    assert len(folder.ids("train") & first) >= 6
    folder.prepare("boats", val_size=0, max_samples=4)
    assert len(folder.samples("train")) == 4
    folder.write("boats", boats(4), num_samples=10)
    folder.prepare("boats", val_size=0)
    assert len(folder.samples("train")) == 10


def test_evaluation_datasets_validate_and_do_not_train(folder: Folder):
    folder.write("boats", boats(20))
    folder.write("watched", boats(6, start=100))
    folder.prepare("boats", eval_dataset=["watched"], val_size=0)
    assert [sample["dataset"] for sample in folder.samples("validation")] == ["watched"] * 6
    record = json.loads((folder.place / "made/train/lineage.json").read_text())["prepare@sft"]
    assert list(record["datasets"]) == ["boats"]


PAIR = {"instruction": "Who?", "chosen": "Saltmere.", "rejected": "I do not know."}
COLUMNS = {"prompt": "instruction", "chosen": "chosen", "rejected": "rejected"}
RANKING = {"ranking": True, "columns": COLUMNS}
KTO = {"columns": {"prompt": "instruction", "response": "output", "kto_tag": "good"}}


def test_preferences(folder: Folder):
    folder.write("pairs", [PAIR | {"instruction": f"Who {n}?"} for n in range(8)], **RANKING)
    folder.prepare("pairs", val_size=0)
    sample = folder.samples("train")[0]
    assert list(sample) == [
        "dataset", "input_ids", "labels", "rejected_input_ids", "rejected_labels",
    ]  # fmt: skip
    for ids, labels in (("input_ids", "labels"), ("rejected_input_ids", "rejected_labels")):
        counted = [label for label in sample[labels] if label != -100]
        assert 0 < len(counted) < len(sample[ids]) == len(sample[labels])
    assert sample["input_ids"] != sample["rejected_input_ids"]


def test_verdicts(folder: Folder):
    rows = [row | {"good": n % 3 == 0} for n, row in enumerate(boats(9))]
    folder.write("judged", rows, **KTO)
    folder.prepare("judged", val_size=0)
    assert [sample["desirable"] for sample in folder.samples("train")] == [
        row["good"] for row in rows
    ]


def test_texts_go_with_conversations(folder: Folder):
    rows = [{"text": f"The quick brown fox jumps over dog {n}."} for n in range(5)]
    folder.write("texts", rows, columns={"prompt": "text"})
    folder.write("boats", boats(5))
    folder.prepare("texts", "boats", val_size=0)
    assert {sample["dataset"] for sample in folder.samples("train")} == {"texts", "boats"}


def test_kinds_that_do_not_go_together(folder: Folder):
    folder.write("pairs", [PAIR], **RANKING)
    folder.write("boats", boats(5))
    message = r"^train\.sft\.data: boats holds conversations, pairs preferences \(ranking\); train"
    with pytest.raises(DataError, match=message):
        folder.prepare("boats", "pairs")
    with pytest.raises(DataError, match=message):
        folder.prepare("boats", eval_dataset=["pairs"])
    with pytest.raises(DataError, match=r"^data\.test: pairs holds preferences"):
        folder.prepare("boats", test="pairs")


BAD = [{"instruction": "Boat?", "output": ""}, {"instruction": "Boat?"}, {"output": "<|im_end|>"}]


def test_bad_rows_stop_the_stage_all_at_once(folder: Folder):
    folder.write("boats", [*boats(3), *BAD])
    with pytest.raises(DataError) as caught:
        folder.prepare("boats")
    lines = str(caught.value).splitlines()
    assert len(lines) == 4 and lines[0].startswith("boats.json: row 4: output: ")
    assert lines[-1].startswith("3 bad rows: ")


def test_bad_rows_are_skipped_and_named(folder: Folder):
    folder.write("boats", [*boats(3), *BAD])
    found = folder.prepare("boats", on_bad_row="skip", val_size=0)
    assert (found["rejected"], found["datasets"]["boats"]["rejected"]) == (3, 3)
    lines = (folder.place / "made/rejected").read_text().splitlines()
    assert [json.loads(line)["row"] for line in lines] == [4, 5, 6]
    assert len(folder.samples("train")) == 3
    folder.write("boats", boats(3))
    folder.prepare("boats", val_size=0)
    assert (folder.place / "made/rejected").read_text() == ""


def test_memory_is_flat(folder: Folder, run_prepare: Callable[[Folder, int], float]):
    """Thirty times the rows, not a third more memory."""
    assert run_prepare(folder, 60_000) < 1.33 * run_prepare(folder, 2_000)


PROGRAM = """
import resource, sys
from pathlib import Path
from finery.params.data import DataParams
from stages.prepare import prepare

params = DataParams(train=["boats"], test=["asked"])
made = {name: Path("made") / name for name in sys.argv[2].split(",")}
prepare(params, "sft", Path("."), Path(sys.argv[1]), **made)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024)
"""


@pytest.fixture
def run_prepare() -> Callable[[Folder, int], float]:
    import subprocess
    import sys

    def run(folder: Folder, rows: int) -> float:
        """Prepare so many rows in one process of its own; its peak memory in MB."""
        folder.write("boats", boats(rows))
        (folder.place / "made").mkdir(exist_ok=True)
        command = [sys.executable, "-c", PROGRAM, str(folder.base), ",".join(OUTPUTS)]
        root = str(Path(__file__).resolve().parents[2])
        paths = os.pathsep.join([root, os.environ.get("PYTHONPATH", "")])
        environment = os.environ | {"FINERY_WORKERS": "1", "PYTHONPATH": paths}
        done = subprocess.run(
            command, cwd=folder.place, env=environment, capture_output=True, text=True, check=True
        )
        return float(done.stdout.splitlines()[-1])

    return run
