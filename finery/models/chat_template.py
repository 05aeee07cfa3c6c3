"""The chat templates of a model folder: one, or several of which one is chosen by its name."""

from collections.abc import Iterable
from pathlib import Path

from finery.errors import UserError
from finery.models.settings import TOKENIZER, read_settings
from finery.models.tokens import Tokens, read_tokens

TEMPLATE = "chat_template.jinja"
MORE_TEMPLATES = "additional_chat_templates"
PROCESSORS = "chat_template.json"
"""Where older models that read images have it."""
DEFAULT = "default"
CHATML = {"<|im_start|>", "<|im_end|>"}


class ChatTemplateError(UserError):
    """A model folder has no chat template that works; the message ends in what to do."""


def chat_templates(model: Path) -> dict[str, str]:
    """The templates that transformers would find, by name; `default` first if there is one.

    Files go before what is embedded in tokenizer_config.json: one text, or the older form of
    several, each with a name. Raises `ChatTemplateError` if a file cannot be read.
    """
    files = {DEFAULT: model / TEMPLATE}
    files |= {file.stem: file for file in sorted((model / MORE_TEMPLATES).glob("*.jinja"))}
    if found := {name: read_template(file) for name, file in files.items() if file.is_file()}:
        return found
    embedded = read_settings(model / TOKENIZER).get("chat_template")
    embedded = read_settings(model / PROCESSORS).get("chat_template") or embedded
    if isinstance(embedded, list):
        embedded = {item["name"]: item["template"] for item in embedded}
    if isinstance(embedded, str):
        embedded = {DEFAULT: embedded}
    embedded = {name: text for name, text in (embedded or {}).items() if text}
    return dict(sorted(embedded.items(), key=lambda item: item[0] != DEFAULT))


def chat_template(model: Path, name: str | None = None) -> str:
    """The text of one template: the one called `name`, or the model's default.

    Raises `ChatTemplateError` if there is none.
    """
    templates = chat_templates(model)
    if not templates:
        raise ChatTemplateError(
            f"the model has no chat template in {TEMPLATE} or {TOKENIZER};"
            f" {fitting_template(read_tokens(model))}"
        )
    name = name or chosen(templates)
    if name not in templates:
        raise no_such_template(name, templates)
    return templates[name]


def chosen(templates: dict[str, str]) -> str:
    """The name of the template to take if the settings name none: `default`, or the only one.

    Raises `ChatTemplateError` if there is neither.
    """
    if DEFAULT in templates or len(templates) == 1:
        return next(iter(templates))
    raise ChatTemplateError(
        f"the model has several chat templates ({', '.join(templates)}) and none is called"
        f" {DEFAULT}; set model.chat_template to one of these names"
    )


def one_of_several(taken: str, names: Iterable[str]) -> str:
    """What to say of a model that came with several templates."""
    others = ", ".join(name for name in names if name != taken)
    return f"chat template: {taken} is taken; model.chat_template can name another: {others}"


def no_such_template(name: str, names: Iterable[str]) -> ChatTemplateError:
    """The error to raise for a name that the model has no template of."""
    return ChatTemplateError(
        f"no chat template is called {name}; set model.chat_template to a file in templates/ or to"
        f" one of the model's: {', '.join(names) or 'it has none'}"
    )


def fitting_template(tokens: Tokens) -> str:
    """What to do about a template that does not fit: one that ends its turns with a token here."""
    if tokens.whole.keys() >= CHATML:
        return "set model.chat_template, for instance to templates/chatml.jinja"
    if end := tokens.named["eos_token"]:
        return (
            "set model.chat_template to a template that ends a turn with the model's own"
            f" {end}, for instance templates/plain.jinja"
        )
    return f"name an eos_token in {TOKENIZER}, or choose a model that has one"


def read_template(file: Path) -> str:
    """The text of a template. Raises `ChatTemplateError` if it is not UTF-8."""
    try:
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise ChatTemplateError(
            f"{file.name}: not UTF-8 at byte {error.start}; save it as UTF-8"
        ) from None
