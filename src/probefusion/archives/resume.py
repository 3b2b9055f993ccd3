"""What an interrupted run of `fuse_archive` leaves behind to go on from.

OUTPUT.work/job.json         archive, fuser and sizes; another job is refused
OUTPUT.work/vectors.npy      (T, D) float32, templates finished so far
OUTPUT.work/checkpoint.npz   group, row, images to come per template, states of unfinished templates, and a
                             checksum of the row of each finished one in vectors.npy, and what screening said of it

Job and checkpoint carry their hash; what releases up to 0.1 left behind has none and is read unchecked.
"""

from __future__ import annotations

import os
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.archives.screened_templates import ScreenedTemplates
from probefusion.archives.state_store import StateStore
from probefusion.errors import FileFormatError, IntegrityError, MismatchError
from probefusion.files import read_npz, replace_file, write_npz
from probefusion.files.hashed_json import hashed_json
from probefusion.files.npy import map_npy
from probefusion.files.reading import in_one_line, reading
from probefusion.files.records import read_record
from probefusion.fusion.contributions import Sums

__all__ = ["Checkpoint", "VectorFile"]

_KIND = "archive_checkpoint"
_STEP = "Delete the folder to begin anew."
_CHECKSUMS = "checksums"
_SCREENED = ("verdicts", "lighter")
_KEYS = frozenset({"group", "row", "remaining", "owners", "mass", "sums", "style_sums"})


class VectorFile:
    """An `.npy` file of which single rows are written; four bytes a row of it are held in memory.

    Args:
        path: The file; made if missing.
        num_rows: T.
        dim: D.

    Attributes:
        checksums: (T,) uint32, CRC-32 of each row that was written, 0 of the others.
    """

    def __init__(self, path: Path, num_rows: int, dim: int) -> None:
        self._path = path
        if not path.exists():
            shape = (num_rows, dim)
            np.lib.format.open_memmap(path, mode="w+", dtype=np.float32, shape=shape).flush()
        mapped = self.read()
        if mapped.shape != (num_rows, dim) or not isinstance(mapped, np.memmap):
            raise FileFormatError(f"{in_one_line(path)}: damaged. {_STEP}")
        self._first, self._stride = int(mapped.offset), dim * 4
        self._file = path.open("r+b")
        self.checksums = np.zeros(num_rows, np.uint32)

    def write(self, rows: npt.NDArray[np.int64], vectors: npt.NDArray[np.float32]) -> None:
        """Writes some rows."""
        for row, vector in zip(rows.tolist(), vectors, strict=True):
            self._file.seek(self._first + row * self._stride)
            data = vector.tobytes()
            self._file.write(data)
            self.checksums[row] = zlib.crc32(data)

    def take_up(self, checksums: npt.NDArray[np.uint32], finished: npt.NDArray[np.int64]) -> None:
        """Goes on from rows that an interrupted run wrote.

        Args:
            checksums: (T,) as they were.
            finished: Rows that must be there.

        Raises:
            IntegrityError: If one of them is not what was written.
        """
        rows = self.read()
        for row in finished.tolist():
            if zlib.crc32(rows[row].tobytes()) != checksums[row]:
                raise IntegrityError(
                    f"{in_one_line(self._path)}: row {row} is not what was written to it (another checksum). {_STEP}"
                )
        self.checksums[:] = checksums

    def flush(self) -> None:
        """Sees to it that what was written is on the disk."""
        self._file.flush()
        os.fsync(self._file.fileno())

    def close(self) -> None:
        """Flushes and closes."""
        self.flush()
        self._file.close()

    def read(self) -> npt.NDArray[Any]:
        """All rows, mapped for reading."""
        return map_npy(self._path)


class Checkpoint:
    """Where a run stands.

    Attributes:
        group: The group of templates that is being done.
        row: Rows of the archive that were added in this group.
        remaining: (T,) images of each template that are still to come.
        checksums: (T,) uint32 of the finished templates' rows; None where the run left none behind.
    """

    def __init__(self, folder: Path, remaining: npt.NDArray[np.int64]) -> None:
        self._folder = folder
        self.group = 0
        self.row = 0
        self.remaining = remaining
        self.checksums: npt.NDArray[np.uint32] | None = None

    @staticmethod
    def open(
        folder: Path,
        job: dict[str, Any],
        *,
        store: StateStore,
        num_images: npt.NDArray[np.int64],
        screened: ScreenedTemplates,
    ) -> Checkpoint:
        """Begins a job, or reads how far an interrupted run of the same job came.

        Args:
            folder: `OUTPUT.work`; made if missing.
            job: What must be the same for a run to go on.
            store: Empty; gets the states of the unfinished templates.
            num_images: (T,) images of each template.
            screened: Gets what was said of the finished templates.

        Raises:
            MismatchError: If the folder belongs to another job.
            IntegrityError: If its files do not hold what was written to them.
            FileFormatError: If they are damaged otherwise.
        """
        folder.mkdir(exist_ok=True)
        card = folder / "job.json"
        checkpoint = Checkpoint(folder, num_images.copy())
        if not card.exists():
            with replace_file(card) as stream:
                stream.write(hashed_json(job))
            return checkpoint
        found = read_record(card, dict[str, Any], step=_STEP)
        differing = [key for key in job if found.get(key) != job[key]]
        if differing:
            raise MismatchError(
                f"{in_one_line(folder)}: holds an interrupted run that differs in {', '.join(differing)}. Delete the "
                f"folder to begin anew, or choose another output."
            )
        saved = folder / "checkpoint.npz"
        if saved.exists():
            arrays = read_npz(
                saved,
                kind=_KIND,
                version=2,
                required=_KEYS,
                optional=frozenset({_CHECKSUMS, *_SCREENED}),
            )
            with reading(saved, "a checkpoint", step=_STEP):
                checkpoint.checksums = arrays.get(_CHECKSUMS)
                of_all = ("remaining", _CHECKSUMS, *_SCREENED)
                shapes = {arrays[name].shape for name in of_all if name in arrays}
                if shapes != {num_images.shape}:
                    raise ValueError("it is of another number of templates")
                checkpoint.group, checkpoint.row = int(arrays["group"]), int(arrays["row"])
                checkpoint.remaining = arrays["remaining"]
                said = [arrays.get(name, np.zeros(num_images.shape)) for name in _SCREENED]
                screened.go_on(
                    said[0].astype(np.int8), said[1].astype(np.float32), arrays["remaining"]
                )
                store.add(arrays["owners"], Sums(*(arrays[name] for name in Sums._fields)))
        return checkpoint

    def vectors(self, num_templates: int, dim: int) -> VectorFile:
        """The file of finished templates, (T, D) float32.

        Raises:
            IntegrityError: If those that an interrupted run wrote are not there as it wrote them.
        """
        vectors = VectorFile(self._folder / "vectors.npy", num_templates, dim)
        if self.checksums is not None:
            try:
                vectors.take_up(self.checksums, np.flatnonzero(self.remaining == 0))
            except BaseException:
                vectors.close()
                raise
        return vectors

    def save(
        self,
        group: int,
        row: int,
        remaining: npt.NDArray[np.int64],
        store: StateStore,
        vectors: VectorFile,
        screened: ScreenedTemplates,
    ) -> None:
        """Writes where the run stands; the finished templates must be on the disk already."""
        owners, states = store.open_states()
        arrays: dict[str, Any] = {
            "group": group,
            "row": row,
            "remaining": remaining,
            _CHECKSUMS: vectors.checksums,
            "verdicts": screened.verdicts,
            "lighter": screened.lighter,
            "owners": owners,
            **states._asdict(),
        }
        path = self._folder / "checkpoint.npz"
        write_npz(path, kind=_KIND, version=2, force=True, arrays=arrays)
