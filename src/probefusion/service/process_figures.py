"""Figures of all processes of a service: whichever answers tells of all of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

__all__ = ["FIGURES", "ProcessFigures", "folder_of_figures"]

FIGURES = "PROMETHEUS_MULTIPROC_DIR"
"""Where the client of Prometheus looks for the folder of counters that processes share."""

_MARK = "process_"


def folder_of_figures() -> Path | None:
    """The folder of the counters of all processes; None where there is one process."""
    given = os.environ.get(FIGURES)
    return None if given is None else Path(given)


class ProcessFigures:
    """Processor time, memory and files of each process, by its number; a collector of `prometheus_client`.

    Args:
        client: The module `prometheus_client`.
        folder: Of the counters; the processes note their numbers there.
    """

    def __init__(self, client: Any, folder: Path) -> None:
        self._client, self._folder = client, folder
        (folder / f"{_MARK}{os.getpid()}").touch()

    def describe(self) -> list[Any]:
        """Nothing: what there is shows when it is read."""
        return []

    def collect(self) -> Iterator[Any]:
        """The figures of those that live."""
        families: dict[str, Any] = {}
        for mark in sorted(self._folder.glob(f"{_MARK}*")):
            number = mark.name.removeprefix(_MARK)
            if not Path(f"/proc/{number}").exists():
                mark.unlink(missing_ok=True)
                continue
            one = self._client.ProcessCollector(pid=lambda number=number: number, registry=None)
            for family in one.collect():
                kept = families.setdefault(family.name, family)
                samples = [
                    sample._replace(labels={**sample.labels, "pid": number})
                    for sample in family.samples
                ]
                kept.samples = samples if kept is family else kept.samples + samples
        yield from families.values()
