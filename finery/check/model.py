"""Whether a model folder can be trained at all, whatever the other settings are."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from finery.check.architecture import architecture_problems
from finery.check.facts import Model, read_model
from finery.check.template import template_problems
from finery.check.tokenizer import tokenizer_problems
from finery.errors import UserError
from finery.models.chat_template import chat_template
from finery.models.tokens import Tokens, read_tokens


class ModelError(UserError):
    """A model that nothing can be trained on; a line for each reason."""


def model_problems(model: Model, tokens: Tokens, trusted: bool) -> list[str]:
    """A line for each reason why a model cannot be trained; none for a folder without a model.

    `trusted` says that code which comes with the model may run.
    """
    if not model.is_one:
        return []
    if problems := architecture_problems(model, trusted):
        return problems  # what else is there to say of an encoder
    return tokenizer_problems(model, tokens, trusted)


@contextmanager
def odd_files() -> Iterator[None]:
    """Raises `ModelError` where the block stumbles over files of another shape than expected."""
    try:
        yield
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        said = f"{type(error).__name__}: {' '.join(str(error).split())}"
        raise ModelError(
            f"config.json or a file of the tokenizer is not as transformers writes it ({said});"
            " fetch the model again"
        ) from error


def refuse_unfit(folder: Path, trusted: bool) -> None:
    """Raises `ModelError` if nothing can be trained on the model in a folder."""
    with odd_files():
        problems = model_problems(read_model(folder), read_tokens(folder), trusted)
    _refuse(problems)


def refuse_template(folder: Path) -> None:
    """Raises `ModelError` if a model could not learn from its chat template where a turn ends."""
    _refuse(template_problems(chat_template(folder), read_tokens(folder)))


def _refuse(problems: list[str]) -> None:
    if problems:
        raise ModelError("\n".join(problems))
