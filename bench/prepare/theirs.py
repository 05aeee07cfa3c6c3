"""Runs in LLaMA-Factory's environment: its own functions, timed; prints one line of JSON.

    python theirs.py SETTINGS_JSON [DUMP]

DUMP, a file, gets the tokens and labels of every sample, a JSON line each.
"""

import json
import sys
import time

import datasets

spent = {"seconds": 0.0, "cpu": 0.0}
plain_map = datasets.Dataset.map


def timed_map(*args, **kwargs):
    """Its two passes over the rows are maps: converting the format, and tokenizing."""
    wall, cpu = time.monotonic(), time.process_time()
    try:
        return plain_map(*args, **kwargs)
    finally:
        spent["seconds"] += time.monotonic() - wall
        spent["cpu"] += time.process_time() - cpu


datasets.Dataset.map = timed_map

from llamafactory.data import get_dataset, get_template_and_fix_tokenizer  # noqa: E402
from llamafactory.hparams import get_train_args  # noqa: E402
from llamafactory.model import load_tokenizer  # noqa: E402

model, data, training, _, _ = get_train_args(json.loads(sys.argv[1]))
loaded = load_tokenizer(model)
template = get_template_and_fix_tokenizer(loaded["tokenizer"], data)
samples = get_dataset(template, model, data, training, stage="sft", **loaded)["train_dataset"]
if len(sys.argv) > 2:
    with open(sys.argv[2], "w") as dump:
        for sample in samples:
            dump.write(json.dumps([sample["input_ids"], sample["labels"]]) + "\n")
print(json.dumps({"samples": len(samples), **spent}))
