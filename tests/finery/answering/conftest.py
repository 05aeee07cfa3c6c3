"""Models that were taught a few answers, as engines and in few bits."""

from pathlib import Path

import pytest

from finery.answering.in_process import InProcess
from finery.answering.loading import engines
from finery.answering.variants import Variant
from tests.conftest import ROWS


@pytest.fixture(scope="session")
def engine(taught: Path) -> InProcess:
    (found,) = engines([Variant("taught", taught)])
    return found


@pytest.fixture(scope="session")
def taught_packed(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same in each format of 4 bits."""
    from finery.params.quantize import AwqParams, GptqParams
    from finery.quantization.quantizer import quantize_model

    folder = tmp_path_factory.mktemp("taught-packed")
    for name, params in (("gptq", GptqParams(group_size=32)), ("awq", AwqParams(group_size=32))):
        quantize_model(taught, params, ROWS, folder / name, folder / "work")
    return {name: folder / name for name in ("gptq", "awq")}
