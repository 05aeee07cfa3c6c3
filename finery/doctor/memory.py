"""Whether the configured model fits: into the GPUs' memory, and into this machine's."""

from collections.abc import Iterator

import psutil

from finery.check.facts import read_model
from finery.check.memory.batches import longest_batch
from finery.check.memory.fitting import Fitting, Plan
from finery.check.memory.room import Room, main_memory
from finery.check.memory.shape import Shape, shape
from finery.check.memory.step import gigabytes
from finery.check.nvidia import Cards
from finery.check.settings import model_folder
from finery.doctor.finding import Finding, note, ok, problem
from finery.params.schema import Params

RUNTIME = 10**9


def memory(params: Params, cards: Cards | None) -> Iterator[Finding]:
    """`cards` are those that torch can use; None if all runs on the CPU."""
    folder = model_folder(params)
    model = shape(read_model(folder)) if folder else None
    if model is None:
        said = f"{gigabytes(main_memory())}; the model's need is known once it is downloaded"
        yield ok("memory", said)
        return
    if cards is not None:
        yield from _on_gpu(params, model, cards)
    yield from _on_cpu(params, model, training=cards is None)


def _on_gpu(params: Params, model: Shape, cards: Cards) -> Iterator[Finding]:
    """For the smallest card, since a stage may be given any."""
    card = min(cards.cards, key=lambda card: card.total)
    if card.total:
        fitting = _largest(params, model, Room(card.total, card.name, gpu=True))
        advice = "`nvidia-smi` lists them; end them, or choose another card"
        yield _judged("GPU memory", fitting, card.used, advice)


def _on_cpu(params: Params, model: Shape, training: bool) -> Iterator[Finding]:
    """Merging holds the model in float32 on the CPU, and so does training without a GPU."""
    there, memory = Room(main_memory(), "this machine"), psutil.virtual_memory()
    if training:
        fitting = _largest(params, model, there)
        used = max(0.0, there.size - memory.available)
        yield _judged("memory", fitting, used, "end other programs before the run")
        return
    need = model.parameters * 4 + RUNTIME
    what = f"merging takes about {gigabytes(need)} of the {gigabytes(there.size)} of this machine"
    if need > there.size + psutil.swap_memory().total:
        yield problem("memory", what, "choose a smaller model.source, or a larger machine")
    elif need > there.size:
        yield note("memory", f"{what}: it may run out", "use a machine with more memory")
    else:
        yield ok("memory", what)


def _judged(check: str, fitting: Fitting, used: float, others: str) -> Finding:
    """`used` is what other programs hold of the room, `others` what to do about them."""
    need, size = fitting.need.total, fitting.room.size
    if fitting.refused:
        return problem(check, fitting.what, fitting.advice)
    if need > size:
        return note(check, f"{fitting.what}: it may run out", fitting.advice)
    if need > size - used:
        return note(check, f"{fitting.what}, {gigabytes(used)} of it taken now", others)
    return ok(check, fitting.what)


def _largest(params: Params, model: Shape, there: Room) -> Fitting:
    """The step of the training that takes the most memory."""
    fittings = (_fitting(params, step, model, there) for step in params.train)
    return max(fittings, key=lambda fitting: fitting.need.total)


def _fitting(params: Params, name: str, model: Shape, there: Room) -> Fitting:
    """By the longest samples that there may be, and all of them counted."""
    step, data = params.train[name], params.data_of(name)
    batch = longest_batch(step, data.cutoff_len, there.gpu)
    return Fitting(Plan(step, batch), model, there, data.key("cutoff_len"))
