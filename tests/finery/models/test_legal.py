"""Licences and notices, told by their names."""

from pathlib import Path

import pytest

from finery.models.files import carry_along
from finery.models.legal import is_legal, legal_files


@pytest.mark.parametrize(
    "name",
    [
        "LICENSE",
        "license",
        "LICENCE.txt",
        "License.md",
        "LICENSE-2.0.txt",
        "LICENSE.MIT",
        "LICENSE.llama",
        "LICENSE-2.0",
        "MODEL_LICENSE",
        "Community License for Baichuan2 Model.pdf",
        "模型许可协议.pdf",
        "NOTICE",
        "Notice.txt",
        "THIRD_PARTY_NOTICES.txt",
        "COPYING",
        "COPYING.LESSER",
        "COPYRIGHT",
        "USE_POLICY.md",
        "acceptable_use_policy.md",
        "Prohibited Usage Policy.html",
        "TERMS_OF_USE.md",
    ],
)
def test_names_as_hubs_have_them(name: str):
    assert is_legal(name)


@pytest.mark.parametrize(
    "name",
    [
        "README.md",
        "config.json",
        "license.json",
        "license.py",
        "LICENSE.bin",
        "LICENSE.docx",
        "my_license.llama",
        "notice.safetensors",
        "unlicensed.txt",
        "noticeboard.md",
        "determination.txt",
        "vocab.txt",
        "merges.txt",
    ],
)
def test_other_names(name: str):
    assert not is_legal(name)


def test_they_go_along_with_the_tokenizer(tmp_path: Path):
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()
    target.mkdir()
    names = ["LICENSE", "NOTICE.txt", "generation_config.json", "tokenizer.json"]
    for name in [*names, "README.md", "config.json", "model.safetensors"]:
        (source / name).write_text(name)
    (source / "licenses").mkdir()
    assert [file.name for file in legal_files(source)] == ["LICENSE", "NOTICE.txt"]
    carry_along(source, target)
    assert sorted(file.name for file in target.iterdir()) == names
    assert all((target / name).read_text() == name for name in names)
