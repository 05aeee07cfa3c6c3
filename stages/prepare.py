"""prepare: datasets to tokens, loss masks and splits."""

import json
from pathlib import Path
from typing import Any

from finery import lineage
from finery.data.chat import Sample, render_prompt, tokenize
from finery.data.errors import DataError
from finery.data.examples import Example
from finery.data.prepared import write_parquet
from finery.data.reading import load_dataset
from finery.data.splits import calibration_set, fingerprint, validation_split
from finery.params.data import DataParams
from finery.tokenizers import load_tokenizer, template_hash


def prepare(
    params: DataParams,
    datasets: Path,
    base: Path,
    *,
    train: Path,
    calibration: Path,
    test: Path,
    metrics: Path,
) -> None:
    """Render every dataset with the model's chat template and split it.

    `train` gets train.parquet and validation.parquet, `calibration` samples of the training
    split, `test` the held-out questions. Raises `DataError` at the first row that is wrong.
    """
    loaded = {
        name: load_dataset(datasets, name, params.variables)
        for name in [*params.train, *params.test]
    }
    trained = [example for name in params.train for example in loaded[name]]
    tested = [example for name in params.test for example in loaded[name]]

    trusted = lineage.read(base).get("download", {}).get("trust_remote_code", False)
    tokenizer = load_tokenizer(base, trusted)
    samples = [tokenize(tokenizer, example, params.cutoff_len) for example in trained]
    answered = [i for i, sample in enumerate(samples) if sample.trained_tokens]
    if not answered:
        raise DataError(f"data.cutoff_len: {params.cutoff_len} tokens leave no answer to train on")
    trained, samples = [trained[i] for i in answered], [samples[i] for i in answered]

    training, validation = validation_split(trained, params.val_size, params.seed)
    calibrating = calibration_set(trained, training, params.calibration_samples, params.seed)
    splits = {
        train / "train.parquet": training,
        train / "validation.parquet": validation,
        calibration / "calibration.parquet": calibrating,
    }
    for file, indices in splits.items():
        rows = [_row(trained[index], samples[index]) for index in indices]
        write_parquet(file, "samples", rows)
    tests = [_test_row(tokenizer, example) for example in tested]
    write_parquet(test / "test.parquet", "tests", tests)

    for folder, names in ((train, params.train), (test, params.test)):
        key = "prepare" if folder is train else "test"
        lineage.write(folder, [], key, _record(tokenizer, names, loaded))
    text = json.dumps(
        {
            "samples": {name: len(loaded[name]) for name in loaded},
            "train": _statistics([samples[i] for i in training]),
            "validation": _statistics([samples[i] for i in validation]),
            "calibration": _statistics([samples[i] for i in calibrating]),
            "cut": sum(sample.cut for sample in samples),
            "dropped": sum(len(loaded[name]) for name in params.train) - len(samples),
        },
        indent=2,
    )
    metrics.write_text(text + "\n")
    print(text)


def _row(example: Example, sample: Sample) -> dict[str, Any]:
    return {
        "dataset": example.dataset,
        "input_ids": sample.input_ids,
        "labels": sample.labels,
    }


def _test_row(tokenizer: Any, example: Example) -> dict[str, Any]:
    """Test samples are never cut: a question without its end is another question."""
    *context, answer = example.messages
    sample = tokenize(tokenizer, example, cutoff_len=10**9)
    prompt = render_prompt(tokenizer, context)
    return _row(example, sample) | {
        "question": context[-1]["content"],
        "prompt_ids": tokenizer(prompt, add_special_tokens=False)["input_ids"],
        "reference": answer["content"],
        "keywords": list(example.keywords),
    }


def _record(tokenizer: Any, names: list[str], loaded: dict[str, list[Example]]) -> dict[str, Any]:
    return {
        "datasets": {
            name: {"rows": len(loaded[name]), "sha256": fingerprint(loaded[name])} for name in names
        },
        "chat_template_sha256": template_hash(tokenizer),
    }


def _statistics(samples: list[Sample]) -> dict[str, int]:
    return {
        "samples": len(samples),
        "tokens": sum(len(sample.input_ids) for sample in samples),
        "trained_tokens": sum(sample.trained_tokens for sample in samples),
        "longest": max((len(sample.input_ids) for sample in samples), default=0),
    }


if __name__ == "__main__":
    from finery.stage import run

    run(prepare)
