"""Conversations with images become the tokens of the model's own processor; what cannot is said."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from finery.data.formats.dataset import BadRow, check_datasets, open_dataset
from finery.data.rendering.chat import Renderer
from finery.data.rendering.samples import IGNORED, Sample
from finery.models.pictures import Pictures, load_processor, read_image
from finery.models.tokenizer import load_tokenizer
from tests.seeing import draw, make_data

MODELS = pytest.mark.parametrize("model", ["qwen_vl", "llava"])


def said(*words: str) -> list[dict[str, str]]:
    """A conversation of these turns."""
    tags = ("human", "gpt") * len(words)
    return [{"from": tag, "value": each} for tag, each in zip(tags, words, strict=False)]


ROWS: list[dict[str, Any]] = [
    {"conversations": said("<image>What is the name?", "red"), "images": ["a.png"]},
    {"conversations": said("<image>\nWho <image>\n?", "Two boats."), "images": ["b.png", "a.png"]},
    {"conversations": said("Hi", "Who?", "<image> now?", "blue"), "images": ["c/d.png"]},
    {"conversations": said("No picture.", "No."), "images": []},
]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    draw(tmp_path / "a.png", "red", (24, 16))
    draw(tmp_path / "b.png", "green", (40, 24))
    draw(tmp_path / "c/d.png", "blue", (8, 48))
    return make_data(tmp_path, {"rows": ROWS})


def samples(folder: Path, model: Path, **settings: Any) -> list[Sample]:
    dataset = open_dataset(folder, "rows", {}, seeing=True)
    renderer = Renderer(load_tokenizer(model), **settings, pictures=Pictures(model))
    return renderer.encode(list(dataset))  # type: ignore[return-value]


def by_the_processor(model: Path, folder: Path, row: dict[str, Any]) -> list[int]:
    """What the model's processor makes of a row, by its own chat template."""
    processor, messages = load_processor(model), []
    for number, turn in enumerate(row["conversations"]):
        first, *rest = turn["value"].split("<image>")
        parts = [{"type": "text", "text": first}] if first else []
        for words in rest:
            # Where the template breaks the line behind an image, LLaVA's rows do so once more.
            text = words.removeprefix("\n") if model.parent.name.startswith("llava") else words
            parts += [{"type": "image"}, {"type": "text", "text": text}]
        messages.append({"role": ("user", "assistant")[number % 2], "content": parts})
    text = processor.apply_chat_template(messages, tokenize=False)
    images = [read_image(folder / name) for name in row["images"]] or None
    return processor(text=[text], images=images, add_special_tokens=False)["input_ids"][0]


@MODELS
def test_the_tokens_are_the_processors(
    model: str, folder: Path, request: pytest.FixtureRequest
) -> None:
    base = request.getfixturevalue(model)
    found = samples(folder, base)
    for sample, row in zip(found, ROWS, strict=True):
        assert sample.input_ids.tolist() == by_the_processor(base, folder, row)
        assert sample.images == len(row["images"])


@MODELS
@pytest.mark.parametrize("prompt", [False, True])
def test_answers_alone_count_and_images_never(
    model: str, prompt: bool, folder: Path, request: pytest.FixtureRequest
) -> None:
    base = request.getfixturevalue(model)
    pictures, tokenizer = Pictures(base), load_tokenizer(base)
    for sample, row in zip(samples(folder, base, train_on_prompt=prompt), ROWS, strict=True):
        counted = sample.labels != IGNORED
        assert (sample.labels[counted] == sample.input_ids[counted]).all()
        assert not counted[sample.input_ids == pictures.token_id].any()
        if prompt:
            images = np.count_nonzero(sample.input_ids == pictures.token_id)
            assert counted.sum() == len(sample.input_ids) - images - 1
        else:
            answers = [turn["value"] for turn in row["conversations"][1::2]]
            learnt = tokenizer.decode(sample.labels[counted].tolist())
            assert learnt == "".join(f"{answer}<|im_end|>" for answer in answers)


def test_what_is_cut_off_takes_its_images_with_it(folder: Path, qwen_vl: Path) -> None:
    rows = [{"conversations": said("<image>Who?", "red", "<image>And?", "blue"),
             "images": ["a.png", "b.png"]}]  # fmt: skip
    make_data(folder, {"rows": rows})
    (whole,) = samples(folder, qwen_vl)
    image = Pictures(qwen_vl).token_id
    second = np.flatnonzero(whole.input_ids == image)[-1]
    (cut,) = samples(folder, qwen_vl, cutoff_len=int(second) - 1)
    assert (whole.images, cut.images) == (2, 1)
    assert np.count_nonzero(cut.input_ids == image) == (24 // 8) * (16 // 8)
    assert cut.cut


@pytest.mark.parametrize(("row", "problem"), [
    ({"conversations": said("<image>Who?", "I."), "images": []},
     "images: 0 images for 1 <image> in the questions"),
    ({"conversations": said("Who?", "I."), "images": ["a.png"]},
     "images: 1 images for 0 <image> in the questions"),
    ({"conversations": said("<image>Who?", "I."), "images": ["a.png", "b.png"]},
     "images: 2 images for 1 <image> in the questions"),
    ({"conversations": said("Who?", "<image>I."), "images": ["a.png"]},
     "images: assistant: has <image>, which only a question can have"),
    ({"conversations": said("<image>Who?", "I."), "images": ["gone.png"]},
     "images: {folder}/gone.png: no such file"),
    ({"conversations": said("<image>Who?", "I."), "images": ["broken.png"]},
     "images: {folder}/broken.png: no image that can be read"),
    ({"conversations": said("<image>Who?", "I."), "images": ["cut.png"]},
     "images: {folder}/cut.png: no image that can be read"),
    ({"conversations": said("<image>Who?", "I."), "images": ["../a.png"]},
     "images: ../a.png leaves {folder}; copy it there"),
    ({"conversations": said("<image>Who?", "I."), "images": ["https://x.org/a.png"]},
     'images: must be the path of a file in {folder}, not "https://x.org/a.png"'),
    ({"conversations": said("<image>Who?", "I."), "images": [3]},
     "images: must be the path of a file in {folder}, not 3"),
])  # fmt: skip
def test_a_row_whose_images_are_not_right(row: dict, problem: str, folder: Path) -> None:
    make_data(folder, {"rows": [ROWS[0], row]})
    (folder / "broken.png").write_text("no picture")
    (folder / "cut.png").write_bytes((folder / "b.png").read_bytes()[:70])
    good, bad = open_dataset(folder, "rows", {}, seeing=True)
    assert isinstance(bad, BadRow) and not isinstance(good, BadRow)
    assert bad.row == 2
    assert f"{bad.field}: {bad.problem}".startswith(problem.format(folder=folder))
    assert "\n" not in bad.problem


def test_videos_and_audios_stay_refused(folder: Path) -> None:
    rows = [ROWS[0] | {"videos": ["a.mp4"]}]
    make_data(folder, {"rows": rows})
    info = json.loads((folder / "dataset_info.json").read_text())
    info["rows"]["columns"]["videos"] = "videos"
    (folder / "dataset_info.json").write_text(json.dumps(info))
    (bad,) = open_dataset(folder, "rows", {}, seeing=True)
    said = "holds videos, and only text and images can be trained on; remove the row"
    assert isinstance(bad, BadRow) and bad.problem == said


def test_a_model_that_reads_text_alone(folder: Path) -> None:
    problems = check_datasets(folder, ["rows"], {})
    assert (
        "row 1: images: holds images, and only text can be trained on: the model reads no"
        in (problems[0])
    )
    assert check_datasets(folder, ["rows"], {}, seeing=True) == []


def test_rows_of_another_picture_are_other_rows(folder: Path) -> None:
    from finery.data.tokens.splits import digest

    def digests() -> Sequence[bytes]:
        return [digest(each) for each in open_dataset(folder, "rows", {}, seeing=True)]

    before = digests()
    draw(folder / "c/d.png", "green", (8, 48))
    after = digests()
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, True, False, True]
