"""Which templates an archive holds, found from one column."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.archive import Archive
from probefusion.errors import EmptySetError

__all__ = ["TemplateTable", "scan_templates"]


class TemplateTable:
    """Templates in the order of their first row, with the number of their images.

    Attributes:
        ids: The templates' names, integers or text.
        num_images: (T,) int64, rows of each.
        most_open: Most templates that have begun and not ended at any place of the archive.
    """

    def __init__(self) -> None:
        self.ids: list[Any] = []
        self.num_images: npt.NDArray[np.int64] = np.zeros(0, np.int64)
        self.most_open = 0
        self._place: dict[Any, int] = {}

    @property
    def num_templates(self) -> int:
        """T."""
        return len(self.ids)

    def places(self, ids: npt.NDArray[Any]) -> npt.NDArray[np.int64]:
        """The place of each row's template in the table; (n,) ids to (n,) int64.

        Raises:
            KeyError: If an id was not there when the archive was scanned.
        """
        unique, inverse = np.unique(ids, return_inverse=True)
        known = np.array([self._place[name] for name in unique.tolist()], np.int64)
        return known[inverse]

    def add_new(self, ids: npt.NDArray[Any]) -> None:
        """Takes ids that are not in the table yet, in the order of their first appearance."""
        unique, first = np.unique(ids, return_index=True)
        for name in unique[np.argsort(first)].tolist():
            if name not in self._place:
                self._place[name] = len(self.ids)
                self.ids.append(name)

    def groups(self, states_at_once: int) -> list[range]:
        """Ranges of templates to be done in one pass each."""
        total = self.num_templates
        if self.most_open <= states_at_once:
            return [range(total)]
        return [
            range(start, min(start + states_at_once, total))
            for start in range(0, total, states_at_once)
        ]


def scan_templates(archive: Archive) -> TemplateTable:
    """Reads the column of the templates.

    Memory grows with the number of templates, not with that of the rows.

    Raises:
        EmptySetError: If the archive holds no rows.
    """
    table = TemplateTable()
    counts = np.zeros(0, np.int64)
    first = np.zeros(0, np.int64)
    last = np.zeros(0, np.int64)
    row = 0
    for ids in archive.ids():
        table.add_new(ids)
        new = table.num_templates - len(counts)
        counts = np.append(counts, np.zeros(new, np.int64))
        first = np.append(first, np.full(new, np.iinfo(np.int64).max))
        last = np.append(last, np.zeros(new, np.int64))
        places = table.places(ids)
        rows = np.arange(row, row + len(ids))
        np.add.at(counts, places, 1)
        np.minimum.at(first, places, rows)
        np.maximum.at(last, places, rows)
        row += len(ids)
    if row == 0:
        raise EmptySetError(f"archive {archive.name} holds no rows: expected at least one image.")
    table.num_images = counts
    begun = np.searchsorted(np.sort(first), last, side="right")
    ended = np.searchsorted(np.sort(last), last, side="left")
    table.most_open = int((begun - ended).max())
    return table
