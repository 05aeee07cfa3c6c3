"""Stages on the workers of a cluster: a checkout for each, artefacts by the DVC remote alone."""

import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import flows.workers
from finery.params.resources import ResourcesParams
from finery.pipeline.checkout import CheckoutError
from finery.pipeline.elsewhere import Results, Source, run_elsewhere
from finery.pipeline.one_run import only_run
from finery.pipeline.runs import Outcome
from flows.cluster import LOST, Cluster, ClusterError
from flows.pipeline import run as run_pipeline
from flows.workers import Worker, share

from . import cluster_project as cluster

Make = Callable[..., Path]
LEASH = "$(cut -d' ' -f4 /proc/$PPID/stat)"
KILL = f"(touch {{mark}} && kill -9 $(cut -d' ' -f4 /proc/{LEASH}/stat) && sleep 60)"
"""Kills the worker: the DVC that runs the stage is on a leash, which the worker holds."""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder for all that DVC and the workers keep; Ray's nodes inherit this environment."""
    folder = tmp_path_factory.mktemp("cluster")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("DVC_GLOBAL_CONFIG_DIR", "DVC_SYSTEM_CONFIG_DIR", "DVC_SITE_CACHE_DIR"):
            patch.setenv(name, str(folder / "dvc"))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("FINERY_WORK", str(folder / "work"))
        yield folder


@pytest.fixture(scope="module")
def s3(home: Path) -> Iterator[str]:
    with cluster.s3_server(home / "s3") as url:
        yield url


@pytest.fixture(scope="module")
def ray_address(home: Path) -> Iterator[str]:
    with cluster.ray_cluster(home) as address:
        yield address


@pytest.fixture
def make(tmp_path: Path, s3: str) -> Make:
    """Makes a project with a bucket of its own; commands can be given by the stage's name."""

    def project(**commands: str) -> Path:
        url = cluster.bucket(s3, tmp_path.name.replace("_", "-").lower())
        return cluster.project(tmp_path / "project", url, s3, **commands)

    return project


def run(root: Path, engine: str, address: str | None = None) -> dict[str, Outcome]:
    return {each.stage: each for each in run_pipeline(root, (), engine, address)}


def results(outcomes: dict[str, Outcome]) -> dict[str, str]:
    return {name: outcome.result for name, outcome in outcomes.items()}


@pytest.mark.usefixtures("prefect_page")
def test_two_ray_workers_make_what_one_machine_makes(
    make: Make, ray_address: str, s3: str, tmp_path: Path
) -> None:
    root = make()
    assert set(results(run(root, "ray", ray_address)).values()) == {"ran"}
    places = cluster.places(root)
    where = {place.rpartition(":")[0] for stage in ("train", "merge") for place in places[stage]}
    assert len(where) == 2, "each on the node that has a GPU for it, in a checkout of its own"
    assert {places[stage][0].rpartition(":")[2] for stage in ("train", "merge")} == {"0"}
    assert not (root / "merged").exists()

    local = tmp_path / "local"
    cluster.run(tmp_path, "git", "clone", "--quiet", str(root), str(local))
    cluster.run(local, sys.executable, "-m", "dvc", "repro", "--quiet")
    assert cluster.locked(root) == cluster.locked(local)
    for name in ("reports/train.json", "reports/gate.json"):
        assert (root / name).read_bytes() == (local / name).read_bytes()

    cluster.run(root, sys.executable, "-m", "dvc", "pull", "--quiet")
    assert (root / "merged").read_bytes() == (local / "merged").read_bytes()

    # What answers at this address is no Ray: with nothing to do, no cluster is joined.
    again = run(root, "ray", s3.removeprefix("http://"))
    assert set(results(again).values()) == {"cached"}
    assert len(cluster.places(root)["prepare"]) == 2, "once elsewhere, once by dvc repro"


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_page")
def test_a_worker_that_is_killed_costs_its_stage_only(
    make: Make, ray_address: str, tmp_path: Path
) -> None:
    mark = tmp_path / "killed"
    kill = KILL.format(mark=mark)
    root = make(train=f"(test -e {mark} || {kill}) && {cluster.COMMANDS['train']}")
    outcomes = run(root, "ray", ray_address)
    assert results(outcomes) == {
        "prepare": "ran", "train": "failed", "merge": "ran", "gate": "blocked",
    }  # fmt: skip
    assert (outcomes["train"].why, outcomes["train"].exit_status) == (LOST, 1)
    assert results(run(root, "ray", ray_address)) == {
        "prepare": "cached", "train": "ran", "merge": "cached", "gate": "ran",
    }  # fmt: skip


@pytest.mark.slow
@pytest.mark.usefixtures("prefect_page")
def test_a_dask_worker_that_is_killed_and_a_stage_that_fails(make: Make, tmp_path: Path) -> None:
    mark = tmp_path / "killed"
    kill = KILL.format(mark=mark)
    root = make(train=f"(test -e {mark} || {kill}) && echo 'train: no such luck' && exit 3")
    outcomes = run(root, "dask")
    assert results(outcomes) == {
        "prepare": "ran", "train": "failed", "merge": "ran", "gate": "blocked",
    }  # fmt: skip
    assert (outcomes["train"].why, outcomes["train"].exit_status) == ("train: no such luck", 3)
    assert set(cluster.locked(root)) == {"prepare", "merge"}
    places = cluster.places(root)
    assert len(places["train"]) == 2, "Dask tried it again"
    assert len(places["prepare"]) == 1, "and nothing that had ended"


def test_one_stage_by_itself(make: Make, tmp_path: Path) -> None:
    """Inputs come, outputs go and artefacts stay out of what is handed back."""
    root = make(prepare="mkdir prepared && head -c 1000000 /dev/zero > prepared/rows")
    cluster.run(root, "git", "rm", "--quiet", "--cached", "data/rows")
    cluster.run(root, sys.executable, "-m", "dvc", "add", "--quiet", "data/rows")
    cluster.run(root, sys.executable, "-m", "dvc", "push", "--quiet")
    cluster.commit(root)
    source = Source(str(root), cluster.run(root, "git", "rev-parse", "HEAD").strip())
    lines: list[str] = []
    with only_run(tmp_path):
        status, made = run_elsewhere("prepare", source, Results(), lines.append, tmp_path / "one")
        assert status == 0, lines
        assert len(pickle.dumps(made)) < 2000
        status, trained = run_elsewhere("train", source, made, lines.append, tmp_path / "other")
        assert status == 0, lines
    assert trained.files == {"reports/train.json": b"1\n"}
    assert list(trained.locked) == ["train"]


def test_what_is_not_ready_is_said_in_one_line(
    make: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    root = make()
    with pytest.raises(ClusterError, match=r"no Ray at 127\.0\.0\.1:1: .*refused; is it started"):
        Cluster(root, "ray", "127.0.0.1:1", None)
    with pytest.raises(CheckoutError, match=f"{tmp_path}/lost: cannot be cloned: "):
        Cluster(root, "ray", None, f"{tmp_path}/lost").prepare()
    (root / "params.yaml").open("a").write("# changed\n")
    with pytest.raises(ClusterError, match=r"uncommitted changes: params\.yaml; commit what is"):
        Cluster(root, "ray", None, None)
    cluster.commit(root)
    cluster.run(root, "git", "update-ref", "refs/heads/before", "HEAD~1")
    before = tmp_path / "before"
    branch = ("--single-branch", "--branch", "before")
    cluster.run(tmp_path, "git", "clone", "--quiet", *branch, f"file://{root}", str(before))
    with pytest.raises(CheckoutError, match=r"no commit [0-9a-f]{40}; push it first"):
        Cluster(root, "ray", None, str(before)).prepare()
    monkeypatch.setattr(flows.workers.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ClusterError, match=r"prefect-dask is not installed; pip install 'finery\["):
        Cluster(root, "dask", None, None)


def test_without_a_dvc_remote_nothing_starts(make: Make) -> None:
    root = make()
    for level in ("--local", "--project"):
        cluster.run(root, sys.executable, "-m", "dvc", "remote", "remove", level, "store")
    cluster.commit(root)
    command = [sys.executable, "-m", "finery.cli", "run", "--engine", "ray"]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True)
    said = "no DVC remote, by which workers exchange outputs; dvc remote add -d NAME URL\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", said)


def test_what_a_stage_takes_of_a_worker() -> None:
    resources = ResourcesParams(num_gpus={"train": 4, "quantize": 1})
    big, small, head = Worker("a", 64, 8), Worker("b", 16, 4), Worker("c", 8, 0)
    assert share("train", resources, [big, small, head]) == (16, 4)
    assert share("quantize@gptq", resources, [big, small, head]) == (4, 1)
    assert share("gate", resources, [big]) == (1, 0)
    assert share("train", resources, [head, Worker("d", 0, 0)]) == (8, 0), "all of a worker"
    with pytest.raises(ClusterError, match=r"train: takes 4 GPUs and no worker has more than 1"):
        share("train", resources, [head, Worker("d", 8, 1)])


def test_workers_elsewhere_need_a_server_that_they_reach() -> None:
    from prefect.settings import PREFECT_API_URL, temporary_settings

    afar, here = Worker("203.0.113.7", 1, 0), Worker("127.0.0.1", 1, 0)
    with temporary_settings({PREFECT_API_URL: "http://127.0.0.1:4200/api"}):
        flows.workers._check_server([here])
        with pytest.raises(ClusterError, match=r"workers on 203\.0\.113\.7 cannot reach"):
            flows.workers._check_server([here, afar])
    with temporary_settings({PREFECT_API_URL: "http://prefect.example:4200/api"}):
        flows.workers._check_server([here, afar])
