"""What would run in a project, asked of DVC and of Finery again and again, in this process."""

from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from dvc.repo import Repo
from networkx import ancestors

from finery.pipeline.status import statuses

from .project import Project

GRAPH = ("dvc.yaml", "params.yaml", "dvc.lock")
"""What DVC reads the graph from. Each time that it is asked, it looks at all other files anew."""
Plan = tuple[set[str], set[str]]
"""The stages that have changed, and these with all stages below: the most that can run."""


class Asked:
    """A project that is asked: its graph is read again only if the files that state it changed."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._as_it_was = self._graph()
        with chdir(project.folder):
            self._repo = Repo()

    def plan(self) -> Plan:
        """What `dvc repro` asks: which stages have changed; and what is below these."""
        with self._now() as repo, repo.lock:
            stale = {stage for stage in repo.index.stages if stage.changed()}
            below = {stage for first in stale for stage in ancestors(repo.index.graph, first)}
            return {stage.name for stage in stale}, {stage.name for stage in stale | below}

    def said(self) -> Plan:
        """What `finery status` says of the same two sets."""
        with self._now() as repo:
            found = {each.name: each.state for each in statuses(repo)}
        stale = {name for name, state in found.items() if state == "changed"}
        return stale, {name for name, state in found.items() if state != "unchanged"}

    def close(self) -> None:
        self._repo.close()

    @contextmanager
    def _now(self) -> Iterator[Repo]:
        with chdir(self.project.folder):
            if self._graph() == self._as_it_was:
                yield self._repo
            else:
                with Repo() as repo:
                    yield repo

    def _graph(self) -> list[bytes]:
        return [Path(self.project.folder, name).read_bytes() for name in GRAPH]
