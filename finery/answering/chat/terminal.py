"""The conversation in a terminal: lines that one types, answers that come."""

from collections.abc import Iterable, Iterator
from typing import TextIO

from finery.answering.chat import commands
from finery.answering.chat.screen import Screen
from finery.answering.chat.talk import Talk
from finery.answering.variants import VariantError
from finery.errors import UserError

PROMPT = "> "


def converse(talk: Talk, lines: Iterable[str], screen: Screen) -> None:
    """Answer one line after another, until they end or one says so.

    A line that begins with a slash is a command; a space before that makes it a question. Raises
    `VariantError` if a model that was still being loaded cannot be.
    """
    for line in lines:
        if not line.strip():
            continue
        try:
            if line.startswith("/"):
                then = commands.run(line, talk, screen)
            else:
                talk.ask(line.strip())
                then = "answer"
            if then == "leave":
                return
            if then == "answer":
                screen.answers(talk)
                talk.take_back()
        except VariantError:
            raise
        except KeyboardInterrupt:  # as one stopped an answer, or a command, at its very end
            talk.take_back()
        except UserError as error:
            screen.error(str(error))
            if not line.startswith("/"):
                talk.take_back()


def typed(out: TextIO) -> Iterator[str]:
    """What is typed, with history and editing, which is shown on `out`: Enter sends, Alt-Enter
    begins a new line, and so does a backslash before Enter. Ends with Ctrl-D; Ctrl-C takes back
    what was typed.
    """
    from prompt_toolkit import PromptSession
    from prompt_toolkit.completion import WordCompleter
    from prompt_toolkit.filters import Condition
    from prompt_toolkit.key_binding import KeyBindings
    from prompt_toolkit.output import create_output

    keys = KeyBindings()
    names = [f"/{name}" for name in commands.COMMANDS]
    session: PromptSession[str] = PromptSession(
        PROMPT,
        multiline=True,
        key_bindings=keys,
        completer=WordCompleter(names, sentence=True),
        complete_while_typing=Condition(lambda: session.default_buffer.text.startswith("/")),
        prompt_continuation=" " * len(PROMPT),
        output=create_output(out),
    )

    @keys.add("enter")
    def _send(event: object) -> None:
        buffer = event.current_buffer
        if buffer.document.text_before_cursor.endswith("\\"):
            buffer.delete_before_cursor()
            buffer.insert_text("\n")
        else:
            buffer.validate_and_handle()

    @keys.add("escape", "enter")
    @keys.add("c-j")
    def _new_line(event: object) -> None:
        event.current_buffer.insert_text("\n")

    while True:
        try:
            yield session.prompt(handle_sigint=False)  # it is a key, not a signal
        except KeyboardInterrupt:
            continue
        except EOFError:
            return
