"""What a kill leaves behind, healed before the next run."""

from pathlib import Path


def recover(root: Path = Path()) -> list[str]:
    """Heal what a kill left behind; a line for each thing healed."""
    return []
