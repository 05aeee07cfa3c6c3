"""Whether torch can use the GPUs here."""

from collections.abc import Iterator

from finery.check.nvidia import Cards
from finery.check.torch_build import UNAVAILABLE, TorchBuild, device_trouble, torch_build
from finery.doctor.finding import Finding, note, ok, problem
from finery.models.load import cpu_has_bf16
from finery.params.schema import Params

OLDEST_DRIVER = {11: 450, 12: 525, 13: 580}
"""The oldest Linux driver for each CUDA: docs.nvidia.com/deploy/cuda-compatibility."""
WHEELS = {13: "cu130", 12: "cu126"}
"""The builds of torch 2.13, newest CUDA first: its release matrix in pytorch's RELEASE.md."""
SLOW = "small models train on a CPU; for larger ones use a machine with an NVIDIA GPU"


def gpu(params: Params, cards: Cards | None) -> tuple[list[Finding], bool]:
    """What there is to say about the GPUs, and whether torch can compute on them."""
    build = torch_build()
    if build is None:  # the libraries' check says so
        return [], False
    if cards is None:
        found = [ok("GPU", f"AMD, by torch {build.version}")] if build.hip else _none(build)
        return [*found, *(() if build.hip else _precision(params))], False
    findings = list(_unusable(cards, build))
    if findings:
        return [*findings, *_precision(params)], False
    names = ", ".join(sorted({card.name for card in cards.cards}))
    what = f"{len(cards.cards)} x {names}, driver {cards.driver}, torch for CUDA {build.cuda}"
    return [ok("GPU", what)], True


def _none(build: TorchBuild) -> list[Finding]:
    bf16 = "has" if cpu_has_bf16() else "lacks"
    what = f"none: everything runs on the CPU, in float32 (this one {bf16} bf16 instructions)"
    return [note("GPU", f"{what}; torch {build.version}", SLOW)]


def _unusable(cards: Cards, build: TorchBuild) -> Iterator[Finding]:
    """Why the stages would run on the CPU although there are cards; nothing if they would not."""
    runs = "so everything runs on the CPU"
    if cards.trouble:
        advice = "load the NVIDIA driver or reboot; in a container, start it with --gpus all"
        yield note("GPU", f"{cards.trouble}, {runs}", advice)
    elif build.cuda is None:
        what = f"{cards.cards[0].name}, but torch {build.version} is a build for the CPU, {runs}"
        yield note("GPU", what, _wheel(cards, build))
    elif _major(cards.driver) < (needed := OLDEST_DRIVER.get(_major(build.cuda), 0)):
        known = f" (CUDA {cards.cuda})" if cards.cuda else ""
        yield note(
            "GPU",
            f"driver {cards.driver}{known} is too old for torch built for CUDA {build.cuda},"
            f" which needs {needed} or newer, {runs}",
            _wheel(cards, build, f"update the driver to {needed} or newer"),
        )
    elif trouble := device_trouble():
        yield _failing(cards, build, trouble)


def _failing(cards: Cards, build: TorchBuild, trouble: str) -> Finding:
    name = cards.cards[0].name
    if UNAVAILABLE in trouble:
        what = f"torch {build.version} finds no CUDA for {name}, so everything runs on the CPU"
        return note("GPU", what, "reboot after a driver update; in a container, use --gpus all")
    return problem(
        "GPU",
        f"torch {build.version} fails on {name}: {trouble}",
        f"cards older than the RTX 20 need {_pip(build, 'cu126')};"
        " or hide the card: CUDA_VISIBLE_DEVICES=-1",
    )


def _wheel(cards: Cards, build: TorchBuild, update: str = "") -> str:
    """How to get the newest build of torch that the driver can run; or else a newer driver."""
    for cuda, wheel in WHEELS.items():
        if _major(cards.driver) >= OLDEST_DRIVER[cuda]:
            return f"{update}, or {_pip(build, wheel)}" if update else _pip(build, wheel)
    return update or f"update the driver to {OLDEST_DRIVER[13]} or newer"


def _pip(build: TorchBuild, wheel: str) -> str:
    version = build.version.partition("+")[0]
    index = f"https://download.pytorch.org/whl/{wheel}"
    return f"pip install torch=={version}+{wheel} --extra-index-url {index}"


def _precision(params: Params) -> Iterator[Finding]:
    for step in params.train.values():
        key, advice = f"{step.key}.precision", f"set {step.key}.precision: auto in params.yaml"
        if step.precision == "bf16" and not cpu_has_bf16():
            what = f"{key} is bf16, which this CPU only emulates and training refuses"
            yield problem("precision", what, advice)
        elif step.precision == "fp16":
            what = f"{key} is fp16, which a CPU only emulates: slow, and losses overflow"
            yield note("precision", what, advice)


def _major(version: str) -> int:
    head = version.partition(".")[0]
    return int(head) if head.isdigit() else 0
