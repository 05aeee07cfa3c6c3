"""`--set`: values as DVC reads them, everything else in params.yaml as people wrote it."""

import shutil
import stat
from difflib import ndiff
from pathlib import Path

import pytest
from dvc.utils.hydra import apply_overrides
from ruamel.yaml import YAML

from finery.errors import UserError
from finery.params.schema import ParamsError
from finery.pipeline.settings import set_params

ROOT = Path(__file__).resolve().parents[3]
PARAMS = (ROOT / "params.yaml").read_text().splitlines()
RANK = next(number for number, line in enumerate(PARAMS, 1) if line.strip().startswith("rank:"))


@pytest.fixture
def params(tmp_path: Path) -> Path:
    return Path(shutil.copy(ROOT / "params.yaml", tmp_path))


def edited(params: Path, *assignments: str) -> list[str]:
    """The lines that go and come, in the form of a diff."""
    before = params.read_text().splitlines()
    set_params(assignments, params)
    after = params.read_text().splitlines()
    return [line for line in ndiff(before, after) if line[:2] in ("- ", "+ ")]


@pytest.mark.parametrize(
    ("assignments", "lines"),
    [
        (["train.sft.tuner.rank=32"], ["-       rank: 16", "+       rank: 32"]),
        (
            ["train.sft.learning_rate=2e-4"],
            ["-     learning_rate: 1.0e-3", "+     learning_rate: 0.0002"],
        ),
        (["train.sft.learning_rate=0.001"], []),
        (
            ["train.sft.data=[identity]"],
            ["-     data: [identity, handbook]", "+     data: [identity]"],
        ),
        (["data.variables.name='x: y'"], ["-     name: Fennel", "+     name: 'x: y'"]),
        (["data.variables.city=Berlin"], ["+     city: Berlin"]),
        (["~data.variables.author"], ["-     author: the Finery team"]),
        (["train.sft.gradient_checkpointing=true"], None),
        (["merge.dtype=float32", "train.sft.seed=7"], None),
        (
            ["quantize.gptq.group_size=32"],
            [
                "-     group_size: 64  # must divide the layer widths: SmolLM2-135M is 576"
                " and 1536 wide",
                "+     group_size: 32  # must divide the layer widths: SmolLM2-135M is 576"
                " and 1536 wide",
            ],
        ),
        (
            ["gate.rules.0.min=0.5"],
            [
                "-     - {model: merged, metric: identity_test.keyword_match, min: 0.90}",
                "+     - {model: merged, metric: identity_test.keyword_match, min: 0.5}",
            ],
        ),
        (["train.sft.tuner.target_modules=[q_proj,v_proj]"], None),
    ],
    ids=str,
)
def test_only_what_is_set_changes(
    params: Path, assignments: list[str], lines: list[str] | None
) -> None:
    found = edited(params, *assignments)
    assert len(found) == 2 * len(assignments) if lines is None else found == lines


def test_a_key_that_the_file_leaves_out(params: Path) -> None:
    set_params(["~train.sft.seed"], params)
    assert edited(params, "train.sft.seed=7") == ["+     seed: 7"]


@pytest.mark.parametrize(
    "assignment",
    [
        "train.sft.tuner.rank=4",
        "train.sft.learning_rate=5e-5",
        "train.sft.num_train_epochs=3",
        "train.sft.gradient_checkpointing=true",
        "train.sft.tuner.target_modules=[q_proj, v_proj]",
        "data.variables={name: Sorrel}",
        "package.description='It says: #1'",
        "package.description=Knows a lot",
        "model.chat_template=templates/chatml.jinja",
        "+data.variables.city=Berlin",
        "~data.variables.author",
    ],
)
def test_the_values_are_those_of_dvc_exp_run(params: Path, assignment: str) -> None:
    """DVC's own edit of the same file, its code behind `--set-param`, is the reference."""
    theirs = Path(shutil.copy(params, params.with_name("theirs.yaml")))
    apply_overrides(theirs, [assignment])
    set_params([assignment], params)
    yaml = YAML(typ="safe")
    assert yaml.load(params) == yaml.load(theirs) != yaml.load(ROOT / "params.yaml")


@pytest.mark.parametrize(
    ("assignment", "message"),
    [
        ("train.sft.tuner.rnak=3", "--set: train.sft.tuner.rnak: unknown key; did you mean rank?"),
        ("trian.sft.tuner.rank=3", "--set: trian: unknown key; did you mean train?"),
        (
            "train.sft.tuner.rank=many",
            '--set: train.sft.tuner.rank: must be a valid integer, not "many"',
        ),
        ("train.sft.tuner.rank=", '--set: train.sft.tuner.rank: must be a valid integer, not ""'),
        ("train.sft.seed.x=3", '--set: train.sft.seed: must be a valid integer, not {"x": 3}'),
        ("~train", "--set: train: missing; add it"),
        ("nonsense", "--set nonsense: write KEY=VALUE, such as train.sft.tuner.rank=16"),
        ("=3", "--set =3: write KEY=VALUE, such as train.sft.tuner.rank=16"),
        ("", "--set : write KEY=VALUE, such as train.sft.tuner.rank=16"),
        (
            "train.sft.tuner.rank=1,2",
            "--set train.sft.tuner.rank=1,2: Error merging override train.sft.tuner.rank=1,2;"
            " quote a text with signs in it: \"KEY='a, b'\"",
        ),
        (
            "gate.rules.x=2",
            "--set gate.rules.x=2: invalid literal for int() with base 10: 'x';"
            " quote a text with signs in it: \"KEY='a, b'\"",
        ),
        (
            "package.name=${nope}",
            "--set package.name=${nope}: Interpolation key 'nope' not found;"
            " quote a text with signs in it: \"KEY='a, b'\"",
        ),
        (
            "~nothing",
            "--set ~nothing: Could not delete from config. 'nothing' does not exist.",
        ),
    ],
)
def test_what_is_wrong_changes_nothing(params: Path, assignment: str, message: str) -> None:
    before = params.read_bytes()
    with pytest.raises(UserError) as caught:
        set_params(["train.sft.tuner.alpha=8", assignment], params)
    assert str(caught.value) == message
    assert params.read_bytes() == before
    assert list(params.parent.iterdir()) == [params]


def test_what_was_wrong_before_is_said_with_its_line(params: Path) -> None:
    params.write_text(params.read_text().replace("rank: 16", "rank: many"))
    with pytest.raises(
        ParamsError, match=rf"params\.yaml:{RANK}: train\.sft\.tuner\.rank: must be"
    ):
        set_params(["train.sft.seed=7"], params)


def test_the_file_keeps_its_mode_and_its_link(params: Path, tmp_path: Path) -> None:
    real = tmp_path / "real"
    real.mkdir()
    params.rename(real / "params.yaml").chmod(0o640)
    params.symlink_to("real/params.yaml")
    set_params(["train.sft.seed=7"], params)
    assert params.is_symlink()
    assert stat.S_IMODE(params.stat().st_mode) == 0o640
    assert "seed: 7" in (real / "params.yaml").read_text()
