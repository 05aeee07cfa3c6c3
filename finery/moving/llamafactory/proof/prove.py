"""`finery import llamafactory --prove N`: N rows of each dataset, as tokens, by both."""

import json
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from finery.moving.llamafactory.bring import Brought
from finery.moving.llamafactory.files.given import MovingError, typed
from finery.moving.llamafactory.keys.draft import Draft
from finery.moving.llamafactory.proof.compared import Text, Tokens, differences
from finery.moving.llamafactory.proof.environment import python

PROGRAM = Path(__file__).parent / "theirs.py"
OF_TOKENS = """
stage template cutoff_len train_on_prompt mask_history default_system tool_format enable_thinking
preserve_thinking split_special_tokens use_fast_tokenizer trust_remote_code finetuning_type
pref_loss
"""
"""What decides which tokens LLaMA-Factory makes of a row."""
ONE_BY_ONE = {
    "do_train": True, "packing": False, "overwrite_cache": True, "use_cpu": True,
    "report_to": "none",
}  # fmt: skip
"""Samples are compared one by one, so they are not packed."""
Ours = Callable[[str, str, int], tuple[list[tuple[int, list[Tokens]]], list[str]]]
"""Of a step and a dataset so many rows as tokens, and what cannot be used, a line each."""


def prove(
    brought: Brought, base: Path, folder: Path, rows: int, ours: Ours, text: Text,
    say: Callable[[str], None],
) -> Iterator[str]:  # fmt: skip
    """What is equal and what is not, a line each, of each dataset of each training.

    `base` is the model that both take the tokenizer of, `folder` that of the datasets.
    """
    if not (base / "tokenizer_config.json").is_file():
        raise MovingError(f"{base}: no base model here yet; `dvc repro download`, then prove again")
    interpreter = python(say)
    for step, draft in brought.steps.items():
        for name in draft.values.get("data.train", []):
            mine, refused = ours(step, name, rows)
            theirs = _theirs(interpreter, draft, base, folder, name, rows)
            yield f"train.{step}, {name}: {len(mine)} rows here, {len(theirs)} in LLaMA-Factory"
            yield from (f"  {line}" for line in refused)
            for each in differences(mine, theirs, text):
                first = ", ".join(map(str, each.rows[:3])) + (", ..." if each.rows[3:] else "")
                yield f"  {len(each.rows)} ({first}): {each.said}"


def _theirs(
    interpreter: Path, draft: Draft, base: Path, folder: Path, name: str, rows: int
) -> list[list[Tokens]]:
    given = {key: typed(draft.source.given[key]) for key in OF_TOKENS.split() if draft.has(key)}
    with tempfile.TemporaryDirectory() as scratch:
        settings: dict[str, Any] = given | ONE_BY_ONE | {
            "model_name_or_path": str(base.resolve()), "dataset": name, "max_samples": rows,
            "dataset_dir": str(folder.resolve()), "output_dir": f"{scratch}/out",
        }  # fmt: skip
        dump = Path(scratch) / "dump"
        command = [str(interpreter), str(PROGRAM), json.dumps(settings), str(dump)]
        environment = os.environ | {"HF_HOME": f"{scratch}/hf", "HF_HUB_OFFLINE": "1"}
        environment.pop("PYTHONPATH", None)
        done = subprocess.run(command, env=environment, cwd=scratch, capture_output=True, text=True)
        if done.returncode:
            lines = done.stderr.strip().splitlines() or ["ended without a word"]
            raise MovingError(f"{draft.source.name}: LLaMA-Factory cannot read {name}: {lines[-1]}")
        lines = dump.read_text("utf-8").splitlines()
        return [[(ids, labels) for ids, labels in json.loads(line)] for line in lines]
