"""params.yaml, by itself and against the files around it: every problem in one go."""

import os
from collections.abc import Iterator
from pathlib import Path

from finery import lineage
from finery.check.facts import Model, read_model
from finery.check.formats import format_problems
from finery.check.model import model_problems, odd_files
from finery.check.positions import position_problem
from finery.check.quantized import quantized_problem
from finery.check.template import template_problems
from finery.check.tuner import tuner_problems
from finery.errors import UserError
from finery.models.chat_template import (
    ChatTemplateError,
    chat_template,
    chat_templates,
    no_such_template,
    one_of_several,
    read_template,
)
from finery.models.jinja import unknown_keywords
from finery.models.load import cpu_has_bf16
from finery.models.packed import QUANTIZED, packed_method
from finery.models.tokens import Tokens, read_tokens
from finery.params.combinations import WITH_IMAGES, refused
from finery.params.model import scheme
from finery.params.quantized import packed_steps
from finery.params.schema import Params, ParamsError, load
from finery.params.train import before, stretched

BASE = Path("models/base")
GPUS = ("/dev/nvidiactl", "/dev/kfd", "/dev/dxg")
"""Where Linux has NVIDIA's, AMD's and, under Windows, any GPU."""
OWN = "the model's own"
SEES = "the model reads images"


def check(path: Path) -> Params:
    """Validate params.yaml by itself and against the base model, once that is there.

    Reads a few files and the headers of the weights. Raises `ParamsError` with every problem
    found, a line each.
    """
    params = load(path)
    problems = [*_template_file(params), *_against_model(params), *_keywords(params)]
    if problems:
        raise ParamsError([f"{path}: {problem}" for problem in problems])
    return params


def notes(params: Params) -> list[str]:
    """What is no problem, but good to know of valid settings."""
    return [*_template_note(params), *_precision_note(params)]


def model_folder(params: Params) -> Path | None:
    """The folder of the model that params.yaml names; None while there is none on this machine.

    Another machine may have a `path:` model in models/base alone.
    """
    source = params.model.source
    local = Path(source.removeprefix("path:"))
    if params.model.scheme == "path" and local.is_dir():
        return local
    if params.model.scheme == "path" and local.is_absolute():
        source = f"path:{local.name}"
    same = _downloaded().get("source", source).partition("@")[0] == source.partition("@")[0]
    return BASE if same and BASE.is_dir() else None


def quantized_folder(params: Params) -> Path | None:
    """The same of model.quantized."""
    source = params.model.quantized
    if source is None:
        return None
    local = Path(source.removeprefix("path:"))
    if scheme(source) == "path" and local.is_dir():
        return local
    if scheme(source) == "path" and local.is_absolute():
        source = f"path:{local.name}"
    found = _downloaded().get("quantized", {}).get("source", "")
    here = found.partition("@")[0] == source.partition("@")[0]
    return BASE / QUANTIZED if here and (BASE / QUANTIZED).is_dir() else None


def _template_note(params: Params) -> list[str]:
    folder = model_folder(params)
    try:
        with odd_files():
            names = _template_names(folder) if folder else []
    except UserError:  # damaged, and valid all the same: a download makes it anew
        return []
    if len(names) < 2 or params.model.template_file:
        return []
    return [one_of_several(params.model.chat_template or names[0], names)]


def _precision_note(params: Params) -> list[str]:
    """Not a problem: training may be on another machine, and refuses it there."""
    if cpu_has_bf16() or any(map(os.path.exists, GPUS)):
        return []
    return [
        f"{step.key}.precision: bf16 is only emulated on this machine, where training would refuse"
        " it; unless it runs on another, set auto"
        for step in params.train.values()
        if step.precision == "bf16"
    ]


def _template_file(params: Params) -> list[str]:
    file = params.model.template_file
    if file is None or Path(file).is_file():
        return []
    return [f"model.chat_template: no such file {file}"]


def _keywords(params: Params) -> list[str]:
    """Of data.chat_template_kwargs, those that the chat template does not know."""
    given, folder = params.data.chat_template_kwargs, model_folder(params)
    if not given or not (folder or params.model.template_file):
        return []
    try:
        with odd_files():
            template = _template(params, folder or BASE)
    except UserError:  # said of the model
        return []
    problems = unknown_keywords(template, given) if template is not None else []
    return [f"data.chat_template_kwargs.{problem}" for problem in problems]


def _against_model(params: Params) -> list[str]:
    folder = model_folder(params)
    if folder is None:
        return []
    try:
        with odd_files():
            return _compared(params, folder)
    except UserError as error:  # damaged: if it is a download, that makes it anew
        return [] if folder == BASE else [f"model.source: {folder}: {error}"]


def _compared(params: Params, folder: Path) -> list[str]:
    model, tokens = read_model(folder), read_tokens(folder)
    unfit = model_problems(model, tokens, params.model.trust_remote_code)
    if model.is_one and not unfit:
        unfit = _template_problems(params, folder, tokens)
    problems = [f"model: {folder}: {problem}" for problem in unfit]
    usable = not problems
    for name, step in params.train.items():
        data = params.data_of(name)
        if too_long := position_problem(model, data.cutoff_len, stretched(params.train, name)):
            problems.append(f"{data.key('cutoff_len')}: {too_long}")
        answers = getattr(step, "max_completion_length", 0)
        if not too_long and (too_long := position_problem(model, data.cutoff_len + answers)):
            key = f"{step.key}.max_completion_length"
            problems.append(f"{key}: with {data.key('cutoff_len')}, {too_long} in all")
        if model.sees:
            problems += [f"{one} ({SEES})" for one in refused(step, data, WITH_IMAGES)]
        unfit = tuner_problems(model, step.tuner, _blocks_put_in(params, name))
        problems += [f"{step.key}.tuner.{problem}" for problem in unfit]
    problems += _of_quantized(params, model)
    if model.sees:
        if usable and params.quantize.formats:
            problems.append(f"quantize.formats: must be [], {SEES}, and such are not quantized")
        return list(dict.fromkeys(problems))
    problems += format_problems(params.quantize, model)
    return list(dict.fromkeys(problems))


def _of_quantized(params: Params, model: Model) -> Iterator[str]:
    """What is wrong with model.quantized, once that is there, and with the steps trained on it."""
    source = params.model.quantized or ""
    here = quantized_folder(params)
    if here is None:
        return
    if problem := quantized_problem(read_model(here), model):
        yield f"model.quantized: {source}: {problem}"
        return
    method = packed_method(here)
    for step in packed_steps(params.train):
        if method and step.quantization.method != method:
            key = f"{step.key}.quantization.method"
            yield f"{key}: {step.quantization.method}: model.quantized is in {method}; set {method}"


def _blocks_put_in(params: Params, name: str) -> int:
    """How many blocks the steps before one have put into the model."""
    earlier = (params.train[step].tuner for step in before(params.train, name))
    return sum(getattr(tuner, "blocks", 0) for tuner in earlier)


def _template_problems(params: Params, folder: Path, tokens: Tokens) -> list[str]:
    try:
        template = _template(params, folder)
        return [] if template is None else template_problems(template, tokens)
    except ChatTemplateError as error:
        return [str(error)]


def _template(params: Params, folder: Path) -> str | None:
    """The chat template that the settings ask for; None if only a download can tell.

    models/base has the one template that it was downloaded for. Raises `ChatTemplateError`.
    """
    if file := params.model.template_file:
        return read_template(Path(file)) if Path(file).is_file() else None
    wanted, names = params.model.chat_template, _template_names(folder)
    if wanted and wanted not in names:
        raise no_such_template(wanted, names)
    here = _downloaded().get("chat_template", OWN) if folder == BASE else OWN
    if here == OWN:
        return chat_template(folder, wanted)
    return chat_template(folder) if here == (wanted or names[0]) else None


def _template_names(folder: Path) -> list[str]:
    """The chat templates that a model came with, the one that is taken unasked first."""
    templates = chat_templates(folder)
    recorded = _downloaded().get("chat_templates") if folder == BASE else None
    return list(recorded or templates)


def _downloaded() -> dict:
    try:
        return lineage.read(BASE).get("download", {})
    except ValueError:  # damaged: download makes it anew
        return {}
