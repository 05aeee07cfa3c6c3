"""params.yaml as a file: of any editor, with numbers as people write them, or none at all."""

import re
from pathlib import Path
from typing import Any

import pytest

from finery.params.schema import ParamsError, load

from .shipped import ROOT, SHIPPED


@pytest.mark.parametrize(
    "content, said",
    [
        (b"", "must be a mapping of sections: model, data, starts, train, "),
        (b"\n# nothing\n", "must be a mapping of sections: model, "),
        (b"- model\n", "must be a mapping of sections: model, "),
        (b"model: \xff\n", "not UTF-8 at byte 7; save it as UTF-8"),
    ],
)
def test_files_that_are_no_settings(file: Path, content: bytes, said: str):
    file.write_bytes(content)
    with pytest.raises(ParamsError) as caught:
        load(file)
    assert str(caught.value).startswith(f"params.yaml: {said}")
    assert len(caught.value.problems) == 1


def test_no_file(file: Path):
    with pytest.raises(ParamsError, match=r"^params.yaml: no such file; run from the project's r"):
        load(file)


@pytest.mark.parametrize("rewrite", [
    lambda text: b"\xef\xbb\xbf" + text.encode(),
    lambda text: text.replace("\n", "\r\n").encode(),
])  # fmt: skip
def test_what_windows_editors_write_is_read(file: Path, rewrite: Any):
    file.write_bytes(rewrite(SHIPPED))
    assert load(file) == load(ROOT / "params.yaml")


@pytest.mark.parametrize(
    "written, read", [("2e-4", 2e-4), ("2.0e-4", 2e-4), ("2E-4", 2e-4), ("0.0002", 2e-4)]
)
def test_floats_as_people_write_them(file: Path, written: str, read: float):
    file.write_text(SHIPPED.replace("1.0e-3", written))
    assert load(file).train["sft"].learning_rate == read


def test_what_is_left_out_has_its_default(file: Path):
    least = "{after: base, method: sft, data: [identity], tuner: {type: lora}}"
    file.write_text(re.sub(r"(?ms)^train:.*?^merge:", f"train:\n  sft: {least}\n\nmerge:", SHIPPED))
    sft = load(file).train["sft"]
    assert (sft.tuner.rank, sft.learning_rate, sft.seed) == (8, 1e-4, 42)
