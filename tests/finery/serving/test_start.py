"""What is found before a model is loaded, and the command as users run it."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from finery.cli import app
from finery.serving.start import UsageError, is_loopback, listening, read_keys
from tests.finery.serving.test_door import ROOT, WHO
from tests.taught import NAME


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", "127.0.0.1.org"])
def test_beyond_this_machine_it_takes_a_key(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FINERY_API_KEY", raising=False)
    done = CliRunner().invoke(app, ["serve", "nowhere", "--host", host])
    assert done.exit_code == 2
    assert done.stderr.startswith(f"--host {host}: others reach it, so it takes an API key; put")
    assert done.stderr.count("\n") == 1


def test_what_this_machine_alone_reaches() -> None:
    assert all(map(is_loopback, ("127.0.0.1", "127.1.2.3", "::1", "localhost")))


def test_keys_are_lines_of_a_file_or_one_in_the_environment(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text("one\n\n two \n")
    assert read_keys(file, {}) == ["one", "two"]
    assert read_keys(None, {"FINERY_API_KEY": " three\n"}) == ["three"]
    assert read_keys(None, {"FINERY_API_KEY": ""}) == []
    file.write_text("\n")
    with pytest.raises(UsageError, match="keys: no key; write one on a line"):
        read_keys(file, {"FINERY_API_KEY": "three"})


def test_a_port_that_is_taken_is_said() -> None:
    with listening("127.0.0.1", 0) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(UsageError, match=f"127.0.0.1:{port}: Address already in use; choose"):
            listening("127.0.0.1", port)
    with pytest.raises(UsageError, match=r"203\.0\.113\.7:80"):
        listening("203.0.113.7", 80)


def test_the_command_serves_until_it_is_stopped(
    taught: Path, taught_gguf: Path, home: Path
) -> None:
    import httpx

    command = [sys.executable, "-m", "finery.cli", "serve", str(taught), "--port", "0"]
    command += ["--weights", "f32", "--engine", "llamacpp", "--streams", "2", "--threads", "1"]
    environment = os.environ | {"FINERY_API_KEY": "secret-of-mine", "PYTHONPATH": str(ROOT)}
    environment["XDG_CACHE_HOME"] = str(home)
    program = subprocess.Popen(
        command, env=environment, cwd=home, stderr=subprocess.PIPE, text=True
    )
    try:
        lines = [program.stderr.readline()]
        while program.poll() is None and "http://" not in lines[-1]:
            lines.append(program.stderr.readline())
        url = lines[-1].split()[-1]
        headers = {"Authorization": "Bearer secret-of-mine"}
        asked = {"messages": WHO, "temperature": 0, "model": "model"}
        answer = httpx.post(f"{url}/chat/completions", json=asked, headers=headers, timeout=60)
        assert answer.json()["choices"][0]["message"]["content"] == NAME, lines
    finally:
        program.send_signal(signal.SIGINT)
        rest = program.communicate(timeout=30)[1]
    assert "secret-of-mine" not in "".join(lines) + rest
    assert "model by llamacpp: http" in lines[-1] and f"to {home}" not in "".join(lines)
    assert (program.returncode, "Traceback" in rest) == (0, False)
