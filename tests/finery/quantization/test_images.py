"""A model that reads images is refused before time is spent on it."""

from pathlib import Path

import pytest

from finery.quantization.fitting import UnfitError, load


def test_a_model_that_reads_images_is_not_quantized(qwen_vl: Path) -> None:
    with pytest.raises(UnfitError, match="models that read images are not quantized; use it as"):
        load(qwen_vl, None, "cpu")
