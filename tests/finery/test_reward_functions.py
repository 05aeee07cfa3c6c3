"""A reward function is looked at without being run: where it is, and what it asks for."""

import hashlib
from pathlib import Path

import pytest

from finery.reward_functions import (
    KEPT,
    RewardFunctionError,
    function_problem,
    keep,
    refuse_unfit,
)

FINE = [
    "def f(completion): return 1",
    "def f(prompt, completion, reference): return 1",
    "def f(completion, *, reference): return 1",
    "def f(completion, scale=2): return 1",
    "def f(completion, *, scale=2): return 1",
    "def f(**given): return 1",
    "import functools\n@functools.cache\ndef f(reference): return 1",
]
WRONG = [
    ("def g(completion): return 1", "{file} defines no function f; it has g"),
    ("def ff(completion): return 1", "{file} defines no function f; did you mean ff?"),
    ("f = len", "{file} defines no function f"),
    ("class A:\n def f(self): pass", "{file} defines no function f"),
    ("\ndef f(completions): return 1",
     "{file}:2: f asks for completions; there are prompt, completion, reference, of one answer, by"
     " these names"),
    ("def f(completion, scale): return 1", "{file}:1: f asks for scale; there are prompt,"),
    ("def f(completion, /): return 1", "{file}:1: f asks for completion; there are prompt,"),
    ("def f(completion, *, scale): return 1", "{file}:1: f asks for scale; there are prompt,"),
    ("def f(): return 1", "{file}:1: f takes none of prompt, completion, reference"),
    ("def f(*given): return 1", "{file}:1: f takes none of prompt, completion, reference"),
    ("async def f(completion): return 1", "{file}:1: f is asynchronous; write it with def alone"),
    ("x = 1\ndef f(completion:\n  pass", "{file}:2: not Python: "),
    ("x = '\0'", "{file}"),
]  # fmt: skip


@pytest.mark.parametrize("code", FINE)
def test_functions_that_can_be_called(code: str, tmp_path: Path):
    (tmp_path / "rewards.py").write_text(code)
    assert function_problem(tmp_path, "rewards.py:f") is None
    refuse_unfit(tmp_path, ["rewards.py:f"], "train.rl.data.reward_functions")


@pytest.mark.parametrize("code, said", WRONG)
def test_functions_that_cannot(code: str, said: str, tmp_path: Path):
    (tmp_path / "rewards.py").write_text(code)
    found = function_problem(tmp_path, "rewards.py:f")
    assert found.startswith(said.format(file=tmp_path / "rewards.py")) and "\n" not in found
    with pytest.raises(RewardFunctionError) as error:
        refuse_unfit(tmp_path, ["rewards.py:f"], "train.rl.data.reward_functions")
    assert str(error.value) == f"train.rl.data.reward_functions: {found}"
    assert error.value.exit_status == 2


def test_files_that_cannot_be_read(tmp_path: Path):
    assert function_problem(tmp_path, "no.py:f") == f"no such file {tmp_path / 'no.py'}"
    (tmp_path / "folder.py").mkdir()
    assert function_problem(tmp_path, "folder.py:f") == f"no such file {tmp_path / 'folder.py'}"
    (tmp_path / "latin.py").write_bytes("# gr\xfc\xdfe".encode("latin-1"))
    assert "latin.py: not UTF-8 at byte 4" in function_problem(tmp_path, "latin.py:f")


def test_the_files_are_kept_with_the_samples(tmp_path: Path):
    (tmp_path / "mine").mkdir()
    for name in ("a.py", "mine/b.py"):
        (tmp_path / name).write_text(f"# {name}\n")
    kept = keep(tmp_path, ["a.py:f", "mine/b.py:g", "a.py:h"], tmp_path / "data")
    assert kept == {
        name: hashlib.sha256(f"# {name}\n".encode()).hexdigest() for name in ("a.py", "mine/b.py")
    }
    assert (tmp_path / "data" / KEPT / "mine/b.py").read_text() == "# mine/b.py\n"
