"""Commands of releases: promote, roll back, fetch elsewhere, and verify a package."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from finery.cli.errors import one_line_errors

commands = typer.Typer()
ModelName = Annotated[str, typer.Argument(help="A model of dvc.yaml's artifacts, as merged.")]
ReleaseStage = Annotated[str, typer.Option("--stage", help="Where it is in service: prod, dev.")]
Push = Annotated[bool, typer.Option("--push", help="Send it to the DVC remote, its tags to git's.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
PackageFolder = Annotated[Path, typer.Argument(help="The package's folder.")]


@commands.command()
def fetch(
    release: Annotated[str, typer.Argument(help="NAME@STAGE or NAME@VERSION, as merged@prod.")],
    source: Annotated[
        str, typer.Option("--from", help="The URL or folder of the project that released it.")
    ] = ".",
    out: Annotated[Path | None, typer.Option(help="The new folder; by default NAME.")] = None,
) -> None:
    """Bring a released package here from the DVC remote, and verify it; nothing is trained."""
    from finery.packaging.verify import verify as verify_package
    from finery.releases.fetch import fetch as fetch_package

    with one_line_errors():
        found, folder = fetch_package(source, release, out, verify_package, _say)
    print(f"{folder}: {found.name} {found.version}, as in its MANIFEST.json")


@commands.command()
def promote(
    name: ModelName,
    stage: ReleaseStage = "prod",
    version: Annotated[
        str | None, typer.Option(help="A version from before, or what to call the new one.")
    ] = None,
    override: Annotated[
        str | None, typer.Option(help="Why to release it though it is worse; goes on record.")
    ] = None,
    push: Push = False,
) -> None:
    """Release the current commit's package, if it is not worse than the one in service."""
    from finery.releases.promote import promote as promote_model
    from finery.releases.show import summary

    with one_line_errors():
        release = promote_model(Path(), name, stage, version, override, push, _say)
    print("\n".join(summary(release, stage)))


@commands.command()
def releases(
    name: Annotated[str | None, typer.Argument(help="One model; by default all.")] = None,
    as_json: AsJson = False,
) -> None:
    """List what was released: versions, stages, metrics, commits, overrides."""
    from finery.params.schema import load
    from finery.releases import show
    from finery.releases.registry import releases as all_releases

    with one_line_errors():
        metrics = load(Path("params.yaml")).release.metrics
        found = all_releases(Path(), name)
    if as_json:
        print(show.as_json(found))
    elif found:
        show.show(found, metrics)
    else:
        print("nothing was released yet; `finery promote NAME` releases what the pipeline made")


@commands.command()
def history(
    name: Annotated[str, typer.Argument(help="base, merged or a format.")] = "merged",
    metric: Annotated[
        list[str] | None,
        typer.Option(help="DATASET.METRIC, may be repeated; by default release.metrics."),
    ] = None,
    limit: Annotated[int, typer.Option(help="Commits to look at, the last ones.", min=1)] = 50,
    plot: Annotated[Path | None, typer.Option(help="A picture to draw: .svg, .png, .pdf.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show a model's metrics over all commits, releases and experiments, and what declined."""
    from finery.params.schema import load
    from finery.releases import history as past
    from finery.releases import history_shown

    with one_line_errors():
        metrics = metric or load(Path("params.yaml")).release.metrics
        points = past.history(Path(), name, metrics, limit)
        if plot:
            history_shown.plot(points, metrics, plot)
    print(past.as_json(points)) if as_json else history_shown.show(points, metrics)


@commands.command()
def rollback(
    name: ModelName,
    stage: ReleaseStage = "prod",
    reason: Annotated[str | None, typer.Option(help="Why; goes on record.")] = None,
    push: Push = False,
) -> None:
    """Put the version back in service that was there before; again, and the one before that."""
    from finery.releases.promote import rollback as roll_back

    with one_line_errors():
        release = roll_back(Path(), name, stage, reason, push, _say)
    after = release.records[stage]["from"]
    print(f"{release.name} {release.version} is back in {stage}, after {after}")


@commands.command()
def rebuild(
    release: Annotated[str, typer.Argument(help="NAME@STAGE or NAME@VERSION, as merged@v0.3.0.")],
) -> None:
    """Make a release again in a clean checkout, and say whether its bytes are the same."""
    from finery.releases.rebuild import rebuild as make_again

    with one_line_errors():
        made = make_again(Path(), release, _say)
    name = f"{made.release.name} {made.release.version}"
    if made.differing:
        first, paths = next(iter(made.differing.items()))
        before = made.stages.index(first)
        lines = [f"{name}: {first} made another {', '.join(paths)}, which is in {made.folder}"]
        lines += [f"{name}: {before} of {len(made.stages)} stages made the same before it"]
        sys.exit("\n".join([*lines, *(f"{name}: {remark}" for remark in made.remarks)]))
    print(f"{name}: {len(made.stages)} stages made the same bytes again")


@commands.command()
def sign(
    package: PackageFolder,
    key: Annotated[
        Path | None, typer.Option(help="The private key, in PEM format; by default your own.")
    ] = None,
) -> None:
    """Sign a package, by OpenSSF model signing; the signature is FOLDER.sig, beside it."""
    from finery.packaging.keys import own_keys
    from finery.packaging.signing import sign as sign_package
    from finery.packaging.verify import verify as verify_package

    with one_line_errors():
        if problems := verify_package(package):
            sys.exit(f"{package}: {problems[0]} ({len(problems)} wrong); not signed")
        signature = sign_package(package, key or own_keys()[0])
    by = f"{key}" if key else f"{own_keys()[0]}; others verify it with {own_keys()[1]}"
    print(f"{signature}: signed by {by}")


@commands.command()
def push(
    package: PackageFolder,
    target: Annotated[
        str, typer.Argument(help="hf:ORG/NAME, modelscope:ORG/NAME or oci://HOST/NAME:TAG.")
    ],
    public: Annotated[
        bool, typer.Option("--public", help="If the repository is new, all may read it.")
    ] = False,
) -> None:
    """Upload a package, verified first, to a hub or a registry; run again, it goes on."""
    from finery.packaging.push.push import push as upload

    with one_line_errors():
        print(f"{package}: pushed to {upload(package, target, public)}")


@commands.command()
def verify(
    package: PackageFolder,
    key: Annotated[
        Path | None, typer.Option(help="The signer's public key; by default your own.")
    ] = None,
    signature: Annotated[
        Path | None, typer.Option(help="The signature; by default FOLDER.sig, beside it.")
    ] = None,
) -> None:
    """Check a package, what it says of itself and its signature; name whatever is wrong."""
    from finery.packaging.manifest import read_manifest
    from finery.packaging.signing import signed
    from finery.packaging.verify import verify as verify_package

    with one_line_errors():
        problems = verify_package(package)
        manifest = read_manifest(package)
        by, problem = signed(package, signature, key) if not problems else ("", None)
    problems += [problem] if problem else []
    if problems:
        lines = [f"{package}: {problem}" for problem in problems]
        sys.exit(
            "\n".join([*lines, f"{package}: {len(problems)} wrong; fetch or package it again"])
        )
    commit = (manifest.git.get("commit") or "none")[:8]
    besides = len(manifest.git.get("modified", [])) + len(manifest.git.get("untracked", []))
    files = f"{besides} file{'s' * (besides > 1)}"
    made = f"commit {commit}" + (f" and {files} not as in it" if besides else "")
    print(f"{package}: {len(manifest.files)} files match MANIFEST.json ({made}); {by}")


def _say(line: str) -> None:
    print(line, file=sys.stderr)
