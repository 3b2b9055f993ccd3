"""A temporary file for what grows with the length of a video, so that memory does not."""

from __future__ import annotations

import tempfile
from typing import TypeAlias

from probefusion.errors import InvalidInputError

__all__ = ["Place", "RowFile"]

Place: TypeAlias = tuple[int, int]
"""Where a piece lies: offset and length in bytes."""


class RowFile:
    """Pieces of bytes in an unnamed temporary file that disappears with the process.

    Use as a context manager, or call `close`.
    """

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile(prefix="probefusion-")  # noqa: SIM115 closed by close
        self._end = 0

    def append(self, data: bytes) -> Place:
        """Stores a piece and says where it lies."""
        self._file.seek(self._end)
        self._file.write(data)
        place = (self._end, len(data))
        self._end += len(data)
        return place

    def read(self, place: Place) -> bytes:
        """The piece at a place that `append` gave.

        Raises:
            InvalidInputError: If the file was closed.
        """
        if self._file.closed:
            raise InvalidInputError(
                "clip: it was closed, and the images of its people are gone. Use them before it is closed."
            )
        self._file.seek(place[0])
        return self._file.read(place[1])

    def close(self) -> None:
        """Gives the space back."""
        self._file.close()

    def __enter__(self) -> RowFile:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()
