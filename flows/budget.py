"""Which stages may run side by side: each takes accelerators, and the machine has so many."""

import os

from finery.params.resources import ResourcesParams


class Budget:
    """The accelerators of this machine, by index; stages take some and give them back."""

    def __init__(self, resources: ResourcesParams) -> None:
        self._resources = resources
        self._free = list(range(resources.accelerators))
        self._taken: dict[str, list[int]] = {}

    def fits(self, stage: str) -> bool:
        return self._resources.gpus(stage) <= len(self._free)

    def take(self, stage: str) -> dict[str, str]:
        """Give a stage its accelerators; what its environment must say of them.

        With one accelerator, or for a stage that takes none, nothing: it sees what this process
        sees. Indices count among CUDA_VISIBLE_DEVICES, where that is set.
        """
        wanted = self._resources.gpus(stage)
        self._taken[stage], self._free = self._free[:wanted], self._free[wanted:]
        if self._resources.accelerators == 1 or not wanted:
            return {}
        visible = os.environ.get("CUDA_VISIBLE_DEVICES")
        devices = (
            visible.split(",") if visible else [str(i) for i in range(max(self._taken[stage]) + 1)]
        )
        return {"CUDA_VISIBLE_DEVICES": ",".join(devices[i] for i in self._taken[stage])}

    def give_back(self, stage: str) -> None:
        """Take back what a stage holds, if anything."""
        self._free = sorted(self._free + self._taken.pop(stage, []))
