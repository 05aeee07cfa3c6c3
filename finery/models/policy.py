"""A reward model has the model that it judges with it: what reinforcement learning goes on from.

So a step after a reward step depends on one folder, in which both are.
"""

import shutil
from pathlib import Path

POLICY = "policy"


def policy_of(start: Path) -> Path:
    """The model that a step after `start` trains: beside a reward model, the one it judges."""
    judged = start / POLICY
    return judged if judged.is_dir() else start


def keep_policy(start: Path, scorer: Path) -> None:
    """Copy the model that a reward model started from into its folder."""
    shutil.copytree(start, scorer / POLICY, copy_function=shutil.copyfile)
