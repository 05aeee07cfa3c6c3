"""What a change makes stale, and what it can reach: a row a change.

`stale` are the stages whose own inputs changed: they run for certain, and nothing above them or
beside them does. `reached` are these and all stages below: the most that can run, if every output
comes out different.
"""

import json
import os
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from finery.params.schema import Params

from .asking import Asked
from .project import Project

ROOT = Path(__file__).resolve().parents[2]
PREPARE = {"prepare@sft", "prepare@dpo"}
DATA = {"prepare_test"} | PREPARE
TRAIN = {"train@sft", "train@dpo"}
MERGE = {"merge@sft", "merge@dpo"}
QUANTIZE = {"quantize@gptq", "quantize@awq"}
EVALUATE_QUANTIZED = {"evaluate_quantized@gptq", "evaluate_quantized@awq"}
EVALUATE = {"evaluate@base", "evaluate@merged"} | EVALUATE_QUANTIZED
PACKAGE = {"package@merged", "package_quantized@gptq", "package_quantized@awq"}
FROM_GATE = {"gate"} | PACKAGE
FROM_EVALUATE = {"compare"} | EVALUATE | FROM_GATE
FROM_GPTQ = {"quantize@gptq", "evaluate_quantized@gptq", "compare"} | FROM_GATE
FROM_AWQ = {"quantize@awq", "evaluate_quantized@awq", "compare"} | FROM_GATE
FROM_QUANTIZE = FROM_GPTQ | FROM_AWQ
FROM_STEP = {"evaluate@merged"} | FROM_QUANTIZE
"""What the model of the last step reaches."""
FROM_MERGE_DPO = {"merge@dpo"} | FROM_STEP
FROM_TRAIN_DPO = {"train@dpo"} | FROM_MERGE_DPO
FROM_PREPARE_DPO = {"prepare@dpo"} | FROM_TRAIN_DPO
FROM_MERGE = {"merge@sft"} | FROM_TRAIN_DPO
FROM_TRAIN = {"train@sft"} | FROM_MERGE
FROM_PREPARE = {"prepare@sft"} | FROM_TRAIN
FROM_DATA = {"prepare_test", "prepare@dpo"} | FROM_PREPARE | EVALUATE
ALL = {"download"} | FROM_DATA
NOTHING: set[str] = set()


@dataclass(frozen=True)
class Change:
    id: str
    edit: Callable[[Project], object]
    stale: set[str]
    reached: set[str]


def setting(key: str, value: object, stale: set[str], reached: set[str]) -> Change:
    def edit(project: Project) -> None:
        assert project.setting(key) != value, f"{key} is {value} already"
        project.set(key, value)

    return Change(key, edit, stale, reached)


def code(path: str, stale: set[str], reached: set[str]) -> Change:
    def edit(project: Project) -> None:
        project.write(path, project.read(path) + "\n# edited\n")

    return Change(path, edit, stale, reached)


def dataset(name: str) -> Change:
    def edit(project: Project) -> None:
        file = f"data/raw/{name}.json"
        rows = json.loads(project.read(file))
        rows[1]["chosen" if "chosen" in rows[1] else "output"] += " Really."
        project.write(file, json.dumps(rows, indent=2))

    return Change(f"a row of {name}.json", edit, DATA, FROM_DATA)


def no_change(id: str, edit: Callable[[Project], object]) -> Change:
    return Change(id, edit, NOTHING, NOTHING)


def entry_of_used_dataset(project: Project) -> None:
    old = '"file_name": "handbook.json"'
    project.replace("data/raw/dataset_info.json", old, f'{old}, "columns": {{"query": "input"}}')


def entry_of_new_dataset(project: Project) -> None:
    new = '"unused": {"file_name": "unused.json"},'
    project.replace("data/raw/dataset_info.json", "{", "{" + new)


def params_in_another_order(project: Project) -> None:
    text = project.read("params.yaml")
    head, *sections = text.split("\n\n")
    project.write("params.yaml", "\n\n".join([head, *(s.strip("\n") for s in sections[::-1])]))


def touch_everything(project: Project) -> None:
    touched = 0
    for top in ("data/raw", "finery", "stages", "templates", "models", "params.yaml", "dvc.yaml"):
        for file in project.contents(top):
            os.utime(project.folder / file)
            touched += 1
    assert touched > 100


def there_and_back(project: Project) -> None:
    project.set("train.sft.seed", 7)
    assert project.dry_run() == {"train@sft"} | PACKAGE
    project.set("train.sft.seed", 42)
    rows = project.read("data/raw/identity.json")
    project.write("data/raw/identity.json", "[]")
    assert project.dry_run() == DATA
    project.write("data/raw/identity.json", rows)


SETTINGS = [
    setting("model.chat_template", "templates/chatml.jinja", {"download"} | PACKAGE, ALL),
    setting("model.source", "path:elsewhere", {"download"} | PACKAGE, ALL),
    setting("model.quantized", "path:packed", {"download"} | PACKAGE, ALL),
    setting("model.trust_remote_code", True, {"download"} | PACKAGE, ALL),
    setting("data.test", ["identity_test"], DATA | PACKAGE, FROM_DATA),
    setting("data.variables.name", "Sorrel", DATA | PACKAGE, FROM_DATA),
    setting("data.cutoff_len", 64, DATA | PACKAGE, FROM_DATA),
    setting("data.packing", True, DATA | PACKAGE, FROM_DATA),
    setting("data.val_size", 0.2, DATA | PACKAGE, FROM_DATA),
    setting("data.calibration_samples", 8, DATA | PACKAGE, FROM_DATA),
    setting("data.deduplicate", "exact", DATA | PACKAGE, FROM_DATA),
    setting("data.seed", 7, DATA | PACKAGE, FROM_DATA),
    setting(
        "starts",
        {"prod": "release:merged@prod"},
        {"start@prod"} | PACKAGE,
        {"start@prod"} | PACKAGE,
    ),
    setting("train.sft.learning_rate", 0.002, {"train@sft"} | PACKAGE, FROM_TRAIN),
    setting("train.sft.num_train_epochs", 3, {"train@sft"} | PACKAGE, FROM_TRAIN),
    setting("train.sft.per_device_batch_size", 2, {"train@sft"} | PACKAGE, FROM_TRAIN),
    setting("train.sft.save_steps", 7, {"train@sft"} | PACKAGE, FROM_TRAIN),
    setting("train.sft.tuner.rank", 4, {"train@sft"} | PACKAGE, FROM_TRAIN),
    setting("train.sft.tuner.target_modules", ["q_proj"], {"train@sft"} | PACKAGE, FROM_TRAIN),
    setting("train.sft.data", ["handbook"], {"prepare@sft", "train@sft"} | PACKAGE, FROM_PREPARE),
    setting("train.dpo.beta", 0.5, {"train@dpo"} | PACKAGE, FROM_TRAIN_DPO),
    setting("train.dpo.tuner.rank", 2, {"train@dpo"} | PACKAGE, FROM_TRAIN_DPO),
    setting(
        "train.dpo.data",
        {"train": ["preferences"], "val_size": 0.2},
        {"prepare@dpo", "train@dpo"} | PACKAGE,
        FROM_PREPARE_DPO,
    ),
    setting("train.dpo.after", "base", {"train@dpo", "merge@dpo"} | PACKAGE, FROM_TRAIN_DPO),
    setting("train.dpo.tuner", {"type": "full"}, {"train@dpo"} | PACKAGE, FROM_TRAIN_DPO),
    setting("train.dpo.method", "simpo", {"train@dpo"} | PACKAGE, FROM_TRAIN_DPO),
    setting("merge.dtype", "float32", MERGE | PACKAGE, FROM_MERGE),
    setting("merge.step", "sft", QUANTIZE | {"evaluate@merged"} | PACKAGE, FROM_STEP),
    # What is left is packaged again, since a package records all settings.
    setting(
        "quantize.formats",
        ["awq"],
        {"compare"} | PACKAGE - {"package_quantized@gptq"},
        {"compare"} | PACKAGE - {"package_quantized@gptq"},
    ),
    setting("quantize.gptq.bits", 8, {"quantize@gptq"} | PACKAGE, FROM_GPTQ),
    setting("quantize.gptq.damp_percent", 0.1, {"quantize@gptq"} | PACKAGE, FROM_GPTQ),
    setting("quantize.awq.group_size", 64, {"quantize@awq"} | PACKAGE, FROM_AWQ),
    setting("quantize.awq.clip", True, {"quantize@awq"} | PACKAGE, FROM_AWQ),
    setting("evaluate.max_new_tokens", 9, EVALUATE | PACKAGE, FROM_EVALUATE),
    setting("evaluate.batch_size", 2, EVALUATE | PACKAGE, FROM_EVALUATE),
    setting("gate.rules", [], {"gate"} | PACKAGE, FROM_GATE),
    setting("report.language", "zh", {"compare"}, {"compare"}),
    setting("package.description", "Another.", PACKAGE, PACKAGE),
    setting("package.language", ["en", "de"], PACKAGE, PACKAGE),
    setting("release.confidence", 0.9, NOTHING, NOTHING),
    setting("resources.accelerators", 2, NOTHING, NOTHING),
]
DATASETS = [
    dataset("identity"),
    dataset("handbook"),
    dataset("handbook_preferences"),
    dataset("preferences"),
    dataset("identity_test"),
    dataset("handbook_test"),
    Change("entry of a used dataset", entry_of_used_dataset, DATA, FROM_DATA),
    # The folder is what prepare depends on. Its outputs come out the same, so that nothing below
    # it runs: see test_real_rerun.py.
    Change("entry of an unused dataset", entry_of_new_dataset, DATA, FROM_DATA),
    Change("a new dataset", lambda p: p.write("data/raw/new.json", "[]"), DATA, FROM_DATA),
    Change(
        "a new revision of a dataset elsewhere",
        lambda p: p.write("data/raw/revisions.json", "{}"),
        DATA,
        FROM_DATA,
    ),
    Change(
        "the chat template file",
        lambda p: p.write("templates/chatml.jinja", p.read("templates/chatml.jinja") + "{# #}"),
        {"download"},
        ALL,
    ),
    Change("a new template", lambda p: p.write("templates/new.jinja", ""), {"download"}, ALL),
]
CODE = [
    code("stages/download.py", {"download"}, ALL),
    code("stages/start.py", NOTHING, NOTHING),  # here no step goes on from a release
    code("stages/prepare.py", PREPARE, {"prepare@dpo"} | FROM_PREPARE),
    code("stages/prepare_test.py", {"prepare_test"}, {"prepare_test"} | FROM_EVALUATE),
    code("stages/train.py", TRAIN, FROM_TRAIN),
    code("stages/merge.py", MERGE, FROM_MERGE),
    code("stages/quantize.py", QUANTIZE, FROM_QUANTIZE),
    code("stages/evaluate.py", EVALUATE, FROM_EVALUATE),
    code("stages/gate.py", {"gate"}, FROM_GATE),
    code("stages/compare.py", {"compare"}, {"compare"}),
    code("finery/comparison/table.py", {"compare"}, {"compare"}),
    code("finery/comparison/here.py", NOTHING, NOTHING),
    code("finery/comparison/templates/page.html.j2", {"compare"}, {"compare"}),
    code("finery/params/report.py", {"compare"}, {"compare"}),
    code("finery/samples.py", {"compare"}, {"compare"}),
    code("stages/package.py", PACKAGE, PACKAGE),
    code("finery/sources/pypi.py", {"download"}, ALL),
    code("finery/data/formats/alpaca.py", DATA, FROM_DATA),
    code(
        "finery/data/prepared.py",
        DATA | MERGE | QUANTIZE | EVALUATE,
        FROM_DATA,
    ),
    code("finery/data/choosing/mixing.py", PREPARE, {"prepare@dpo"} | FROM_PREPARE),
    code("finery/training/loss.py", TRAIN, FROM_TRAIN),
    code("finery/merging/lora.py", MERGE, FROM_MERGE),
    code("finery/quantization/quantizer.py", QUANTIZE, FROM_QUANTIZE),
    code("finery/evaluation/metrics/rouge.py", EVALUATE, FROM_EVALUATE),
    code("finery/inference/answers.py", EVALUATE, FROM_EVALUATE),
    code("finery/answering/engine.py", NOTHING, NOTHING),
    code("finery/serving/front.py", NOTHING, NOTHING),
    code("finery/moving/put.py", NOTHING, NOTHING),
    code("finery/predicting/questions.py", NOTHING, NOTHING),
    code("finery/serving/__init__.py", NOTHING, NOTHING),
    code("finery/moving/recipes.py", NOTHING, NOTHING),
    code("finery/packaging/card/model_card.py", PACKAGE, PACKAGE),
    code("finery/pipeline/status.py", NOTHING, NOTHING),
    code("finery/releases/promote.py", NOTHING, NOTHING),
    code("finery/retraining/landing.py", NOTHING, NOTHING),
    code("finery/upstream/storage.py", NOTHING, NOTHING),
    code("finery/gate.py", {"gate"}, FROM_GATE),
    code("finery/errors.py", ALL, ALL),
    code("finery/git.py", PACKAGE, PACKAGE),
    code("finery/to_json.py", ALL - {"compare"}, ALL),
    code("finery/reward_functions.py", PREPARE | TRAIN, {"prepare@dpo"} | FROM_PREPARE),
    code(
        "finery/user_functions.py",
        PREPARE | TRAIN | EVALUATE,
        {"prepare@dpo", "evaluate@base"} | FROM_PREPARE,
    ),
    code("finery/json_schemas.py", EVALUATE, FROM_EVALUATE),
    code("metrics/README.md", EVALUATE, FROM_EVALUATE),
    code("finery/hubs/errors.py", {"download"} | DATA, ALL),
    code("finery/hubs/revisions.py", {"download"} | DATA, ALL),
    code("finery/lineage.py", ALL - {"gate", "compare"}, ALL),
    code("finery/models/chat_template.py", {"download"} | DATA | TRAIN | QUANTIZE | PACKAGE, ALL),
    code("finery/models/settings.py", ALL - {"gate", "compare"}, ALL),
    code("finery/models/tokens.py", {"download"} | DATA | TRAIN | QUANTIZE | PACKAGE, ALL),
    code("finery/models/end_of_turn.py", {"download"} | TRAIN, ALL),
    code("finery/check/template.py", {"download"}, ALL),
    code("finery/models/legal.py", {"download"} | MERGE | QUANTIZE | PACKAGE, ALL),
    code(
        "finery/models/finite.py",
        TRAIN | MERGE | QUANTIZE | EVALUATE,
        FROM_TRAIN | {"evaluate@base"},
    ),
    code("finery/models/load.py", {"download"} | TRAIN | MERGE | QUANTIZE | EVALUATE, ALL),
    code("finery/models/files.py", MERGE | QUANTIZE, FROM_MERGE),
    code("finery/models/tokenizer.py", DATA | TRAIN | MERGE | EVALUATE, FROM_DATA),
    code("finery/params/section.py", ALL, ALL),
    code("finery/params/model.py", {"download"} | PACKAGE, ALL),
    code("finery/params/data.py", DATA | TRAIN | PACKAGE, FROM_DATA),
    code("finery/params/train.py", PACKAGE, PACKAGE),
    code("finery/params/starts.py", PACKAGE, PACKAGE),
    code("finery/params/step.py", TRAIN | PACKAGE, FROM_TRAIN),
    code("finery/params/methods/sft.py", {"train@sft"} | PACKAGE, FROM_TRAIN),
    code("finery/params/methods/dpo.py", {"train@dpo"} | PACKAGE, FROM_TRAIN_DPO),
    code("finery/params/methods/kto.py", PACKAGE, PACKAGE),
    code("finery/params/tuners/lora.py", TRAIN | PACKAGE, FROM_TRAIN),
    code("finery/params/tuners/full.py", PACKAGE, PACKAGE),
    code("finery/training/methods/sft.py", {"train@sft"}, FROM_TRAIN),
    code("finery/training/methods/dpo.py", {"train@dpo"}, FROM_TRAIN_DPO),
    code("finery/training/methods/kto.py", NOTHING, NOTHING),
    code("finery/training/supervised.py", TRAIN, FROM_TRAIN),
    code("finery/training/preferences.py", TRAIN, FROM_TRAIN),
    code("finery/training/tuners/lora.py", TRAIN, FROM_TRAIN),
    code("finery/training/tuners/full.py", NOTHING, NOTHING),
    code("finery/params/merge.py", MERGE | PACKAGE, FROM_MERGE),
    code("finery/params/quantize.py", QUANTIZE | {"gate", "compare"} | PACKAGE, FROM_QUANTIZE),
    code("finery/params/evaluate.py", {"compare"} | EVALUATE | PACKAGE, FROM_EVALUATE),
    code("finery/params/gate.py", {"gate"} | PACKAGE, FROM_GATE),
    code("finery/params/package.py", PACKAGE, PACKAGE),
    code("finery/params/recipe.py", PACKAGE, PACKAGE),
    code("finery/params/hub.py", PACKAGE, PACKAGE),
    code("finery/params/release.py", NOTHING, NOTHING),
    code("finery/params/resources.py", NOTHING, NOTHING),
    code("finery/params/schema.py", NOTHING, NOTHING),
    code("finery/stage/run.py", NOTHING, NOTHING),
    code("finery/check/settings.py", NOTHING, NOTHING),
    code("finery/preflight/check.py", NOTHING, NOTHING),
    code("finery/check/target_modules.py", NOTHING, NOTHING),
    code("finery/pipeline/checkout.py", NOTHING, NOTHING),
    *(code(f"finery/stage/{name}.py", NOTHING, NOTHING) for name in ("outputs", "under_dvc")),
    code("finery/stage/leash.py", TRAIN | QUANTIZE, FROM_TRAIN),
    code("finery/stage/inputs.py", PACKAGE, PACKAGE),
    code("finery/stage/resume.py", NOTHING, NOTHING),
    code("finery/stage/timings.py", NOTHING, NOTHING),
    code("finery/cli/pipeline.py", NOTHING, NOTHING),
    code("finery/doctor/examine.py", NOTHING, NOTHING),
    code("finery/models/layer_widths.py", QUANTIZE, FROM_QUANTIZE),
    code("finery/__init__.py", NOTHING, NOTHING),
]
NO_CHANGES = [
    no_change("nothing", lambda p: None),
    no_change(
        "a comment in params.yaml",
        lambda p: p.write("params.yaml", "# A comment.\n" + p.read("params.yaml")),
    ),
    no_change(
        "0.001 for 1.0e-3", lambda p: p.replace("params.yaml", "rate: 1.0e-3", "rate: 0.001")
    ),
    no_change("1e-3 for 1.0e-3", lambda p: p.replace("params.yaml", "rate: 1.0e-3", "rate: 1e-3")),
    no_change("quotes in params.yaml", lambda p: p.replace("params.yaml", "cosine", "'cosine'")),
    no_change(
        "white space in params.yaml",
        lambda p: p.write("params.yaml", p.read("params.yaml").replace("\n\n", "\n\n\n") + "\n"),
    ),
    no_change("sections of params.yaml in another order", params_in_another_order),
    no_change("every file touched", touch_everything),
    no_change("there and back", there_and_back),
    no_change("README", lambda p: p.write("README.md", "# Another\n")),
    no_change("a test", lambda p: p.write("tests/test_new.py", "def test_new(): ...\n")),
    no_change("a project setting", lambda p: p.replace("pyproject.toml", "0.1.0", "0.1.1")),
    no_change("a file beside the data", lambda p: p.write("data/notes.txt", "Later.\n")),
    no_change("compiled code", lambda p: p.write("finery/data/__pycache__/x.pyc", "x")),
    no_change(
        "a comment in dvc.yaml",
        lambda p: p.write("dvc.yaml", "# A comment.\n" + p.read("dvc.yaml")),
    ),
]
CHANGES = [*SETTINGS, *DATASETS, *CODE, *NO_CHANGES]


@pytest.fixture(scope="module")
def shared(pipeline: Project, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    """A copy that all rows change in turn, each undoing what it did."""
    project = pipeline.copied_to(tmp_path_factory.mktemp("rows") / "project")
    with pytest.MonkeyPatch.context() as patch:
        for name, value in project.dvc_settings().items():
            patch.setenv(name, value)
        with closing(Asked(project)) as asked:
            yield asked


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.id)
def test_exactly_what_a_change_concerns_runs_again(shared: Asked, change: Change) -> None:
    with shared.project.undone():
        change.edit(shared.project)
        assert shared.plan() == (change.stale, change.reached)
        assert shared.said() == (change.stale, change.reached)


@pytest.mark.parametrize("change", CHANGES[::15], ids=lambda change: change.id)
def test_dvc_would_run_what_it_says_has_changed(shared: Asked, change: Change) -> None:
    """Some rows of each kind: what is asked in the others is what `dvc repro` goes by."""
    with shared.project.undone():
        change.edit(shared.project)
        assert shared.project.dry_run() == change.stale


def test_the_rows_undo_what_they_did(shared: Asked, pipeline: Project) -> None:
    """Runs after the rows, whose verdicts would mean nothing if one left something behind."""
    written = ("data/raw", "finery", "metrics", "params.yaml", "stages", "templates", "dvc.yaml")
    assert shared.project.contents(*written) == pipeline.contents(*written)
    assert shared.plan() == (NOTHING, NOTHING)


def test_every_stage_area_section_and_dataset_has_a_row() -> None:
    ids = {change.id for change in CHANGES}
    stages = {f"stages/{file.name}" for file in (ROOT / "stages").glob("[a-z]*.py")}
    assert stages <= ids
    modules = [file.relative_to(ROOT) for file in (ROOT / "finery").glob("*/[a-z]*.py")]
    areas = {module.parts[1] for module in modules}
    assert areas <= {id.split("/")[1] for id in ids if id.startswith("finery/")}
    assert {f"finery/{file.name}" for file in (ROOT / "finery").glob("[a-z]*.py")} <= ids
    sections = set(Params.model_fields)
    assert {f"finery/params/{name}.py" for name in sections} <= ids
    assert {change.id.split(".")[0] for change in SETTINGS} == sections
    datasets = {file.name for file in (ROOT / "data/raw").glob("*.json")} - {"dataset_info.json"}
    assert {f"a row of {name}" for name in datasets} <= ids
