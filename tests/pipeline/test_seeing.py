"""A model that reads images, by `dvc repro`, to a package."""

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.seeing import draw, make_data, make_llava

from .project import A_FEW_STEPS, Project

SETTINGS = {
    "model.source": "path:seeing",
    "data.dataset_dir": "data/pictures",
    "data.test": ["asked"],
    "data.cutoff_len": 128,
    "data.val_size": 0.0,
    "train": {"sft": A_FEW_STEPS | {"after": "base", "method": "sft", "data": ["looks"]}},
    "merge.step": "sft",
    "quantize.formats": [],
    "release.metrics": ["all.loss"],
}


@pytest.mark.slow
def test_images_through_dvc_to_a_package(new_project: Callable[[str], Project]) -> None:
    project = new_project("seeing")
    make_llava(project.folder / "seeing")
    make_data(project.folder / "data/pictures")
    for key, value in SETTINGS.items():
        project.set(key, value)
    outcome = project.repro()
    assert outcome.status == 0, outcome.output
    assert outcome.ran == {
        "download", "prepare_test", "prepare@sft", "train@sft", "merge@sft", "evaluate@base",
        "evaluate@merged", "compare", "gate", "package@merged",
    }  # fmt: skip
    package = project.folder / "models/packages/merged"
    assert "AutoModelForImageTextToText" in (package / "README.md").read_text()
    picture = project.folder / "elsewhere.png"
    draw(picture, "red")
    assert len(answer(package, picture)) > 0

    draw(project.folder / "data/pictures/pictures/red-32.png", "green", (32, 24))  # a test's
    changed = project.repro()
    assert changed.ran == {
        "prepare_test", "prepare@sft", "evaluate@base", "evaluate@merged", "compare", "gate",
        "package@merged",
    }, changed.output  # fmt: skip


def answer(package: Path, picture: Path) -> str:
    """As the package's card says it is done."""
    from transformers import AutoModelForImageTextToText, AutoProcessor

    processor = AutoProcessor.from_pretrained(package)
    model = AutoModelForImageTextToText.from_pretrained(package, dtype="auto")
    asked = [{"type": "image", "path": str(picture)}, {"type": "text", "text": "What colour?"}]
    inputs = processor.apply_chat_template(
        [{"role": "user", "content": asked}],
        add_generation_prompt=True, tokenize=True, return_dict=True, return_tensors="pt",
    )  # fmt: skip
    written = model.generate(**inputs, max_new_tokens=4, do_sample=False)
    return processor.decode(written[0, inputs["input_ids"].shape[1] :])
