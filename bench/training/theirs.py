"""Runs in LLaMA-Factory's environment: its own training, watched, on samples that are tokens.

python theirs.py SETTINGS_JSON SAMPLES_JSON
"""

import json
import sys
from pathlib import Path

from datasets import Dataset, DatasetDict
from llamafactory.train.tuner import run_exp
from watch import Watch

settings, samples = json.loads(sys.argv[1]), json.loads(Path(sys.argv[2]).read_text())
for row in samples:
    row["attention_mask"] = [1] * len(row["input_ids"])
DatasetDict({"train": Dataset.from_list(samples)}).save_to_disk(settings["tokenized_path"])
run_exp(settings, callbacks=[Watch()])
