"""prepare: datasets to tokens, loss masks and splits."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from finery import lineage
from finery.data.choosing.choose import Choice, choose
from finery.data.choosing.emptied import refuse_emptied
from finery.data.choosing.pool import Pool
from finery.data.errors import DataError
from finery.data.formats.dataset import Dataset, open_dataset
from finery.data.formats.kinds import refuse_untestable, trained_kind
from finery.data.formats.unread import said
from finery.data.rendering.chat import Renderer
from finery.data.report.histogram import Histogram
from finery.data.report.preview import first
from finery.data.report.statistics import describe
from finery.data.rows.bad_rows import Tally
from finery.data.tokens.cache import contents, key, prune
from finery.data.tokens.parallel import processes
from finery.data.tokens.tokenized import Tokenized, tokenized
from finery.data.tokens.tokenizing import Tokenizing
from finery.models.tokenizer import load_tokenizer, template_hash
from finery.params.data import DataParams
from finery.to_json import to_json

CACHE = Path(".finery/prepare-cache")
TOKENIZER = {".json", ".jinja", ".model", ".txt", ".py"}
SETTINGS = {"cutoff_len", "mask_history", "packing", "train_on_prompt", "variables"}


def prepare(
    params: DataParams,
    datasets: Path,
    base: Path,
    *,
    train: Path,
    calibration: Path,
    test: Path,
    metrics: Path,
    rejected: Path,
    plot: Path,
) -> None:
    """Render every dataset with the model's chat template and split it.

    `train` gets train.parquet and validation.parquet, `calibration` samples of the training
    split, `test` the held-out questions, `rejected` a JSON line for each row that was skipped,
    `plot` a histogram of the lengths. Raises `DataError` if there are rows that cannot be used.
    """

    def opened(names: Sequence[str]) -> list[Dataset]:
        return [open_dataset(datasets, name, params.variables) for name in names]

    learnt, tested = opened([*params.train, *params.eval_dataset]), opened(params.test)
    kind = trained_kind(learnt)
    refuse_untestable(tested)

    histogram = Histogram()
    tokenizer = load_tokenizer(base)
    renderer = Renderer(
        tokenizer, params.cutoff_len, params.mask_history, params.train_on_prompt, params.packing
    )
    near = params.deduplicate == "near"
    work = [Tokenizing(each, renderer, near=near) for each in learnt]
    work += [Tokenizing(each, renderer.whole(), asked=True, near=near) for each in tested]
    made = [_made(params, base, each) for each in work]
    prune(CACHE, [each.folder.name for each in made])
    for each in made:
        for line in said(each.name, each.summary["unread"]):
            print(line)
    _report_bad_rows(made, params.on_bad_row == "fail", rejected)
    refuse_emptied(params, made)

    made, asked = made[: len(learnt)], made[len(learnt) :]
    pool, questions = Pool(made), Pool(asked)
    choice = choose(params, pool, [each.entry.num_samples for each in learnt], questions)
    if params.val_size and not len(choice.validation):
        print(f"data.val_size: {params.val_size} of these samples is none; nothing validates")
    pool.write(train / "train.parquet", kind, choice.training)
    pool.write(train / "validation.parquet", kind, choice.validation)
    pool.write(calibration / "calibration.parquet", kind, choice.calibration)
    questions.write(test / "test.parquet", "tests", np.arange(len(questions.facts)))

    template = {"chat_template_sha256": template_hash(tokenizer)}
    packed = {"packed_to": params.cutoff_len} if params.packing else {}
    lineage.write(train, [], "prepare", _record(made[: len(params.train)]) | template | packed)
    lineage.write(test, [], "test", _record(asked) | template)
    text = to_json(_metrics(pool, [*made, *asked], choice), indent=2)
    metrics.write_text(text + "\n", encoding="utf-8")
    print(text)
    print("A sample, with «what is trained on»:\n" + first(tokenizer, train / "train.parquet"))
    lengths = {"training": choice.training, "validation": choice.validation}
    lengths = {name: pool.facts["tokens"][samples] for name, samples in lengths.items()}
    histogram.draw(lengths, params.cutoff_len, plot)


def _made(params: DataParams, base: Path, work: Tokenizing) -> Tokenized:
    """A dataset as tokens: from the cache, unless something that it depends on has changed."""
    dataset = work.dataset
    most = params.max_samples if dataset.entry.num_samples is None else None
    name = key(
        dataset=[dataset.name, dataset.entry.model_dump(), contents(dataset.files)],
        tokenizer=contents(file for file in sorted(base.iterdir()) if file.suffix in TOKENIZER),
        settings=params.model_dump(include=SETTINGS),
        rest=[most, work.asked, work.near],
    )
    size = sum(file.stat().st_size for file in dataset.files)
    return tokenized(CACHE / name, work, most, processes(size))


def _report_bad_rows(made: list[Tokenized], refused: bool, rejected: Path) -> None:
    tally = Tally()
    with rejected.open("w", encoding="utf-8") as file:
        for bad in (bad for dataset in made for bad in dataset.bad_rows()):
            tally.add(bad)
            file.write(to_json(asdict(bad)) + "\n")
    if tally.total and refused:
        raise DataError("\n".join(tally.lines()))


def _record(made: list[Tokenized]) -> dict[str, Any]:
    facts = {each.name: each.summary for each in made}
    return {
        "datasets": {
            name: {key: summary[key] for key in ("rows", "sha256")}
            for name, summary in facts.items()
        }
    }


def _metrics(pool: Pool, made: list[Tokenized], choice: Choice) -> dict[str, Any]:
    counted = ("rows", "rejected", "dropped")
    return {
        "datasets": {
            each.name: {name: each.summary[name] for name in (*counted, "scripts")}
            | describe(each.facts())
            for each in made
        },
        **{name: sum(each.summary[name] for each in made) for name in counted},
        "train": describe(pool.facts[choice.training]),
        "validation": describe(pool.facts[choice.validation]),
        "calibration": describe(pool.facts[choice.calibration]),
        "duplicates": choice.duplicates,
    }


if __name__ == "__main__":
    from finery.stage.run import run

    run(prepare)
