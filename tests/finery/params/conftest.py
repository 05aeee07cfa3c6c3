from pathlib import Path

import pytest


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """params.yaml in the present folder, which is empty."""
    monkeypatch.chdir(tmp_path)
    return Path("params.yaml")
