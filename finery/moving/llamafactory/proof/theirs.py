"""Runs in LLaMA-Factory's environment, by its own functions: `python theirs.py SETTINGS DUMP`.

SETTINGS is JSON of its arguments; DUMP gets a line of JSON for each sample: pairs of tokens and
labels, two of them where it learns from two answers.
"""

import json
import sys

PARTS = (("input_ids", "labels"), ("chosen_input_ids", "chosen_labels"),
         ("rejected_input_ids", "rejected_labels"))  # fmt: skip


def dump(settings: dict, path: str) -> None:
    from llamafactory.data import get_dataset, get_template_and_fix_tokenizer
    from llamafactory.hparams import get_train_args
    from llamafactory.model import load_tokenizer

    model, data, training, tuning, _ = get_train_args(settings)
    loaded = load_tokenizer(model)
    template = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
    stage = "rm" if tuning.stage == "dpo" else tuning.stage  # they learn from the same pairs
    found = get_dataset(template, model, data, training, stage=stage, **loaded)
    with open(path, "w", encoding="utf-8") as file:
        for sample in found["train_dataset"]:
            pairs = [[sample[i], sample.get(k, sample[i])] for i, k in PARTS if i in sample]
            file.write(json.dumps(pairs) + "\n")


if __name__ == "__main__":
    dump(json.loads(sys.argv[1]), sys.argv[2])
