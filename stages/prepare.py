"""prepare: the datasets of a training step to tokens, loss masks and splits."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from finery import lineage
from finery.data.choosing.choose import Choice, choose
from finery.data.choosing.emptied import refuse_emptied
from finery.data.choosing.images import keep_images
from finery.data.choosing.pool import Pool
from finery.data.formats.dataset import Dataset, open_dataset
from finery.data.formats.kinds import refuse_untestable, trained_kind
from finery.data.prepared import with_images
from finery.data.rendering.chat import Renderer
from finery.data.report.histogram import Histogram
from finery.data.report.preview import first
from finery.data.report.statistics import datasets as described
from finery.data.report.statistics import describe
from finery.data.tokens.making import make, record, report_bad_rows
from finery.data.tokens.tokenized import Tokenized
from finery.data.tokens.tokenizing import Tokenizing
from finery.models.pictures import Pictures
from finery.models.tokenizer import load_tokenizer, template_record
from finery.params.data import DataParams
from finery.reward_functions import keep, refuse_unfit
from finery.to_json import to_json

CACHE = Path(".finery/prepare-cache")


def prepare(
    params: DataParams,
    step: str,
    datasets: Path,
    base: Path,
    *,
    train: Path,
    calibration: Path,
    metrics: Path,
    rejected: Path,
    plot: Path,
) -> None:
    """Render the datasets of a step with the model's chat template and split them.

    `train` gets train.parquet and validation.parquet, `calibration` samples of the training
    split, `rejected` a JSON line for each row that was skipped, `plot` a histogram of the lengths.
    Reward functions are copied to the samples. The tests are read to keep copies of them out of
    the training. Raises `DataError` if there are rows that cannot be used, `RewardFunctionError`
    for such a function.
    """
    refuse_unfit(datasets, params.reward_functions, params.key("reward_functions"))

    pictures = Pictures.of(base)

    def opened(names: Sequence[str]) -> list[Dataset]:
        seeing = pictures is not None
        return [open_dataset(datasets, name, params.variables, seeing) for name in names]

    learnt, tested = opened([*params.train, *params.eval_dataset]), opened(params.test)
    kind = trained_kind(learnt, f"train.{step}.data")
    refuse_untestable(tested)

    histogram = Histogram()
    tokenizer = load_tokenizer(base)
    renderer = Renderer.by(params, tokenizer, pictures)
    kind = with_images(kind) if renderer.sees else kind
    near = params.deduplicate == "near"
    work = [Tokenizing(each, renderer, near=near) for each in learnt]
    work += [Tokenizing(each, renderer.whole(), asked=True, near=near) for each in tested]
    made = make(params, base, work, CACHE / step)
    report_bad_rows(made, params.on_bad_row == "fail", rejected)
    refuse_emptied(params, made)

    made, asked = made[: len(learnt)], made[len(learnt) :]
    pool = Pool(made)
    choice = choose(params, pool, [each.entry.num_samples for each in learnt], Pool(asked))
    if params.val_size and not len(choice.validation):
        key = params.key("val_size")
        print(f"{key}: {params.val_size} of these samples is none; nothing validates")
    pool.write(train / "train.parquet", kind, choice.training)
    pool.write(train / "validation.parquet", kind, choice.validation)
    pool.write(calibration / "calibration.parquet", kind, choice.calibration)
    if renderer.sees:
        keep_images(made, train)
        keep_images(made, calibration)

    facts = {"datasets": record(made[: len(params.train)])}
    facts |= template_record(tokenizer, params.chat_template_kwargs)
    facts |= {"packed_to": params.cutoff_len} if params.packing else {}
    if params.reward_functions:
        facts["reward_functions"] = keep(datasets, params.reward_functions, train)
    lineage.write(train, [], f"prepare@{step}", facts)
    text = to_json(_metrics(pool, made, choice), indent=2)
    metrics.write_text(text + "\n", encoding="utf-8")
    print(text)
    print("A sample, with «what is trained on»:\n" + first(tokenizer, train / "train.parquet"))
    lengths = {"training": choice.training, "validation": choice.validation}
    lengths = {name: pool.facts["tokens"][samples] for name, samples in lengths.items()}
    histogram.draw(lengths, params.cutoff_len, plot)


def _metrics(pool: Pool, made: list[Tokenized], choice: Choice) -> dict[str, Any]:
    return {
        **described(made),
        "train": describe(pool.facts[choice.training]),
        "validation": describe(pool.facts[choice.validation]),
        "calibration": describe(pool.facts[choice.calibration]),
        "duplicates": choice.duplicates,
    }


if __name__ == "__main__":
    from finery.stage.run import run

    run(prepare)
