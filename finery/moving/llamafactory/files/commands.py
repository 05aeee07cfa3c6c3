"""Commands of LLaMA-Factory in a shell script, or one behind `--`."""

import re
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePath

PROGRAMS = ("llamafactory-cli", "lmf")
TASKS = ("train", "export", "chat", "api", "webchat", "eval")
SCRIPTS = {
    "train.py": "train", "train_bash.py": "train", "export_model.py": "export", "api.py": "api",
    "cli_demo.py": "chat", "web_demo.py": "webchat", "webui.py": "", "evaluate.py": "eval",
    "launcher.py": "train",
}  # fmt: skip
"""What is in LLaMA-Factory's src/, and what it is for."""
FILES = (".yaml", ".yml", ".json")
PROCESSES = re.compile(r"--(?:nproc[_-]per[_-]node|num_gpus|num_processes)[= ](\d+)")
SETTING = re.compile(r"(?:export |set |\$env:)?([A-Za-z_]\w*) ?= ?(.*)")


@dataclass
class Command:
    """What one is told: by a file, by words, or by both."""

    task: str
    file: str | None = None
    words: dict[str, list[str]] = field(default_factory=dict)
    """By the name of each argument; none for one that is only named."""
    overrides: dict[str, str] = field(default_factory=dict)
    """KEY=VALUE, behind a file."""
    environment: dict[str, str] = field(default_factory=dict)
    gpus: int = 1


def is_command(words: Sequence[str]) -> bool:
    return bool(words) and next(_commands([shlex.join(words)]), None) is not None


def commands(text: str) -> list[Command]:
    """Those of a script, in their order; its other lines only for what they set."""
    joined = re.sub(r"[\\`^][ \t]*\r?\n", " ", text)
    return list(_commands(joined.splitlines()))


def _commands(lines: Sequence[str]) -> Iterator[Command]:
    known: dict[str, str] = {}
    for line in lines:
        try:
            words = shlex.split(_filled(line, known), comments=True)
        except ValueError:  # an apostrophe in what is no command
            continue
        own: dict[str, str] = {}
        while words and (found := SETTING.fullmatch(words[0])):
            own[found[1]] = found[2]
            words = words[1:]
        if words[:1] in (["export"], ["set"]):
            for word in words[1:]:
                name, _, value = word.partition("=")
                known[name] = value
        elif not words:
            known |= own
        elif command := _command(words, line, known | own):
            yield command


def _filled(line: str, known: dict[str, str]) -> str:
    return re.sub(
        r"\$\{(\w+)\}|\$(\w+)", lambda found: known.get(found[1] or found[2], found[0]), line
    )


def _command(words: list[str], line: str, environment: dict[str, str]) -> Command | None:
    for number, word in enumerate(words):
        name = PurePath(word).name
        if name in PROGRAMS and words[number + 1 : number + 2] and words[number + 1] in TASKS:
            return _told(words[number + 1], words[number + 2 :], line, environment)
        if name in SCRIPTS and (task := SCRIPTS[name]):
            rest = words[number + 1 :]
            if rest[:1] and rest[0] in TASKS:  # src/llamafactory/launcher.py train ...
                task, rest = rest[0], rest[1:]
            return _told(task, rest, line, environment)
    return None


def _told(task: str, words: list[str], line: str, environment: dict[str, str]) -> Command:
    command = Command(task, environment=environment, gpus=_gpus(line, environment))
    if words and words[0].endswith(FILES):
        command.file = words[0]
        pairs = (word.lstrip("-").partition("=") for word in words[1:] if "=" in word)
        command.overrides = {key: value for key, _, value in pairs}
        return command
    values: list[str] = []
    for word in words:
        if re.match(r"--[A-Za-z]", word):
            key, sign, value = word[2:].partition("=")
            values = command.words.setdefault(key.replace("-", "_"), [])
            values += [value] if sign else []
        elif word in ("&", "|", ">", "2>&1", "&&", ";") or word.startswith((">", "|")):
            break
        else:
            values.append(word)
    return command


def _gpus(line: str, environment: dict[str, str]) -> int:
    """How many a command trains on, as far as it says so."""
    if found := PROCESSES.search(line):
        return int(found[1])
    if (count := environment.get("NPROC_PER_NODE", "")).isdecimal():
        return int(count)
    return max(
        1, len([gpu for gpu in environment.get("CUDA_VISIBLE_DEVICES", "").split(",") if gpu])
    )
