"""Which few face crops of a track to keep for the eye: the heaviest, and some of the lightest."""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.faces.jpeg import encode_jpeg
from probefusion.types import FloatArray

__all__ = ["Thumbnail", "ThumbnailShelf"]

_SECONDS_APART = 0.5
"""At most one thumbnail of each kind per half second: neighbouring frames look alike."""
_HEAD = struct.Struct("<qdII")


@dataclass(frozen=True, kw_only=True, eq=False)
class Thumbnail:
    """One aligned face crop.

    Args:
        frame: Index of its frame.
        time: Seconds since the start.
        shares: (M,) its shares in the state.
        own_template: (D,) the unit vector that the fuser makes of this image alone.
        jpeg: The crop as JPEG bytes.
    """

    frame: int
    time: float
    shares: npt.NDArray[np.float32]
    own_template: FloatArray
    jpeg: bytes

    def to_bytes(self) -> bytes:
        """The thumbnail for a temporary file."""
        head = _HEAD.pack(self.frame, self.time, len(self.shares), len(self.own_template))
        return (
            head
            + self.shares.tobytes()
            + self.own_template.astype(np.float32).tobytes()
            + self.jpeg
        )

    @staticmethod
    def from_bytes(data: bytes) -> Thumbnail:
        """Reads what `to_bytes` gave."""
        frame, time, num_clusters, dim = _HEAD.unpack_from(data)
        middle = _HEAD.size + 4 * num_clusters
        return Thumbnail(
            frame=frame,
            time=time,
            shares=np.frombuffer(data, np.float32, num_clusters, _HEAD.size),
            own_template=np.frombuffer(data, np.float32, dim, middle),
            jpeg=data[middle + 4 * dim :],
        )


class ThumbnailShelf:
    """Keeps a bounded number of thumbnails while images stream by.

    What weighs most is judged when an image arrives, by the state of that time; the final weights
    order what was kept.

    Args:
        num_heavy: How many of the heaviest to keep.
        num_light: How many of the lightest to keep.
    """

    def __init__(self, *, num_heavy: int = 24, num_light: int = 6) -> None:
        self._sizes = {1: num_heavy, -1: num_light}
        self._kept: dict[int, dict[int, tuple[float, Thumbnail]]] = {1: {}, -1: {}}

    def offer(
        self,
        crop: npt.NDArray[np.uint8],
        weight: float,
        *,
        frame: int,
        time: float,
        shares: npt.NDArray[np.floating],
        own_template: FloatArray,
    ) -> None:
        """Looks at one image; keeps it if it is among the heaviest or lightest so far."""
        slot = int(time / _SECONDS_APART)
        thumbnail: Thumbnail | None = None
        for sign, size in self._sizes.items():
            kept = self._kept[sign]
            rank = sign * weight
            if slot in kept:
                rival = slot
            elif len(kept) < size:
                rival = None
            else:
                rival = min(kept, key=lambda key: kept[key][0])
            if rival is not None and kept[rival][0] >= rank:
                continue
            if rival is not None:
                del kept[rival]
            if thumbnail is None:
                thumbnail = Thumbnail(
                    frame=frame,
                    time=time,
                    shares=np.array(shares, np.float32),
                    own_template=own_template,
                    jpeg=encode_jpeg(crop),
                )
            kept[slot] = (rank, thumbnail)

    def thumbnails(self) -> list[Thumbnail]:
        """What was kept, each image once, in order of time."""
        found = {
            thumbnail.frame: thumbnail
            for kept in self._kept.values()
            for _, thumbnail in kept.values()
        }
        return [found[frame] for frame in sorted(found)]
