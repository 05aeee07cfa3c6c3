"""Models that were taught a few answers, as an engine."""

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
def taught_gptq(taught: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same in 4 bits."""
    from finery.params.quantize import GptqParams
    from finery.quantization.quantizer import quantize_model

    folder = tmp_path_factory.mktemp("taught-gptq")
    quantize_model(taught, GptqParams(group_size=32), ROWS, folder / "gptq", folder / "work")
    return folder / "gptq"
