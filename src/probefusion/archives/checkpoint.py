"""What an interrupted run of `fuse_archive` leaves behind to go on from.

OUTPUT.work/job.json         archive, fuser and sizes; another job is refused
OUTPUT.work/vectors.npy      (T, D) float32, templates finished so far
OUTPUT.work/checkpoint.npz   group, row, images to come per template, states of unfinished templates
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, MismatchError
from probefusion.files import read_npz, replace_file, write_npz
from probefusion.fusion.fuser import Sums

__all__ = ["Checkpoint"]

_KIND = "archive_checkpoint"
_KEYS = frozenset({"group", "row", "remaining", "owners", "mass", "sums", "style_sums"})


class Checkpoint:
    """Where a run stands.

    Attributes:
        group: The group of templates that is being done.
        row: Rows of the archive that were added in this group.
        states: Sums of the templates that have begun and not ended, by their place in the table.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.group = 0
        self.row = 0
        self.states: dict[int, Sums] = {}
        self._remaining: npt.NDArray[np.int64] | None = None

    @staticmethod
    def open(folder: Path, job: dict[str, Any], *, num_templates: int) -> Checkpoint:
        """Begins a job, or reads how far an interrupted run of the same job came.

        Raises:
            MismatchError: If the folder belongs to another job.
            FileFormatError: If its files are damaged.
        """
        folder.mkdir(exist_ok=True)
        card = folder / "job.json"
        checkpoint = Checkpoint(folder)
        if not card.exists():
            with replace_file(card) as stream:
                stream.write(json.dumps(job).encode())
            return checkpoint
        try:
            found = json.loads(card.read_text(encoding="utf-8"))
        except ValueError as error:
            raise FileFormatError(f"{card}: expected JSON ({error}). Delete the folder.") from error
        differing = [key for key in job if found.get(key) != job[key]]
        if differing:
            raise MismatchError(
                f"{folder}: holds an interrupted run that differs in {', '.join(differing)}. Delete the "
                f"folder to begin anew, or choose another output."
            )
        saved = folder / "checkpoint.npz"
        if saved.exists():
            arrays = read_npz(
                saved, kind=_KIND, version=1, required=_KEYS, optional=frozenset[str]()
            )
            checkpoint.group, checkpoint.row = int(arrays["group"]), int(arrays["row"])
            checkpoint._remaining = arrays["remaining"]
            if len(arrays["remaining"]) != num_templates:
                raise FileFormatError(f"{saved}: damaged. Delete the folder to begin anew.")
            for position, owner in enumerate(arrays["owners"].tolist()):
                part = slice(position, position + 1)
                checkpoint.states[owner] = Sums(
                    *(arrays[name][part].copy() for name in Sums._fields)
                )
        return checkpoint

    def remaining(self, num_images: npt.NDArray[np.int64]) -> npt.NDArray[np.int64]:
        """(T,) images of each template that are still to come."""
        return num_images.copy() if self._remaining is None else self._remaining.copy()

    @contextmanager
    def vectors(self, num_templates: int, dim: int) -> Iterator[np.memmap[Any, Any]]:
        """The file of finished templates, (T, D) float32, mapped for writing."""
        path = self._folder / "vectors.npy"
        mode = "r+" if path.exists() else "w+"
        mapped = np.lib.format.open_memmap(
            path, mode=mode, dtype=np.float32, shape=(num_templates, dim)
        )
        yield mapped

    def save(
        self,
        group: int,
        row: int,
        remaining: npt.NDArray[np.int64],
        states: dict[int, Sums],
    ) -> None:
        """Writes where the run stands; the finished templates must be on the disk already."""
        owners = sorted(states)
        arrays: dict[str, Any] = {"mass": (0, 0), "sums": (0, 0, 0), "style_sums": (0, 0, 0)}
        for position, (name, shape) in enumerate(list(arrays.items())):
            parts = [states[owner][position] for owner in owners]
            arrays[name] = np.concatenate(parts) if parts else np.zeros(shape)
        write_npz(
            self._folder / "checkpoint.npz",
            kind=_KIND,
            version=1,
            force=True,
            arrays={
                "group": group,
                "row": row,
                "remaining": remaining,
                "owners": np.array(owners, np.int64),
                **arrays,
            },
        )
