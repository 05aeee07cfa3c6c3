"""A model that is promoted takes over, and nothing that was asked is lost."""

import asyncio
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from finery.answering.variants import Variant
from finery.serving.engines.choice import Wanted
from finery.serving.following import follow
from finery.serving.start import Options, UsageError, served, start
from tests.finery.serving.conftest import Running, running
from tests.finery.serving.test_door import until
from tests.taught import NAME

WHO = [{"role": "user", "content": "Who are you?"}]


class Followed:
    """A server, the folder that is in service, and what was said of it."""

    def __init__(self, server: Running, folder: Path) -> None:
        self.server, self.folder = server, folder
        self.said: list[str] = []
        options = Options(variant="model", wanted=Wanted("transformers"))

        async def make() -> Any:
            return await served(options, Variant("model", self.folder), server.front.meters)

        work = follow(server.front, lambda: self.folder, make, 0.05, self.said.append)
        self.task: Future = asyncio.run_coroutine_threadsafe(work, server.loop)

    def answer(self) -> str:
        found = self.server.chat(messages=WHO, temperature=0, max_tokens=12, model="model")
        assert found.status_code == 200, found.text
        return found.json()["choices"][0]["message"]["content"]


@pytest.fixture
def followed(taught: Path) -> Iterator[Followed]:
    with running(taught, queue=64) as server:
        found = Followed(server, taught)
        yield found
        found.task.cancel()


@pytest.fixture(scope="module")
def other(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that was not taught anything."""
    return Path(shutil.copytree(tiny_model, tmp_path_factory.mktemp("other") / "model-v2"))


def test_what_was_promoted_takes_over_and_no_answer_is_lost(
    followed: Followed, other: Path
) -> None:
    server, old = followed.server, followed.server.front.served
    prompt = next(
        [token] * 4
        for token in range(5, 200)
        if server.post("/v1/completions", prompt=[token] * 4, temperature=0, max_tokens=300)
        .json()["usage"]["completion_tokens"] == 300
    )  # fmt: skip
    asked = {"prompt": prompt, "temperature": 0, "max_tokens": 300}
    expected = server.post("/v1/completions", **asked).json()["choices"]
    with ThreadPoolExecutor(4) as pool:
        long = pool.submit(server.post, "/v1/completions", **asked)
        until(lambda: old.line.computing == 1)
        followed.folder = other
        answers = [followed.answer() for _ in range(3)]
        while answers[-1] == NAME:
            answers.append(followed.answer())
        assert long.result().json()["choices"] == expected
    assert followed.said == [f"{other}: takes over"]
    assert server.metrics()["finery_model_changes_total"] == 1
    assert server.http.get("/v1/models").json()["data"][0]["root"] == "model-v2"
    until(lambda: old.engine._model is None)
    assert followed.answer() == answers[-1] != NAME


def test_what_cannot_be_loaded_changes_nothing(
    followed: Followed, other: Path, tmp_path: Path
) -> None:
    broken = Path(shutil.copytree(other, tmp_path / "broken"))
    config = json.loads((broken / "config.json").read_text())
    (broken / "config.json").write_text(json.dumps(config | {"hidden_size": 32}))
    followed.folder = broken
    until(lambda: len(followed.said) > 1)
    assert f"{broken}: cannot be loaded: " in followed.said[0]
    assert followed.said[0].endswith("stays")
    assert followed.answer() == NAME
    followed.folder = other
    until(lambda: followed.said[-1] == f"{other}: takes over")
    assert followed.answer() != NAME


def test_a_folder_is_not_followed() -> None:
    with pytest.raises(UsageError, match="--follow: merged is no NAME@STAGE of a release"):
        start(Options(follow=True), Path)
