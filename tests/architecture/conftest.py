"""The import graph of the code as it stands."""

from pathlib import Path

import grimp
import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="session")
def imports() -> grimp.ImportGraph:
    """Every import between the modules of the project, those inside functions too."""
    packages = [name for name in ("finery", "stages", "flows") if (ROOT / name).is_dir()]
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT))
        return grimp.build_graph(*packages, cache_dir=None)
