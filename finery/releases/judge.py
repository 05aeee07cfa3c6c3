"""May a model go into service? It is compared with the one that is there; nothing is tagged."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from finery.errors import UserError
from finery.params.schema import load
from finery.releases import data, tags
from finery.releases.bootstrap import Comparison
from finery.releases.candidate import candidate
from finery.releases.errors import ReleaseError, WorseThanChampion
from finery.releases.proof import prove
from finery.releases.registry import Release, champion, registered


@dataclass(frozen=True)
class Promotion:
    """A version that may go into a stage; `record` is the proof, kept in the tag's message."""

    release: Release
    stage: str
    title: str
    record: dict[str, Any]


def judge(
    root: Path,
    name: str,
    stage: str = "prod",
    version: str | None = None,
    override: str | None = None,
) -> Promotion | None:
    """What `promote` would do with the same arguments; None if it is in the stage already.

    Raises as `promote` does.
    """
    new = candidate(root, name, version, registered(tags.events(root, name)))
    return judge_release(root, new, stage, override)


def judge_release(
    root: Path, new: Release, stage: str, override: str | None = None
) -> Promotion | None:
    """Whether a release may go into a stage: as `judge`, of what is known to be one."""
    if override is not None and not override.strip():
        raise ReleaseError("override: no reason given; say why a worse model should be released")
    name, holder = new.name, champion(root, new.name, stage)
    if holder and holder.commit == new.commit:
        return None
    record = _judged(root, name, stage, new, holder, override)
    return Promotion(new, stage, _title(new, stage, record), record)


def unreleased(root: Path, stage: str = "prod") -> list[str]:
    """The models of dvc.yaml's artifacts whose package, as committed, was never in a stage.

    One that was rolled back is not among them: a person took it out of service.
    """
    return [name for name in data.artifacts(root) if not _was_in(root, name, stage)]


def judge_all(root: Path, names: Sequence[str], stage: str = "prod") -> list[Promotion]:
    """Judge several models of the current commit. Raises `WorseThanChampion` naming every worse."""
    found, worse = [], []
    for name in names:
        try:
            found.append(judge(root, name, stage))
        except WorseThanChampion as error:
            worse.append(str(error))
    if worse:
        raise WorseThanChampion("; ".join(worse))
    return [each for each in found if each]


def _was_in(root: Path, name: str, stage: str) -> bool:
    path = data.package_path(root, "HEAD", name)
    package = data.package_hash(root, "HEAD", path)
    assigned = {e.commit for e in tags.events(root, name) if e.stage == stage}
    return any(data.package_hash(root, commit, path) == package for commit in assigned)


def _judged(
    root: Path,
    name: str,
    stage: str,
    new: Release,
    holder: Release | None,
    override: str | None,
) -> dict[str, Any]:
    """The record of a promotion. Raises `WorseThanChampion`, unless there is a reason to go on."""
    record = {"action": "promote", "stage": stage, "version": new.version}
    if holder is None:
        return record | {"champion": None, "override": None}
    record |= {"champion": holder.version}
    params = load(root / "params.yaml").release
    try:
        comparisons, anew = prove(root, name, new.commit, holder.commit, params)
        record |= {"evaluated_anew": anew, "comparisons": [asdict(each) for each in comparisons]}
        _refuse_worse(name, stage, new, holder, comparisons)
    except UserError as error:
        if override is None:
            raise
        return record | {"override": override, "overridden": str(error)}
    return record | {"override": None}


def _refuse_worse(
    name: str, stage: str, new: Release, holder: Release, comparisons: Sequence[Comparison]
) -> None:
    worse = [_worse(each) for each in comparisons if each.verdict == "worse"]
    if worse:
        raise WorseThanChampion(
            f"{name} {new.version} is worse than {holder.version} in {stage}, which stays:"
            f" {'; '.join(worse)}"
        )


def _worse(c: Comparison) -> str:
    return (
        f"{c.metric} {c.candidate:.4g} against {c.champion:.4g}, {-c.gain:.3g} worse"
        f" ({-c.high:.3g} to {-c.low:.3g}; {c.samples} samples, {c.confidence:.0%} confidence)"
    )


def _title(new: Release, stage: str, record: dict[str, Any]) -> str:
    if record["champion"] is None:
        how = "the first there"
    elif record["override"] is not None:
        how = f"by decision of a person, after {record['champion']}"
    else:
        verdicts = {each["verdict"] for each in record["comparisons"]}
        how = f"{'better' if 'better' in verdicts else 'not worse'} than {record['champion']}"
    return f"{new.name} {new.version} in {stage}: {how}"
