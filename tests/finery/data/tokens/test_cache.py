import shutil
from pathlib import Path

import pytest

from finery.data.tokens import cache


@pytest.mark.parametrize("module", ["rows/json_rows", "formats/converting", "rendering/chat"])
def test_tokens_are_made_anew_when_any_code_that_decides_them_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: str
):
    copied = tmp_path / "data"
    shutil.copytree(cache.CODE, copied, ignore=shutil.ignore_patterns("__pycache__"))
    before = cache.key(dataset="d")
    monkeypatch.setattr(cache, "CODE", copied)
    assert cache.key(dataset="d") == before
    with (copied / f"{module}.py").open("a") as file:
        file.write("\n")
    assert cache.key(dataset="d") != before
