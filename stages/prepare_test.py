"""prepare_test: the held-out questions to tokens, which no training step can change."""

from pathlib import Path

import numpy as np

from finery import lineage
from finery.data.choosing.emptied import refuse_emptied
from finery.data.choosing.images import keep_images
from finery.data.choosing.pool import Pool
from finery.data.formats.dataset import open_dataset
from finery.data.formats.kinds import refuse_untestable
from finery.data.prepared import with_images
from finery.data.rendering.chat import Renderer
from finery.data.report.statistics import datasets as described
from finery.data.tokens.making import make, record, report_bad_rows
from finery.data.tokens.tokenizing import Tokenizing
from finery.models.pictures import Pictures
from finery.models.tokenizer import load_tokenizer, template_record
from finery.params.data import SharedDataParams
from finery.to_json import to_json

CACHE = Path(".finery/prepare-cache/test")


def prepare_test(
    params: SharedDataParams,
    datasets: Path,
    base: Path,
    *,
    test: Path,
    metrics: Path,
    rejected: Path,
) -> None:
    """Render the datasets of `data.test` with the model's chat template.

    `test` gets test.parquet, `metrics` what it holds, `rejected` a JSON line for each row that
    was skipped. Raises `DataError` if there are rows that cannot be used.
    """
    pictures = Pictures.of(base)
    seeing = pictures is not None
    tested = [open_dataset(datasets, name, params.variables, seeing) for name in params.test]
    refuse_untestable(tested)
    tokenizer = load_tokenizer(base)
    renderer = Renderer.by(params, tokenizer, pictures).whole()
    made = make(params, base, [Tokenizing(each, renderer, asked=True) for each in tested], CACHE)
    report_bad_rows(made, params.on_bad_row == "fail", rejected)
    refuse_emptied(params, made)
    questions = Pool(made)
    kind = with_images("tests") if seeing else "tests"
    questions.write(test / "test.parquet", kind, np.arange(len(questions.facts)))
    if seeing:
        keep_images(made, test)
    facts = {"datasets": record(made)}
    facts |= template_record(tokenizer, params.chat_template_kwargs)
    lineage.write(test, [], "test", facts)
    text = to_json(described(made), indent=2)
    metrics.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    from finery.stage.run import run

    run(prepare_test)
