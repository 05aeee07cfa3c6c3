"""What one types after a slash."""

import difflib
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from finery.answering.chat.conversation import load, save
from finery.answering.chat.screen import Screen
from finery.answering.chat.talk import Talk
from finery.answering.tools import as_tools, read_tools
from finery.errors import UserError

Next = Literal["ask", "answer", "leave"] | None
"""What follows a command: nothing, an answer to what was said last, or the end of the program."""
THINKING = {"on": True, "off": False, "auto": None}


class CommandError(UserError):
    """A command is not known, or is not given what it needs."""


def run(line: str, talk: Talk, screen: Screen) -> Next:
    """Do what a line such as `/set temperature 0.7` says.

    Raises `UserError` with what is wrong; then nothing has changed.
    """
    name, _, rest = line.strip().removeprefix("/").partition(" ")
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1, cutoff=0.5)
        hint = f"did you mean /{near[0]}?" if near else "/help lists them"
        raise CommandError(f"/{name}: no such command; {hint}")
    return COMMANDS[name](rest.strip(), talk, screen)


def _system(words: str, talk: Talk, screen: Screen) -> Next:
    """/system [WORDS] -- show the system prompt, or set it; /system - removes it"""
    if words:
        for speaker in talk.speakers:
            speaker.conversation.system = "" if words == "-" else words
    screen.say(talk.speakers[0].conversation.system or "no system prompt")
    return None


def _save(words: str, talk: Talk, screen: Screen) -> Next:
    """/save FILE -- write the conversation as JSON, as datasets in OpenAI's format have it"""
    file = _file(words, "save")
    for speaker in talk.speakers:
        place = file
        if len(talk.speakers) > 1:
            place = file.with_name(f"{file.stem}-{speaker.name.replace('/', '-')}{file.suffix}")
        save(place, speaker.conversation, talk.tools)
        screen.say(f"{place}: {len(speaker.conversation.messages)} messages")
    return None


def _load(words: str, talk: Talk, screen: Screen) -> Next:
    """/load FILE -- go on with a conversation that was saved"""
    file = _file(words, "load")
    for speaker in talk.speakers:
        speaker.conversation, tools = load(file)
    talk.tools = tuple(as_tools(tools, str(file)))
    screen.say(f"{len(talk.speakers[0].conversation.messages)} messages")
    return None


def _undo(words: str, talk: Talk, screen: Screen) -> Next:
    """/undo -- take the last question back, with its answer"""
    taken = [speaker.conversation.undo() for speaker in talk.speakers]
    screen.say(f"taken back: {taken[0]['content']}" if taken[0] else "nothing was asked yet")
    return None


def _retry(words: str, talk: Talk, screen: Screen) -> Next:
    """/retry -- answer the last question again"""
    again = [speaker.conversation.unanswered() for speaker in talk.speakers]
    if not any(again):
        raise CommandError("nothing was asked yet")
    first = talk.speakers[0].sampling
    if first.temperature == 0:
        screen.say("temperature 0 gives the same answer again; /set temperature 0.7 gives others")
    elif first.seed is not None:
        screen.say(f"seed {first.seed} gives the same answer again; /set seed none gives others")
    return "answer"


def _clear(words: str, talk: Talk, screen: Screen) -> Next:
    """/clear -- forget the conversation, but for the system prompt"""
    for speaker in talk.speakers:
        speaker.conversation.turns.clear()
    screen.say("forgotten")
    return None


def _set(words: str, talk: Talk, screen: Screen) -> Next:
    """/set [NAME VALUE] -- show or change the sampling; /set thinking on, off or auto"""
    parts = _split(words)
    match parts:
        case []:
            for name, value in talk.speakers[0].sampling.model_dump().items():
                screen.say(f"{name} {_shown(value)}")
            screen.say(f"thinking {next(k for k, v in THINKING.items() if v is talk.thinking)}")
        case ["thinking", value] if value in THINKING:
            talk.set_thinking(THINKING[value])
        case ["thinking", *_]:
            raise CommandError("thinking: on, off, or auto for as the model has it")
        case ["stop", *texts]:
            talk.set(stop=() if texts == ["none"] else tuple(map(_unescaped, texts)))
        case [name, value]:
            talk.set(**{name: None if value == "none" else value})
        case _:
            raise CommandError("/set NAME VALUE, as /set temperature 0.7; /set alone shows them")
    return None


def _tools(words: str, talk: Talk, screen: Screen) -> Next:
    """/tools [FILE] -- show the tools, or read them from a JSON file; /tools - takes them away"""
    if words:
        talk.tools = () if words == "-" else read_tools(_file(words, "tools"))
    names = [tool["function"]["name"] for tool in talk.tools]
    screen.say(", ".join(names) or "no tools")
    return None


def _result(words: str, talk: Talk, screen: Screen) -> Next:
    """/result WORDS -- what the tool that was called has to say"""
    return "answer" if talk.result(words) else None


def _image(words: str, talk: Talk, screen: Screen) -> Next:
    """/image FILE -- show an image along with the next question"""
    file = _file(words, "image")
    blind = [speaker.name for speaker in talk.speakers if not speaker.engine.sees]
    if blind:
        raise CommandError(f"{', '.join(blind)}: reads no images; take a model that does")
    if not file.is_file():
        raise CommandError(f"{file}: no such file")
    talk.seen.append(str(file))
    return None


def _think(words: str, talk: Talk, screen: Screen) -> Next:
    """/think -- show what the last answer was thought over with"""
    screen.say(screen.last_thought or "no thoughts")
    return None


def _help(words: str, talk: Talk, screen: Screen) -> Next:
    """/help -- this"""
    for command in dict.fromkeys(COMMANDS.values()):
        usage, _, does = (command.__doc__ or "").partition(" -- ")
        screen.say(f"{usage:22} {does}")
    screen.say("a space before a slash makes it a question")
    screen.say("Enter sends, Alt-Enter is a new line, Ctrl-C stops an answer, Ctrl-D leaves")
    return None


def _exit(words: str, talk: Talk, screen: Screen) -> Next:
    """/exit -- leave"""
    return "leave"


COMMANDS: dict[str, Callable[[str, Talk, Screen], Next]] = {
    "system": _system, "save": _save, "load": _load, "undo": _undo, "retry": _retry,
    "clear": _clear, "set": _set, "tools": _tools, "result": _result, "image": _image,
    "think": _think, "help": _help, "exit": _exit, "quit": _exit,
}  # fmt: skip


def _file(words: str, command: str) -> Path:
    parts = _split(words)
    if len(parts) != 1:
        raise CommandError(f"/{command} FILE: name one file, in quotes if it has spaces")
    return Path(parts[0]).expanduser()


def _split(words: str) -> list[str]:
    try:
        return shlex.split(words)
    except ValueError as error:
        raise CommandError(f"{words}: {str(error).lower()}") from None


def _unescaped(text: str) -> str:
    return text.replace("\\n", "\n").replace("\\t", "\t")


def _shown(value: object) -> str:
    if isinstance(value, tuple):
        return " ".join(shlex.quote(each.replace("\n", "\\n")) for each in value) or "none"
    return "none" if value is None else str(value)
