"""One person's appearances in a video: a fusion state that grows as images come.

Memory does not grow with the number of images: crops are dropped once they are fused, and what the
results need of each image goes to a record (`probefusion.video.record`). Without a record, when a
stream is only watched, the state is all that remains.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError
from probefusion.fusion import Fuser
from probefusion.types import EmbeddingSet, FloatArray, FusionState
from probefusion.video.record import GrowthPoint, TrackRecord
from probefusion.video.row_file import RowFile
from probefusion.video.sighting import Segment, Sighting
from probefusion.video.thumbnails import Thumbnail

__all__ = ["Track", "TrackSettings", "as_set"]


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackSettings:
    """What all tracks of a video share.

    Args:
        fuser: The fuser.
        embedder: Fingerprint of the embedder.
        norms_known: Whether its embeddings have their own length.
        row_file: Where the record of each track goes; None keeps none.
        chunk_size: Images encoded at a time. Exact fusers do not depend on it.
        max_gap: Seconds unseen after which a new segment begins.
    """

    fuser: Fuser
    embedder: str
    norms_known: bool
    row_file: RowFile | None
    chunk_size: int
    max_gap: float


def as_set(sightings: list[Sighting], settings: TrackSettings) -> EmbeddingSet:
    """The embeddings of sightings as a set."""
    styles = [sighting.style for sighting in sightings if sighting.style is not None]
    qualities = [sighting.quality for sighting in sightings if sighting.quality is not None]
    return EmbeddingSet(
        embeddings=np.stack([sighting.embedding for sighting in sightings]),
        style=np.stack(styles) if styles else None,
        quality=np.array(qualities, np.float32) if qualities else None,
        embedder=settings.embedder,
        norms_known=settings.norms_known,
    )


class Track:
    """One person's appearances.

    Args:
        number: Its number, from 1.
        settings: What all tracks share.

    Attributes:
        number: Its number.
        segments: When it was seen; without a record the first and the last stretch only.
        num_images: How many images it holds.
    """

    def __init__(self, number: int, settings: TrackSettings) -> None:
        self.number = number
        self.segments: list[Segment] = []
        self.num_images = 0
        self._settings = settings
        self._waiting: list[Sighting] = []
        self._state: FusionState | None = None
        self._vector: FloatArray | None = None
        self._next_growth_point = 1
        self._record = None if settings.row_file is None else TrackRecord(settings.row_file)
        self._is_closed = False

    @property
    def last_frame(self) -> int:
        """Index of the frame in which it was last seen."""
        return self.segments[-1].last_frame

    @property
    def last_time(self) -> float:
        """When it was last seen."""
        return self.segments[-1].last_time

    @property
    def num_encoded(self) -> int:
        """How many of its images are in the state already; the others wait for their block."""
        return self.num_images - len(self._waiting)

    @property
    def vector(self) -> FloatArray:
        """(D,) unit vector: of the encoded images, or of the waiting ones where none is encoded."""
        if self._vector is None:
            fuser = self._settings.fuser
            if self._state is None:
                self._vector = fuser.fuse(as_set(self._waiting, self._settings)).vector
            else:
                self._vector = fuser.finish(self._state).vector
        return self._vector

    def add(self, sighting: Sighting) -> None:
        """Takes one more image of this person, later than all before."""
        self.num_images += 1
        last = self.segments[-1] if self.segments else None
        if last is None or sighting.time - last.last_time > self._settings.max_gap:
            if self._record is None:
                del self.segments[1:]
            self.segments.append(
                Segment(
                    first_frame=sighting.frame,
                    last_frame=sighting.frame,
                    first_time=sighting.time,
                    last_time=sighting.time,
                )
            )
        else:
            last.last_frame, last.last_time = sighting.frame, sighting.time
        self._waiting.append(sighting)
        if self._state is None:
            self._vector = None
        if len(self._waiting) >= self._next_size():
            self._flush()

    def state_so_far(self) -> FusionState:
        """The state of all images until now. The track goes on as if it had not been asked.

        The images that wait for their block are encoded together. When no image follows, this is the
        state that `state` gives, number for number.
        """
        if self._is_closed:
            return self.state()
        if not self._waiting and self._state is not None:
            return self._state
        waiting = self._settings.fuser.encode(as_set(self._waiting, self._settings))
        return waiting if self._state is None else self._state + waiting

    def close(self) -> None:
        """Fuses what waits and moves everything but the vector to the record."""
        if self._is_closed:
            return
        record = self._kept()
        if self._waiting:
            self._flush()
        if self._state is not None:
            record.note_growth(self.last_time, self._state)
        self._vector = self.vector
        record.close()
        self._state, self._is_closed = None, True

    def growth(self) -> list[GrowthPoint]:
        """The track after more and more of its images, the last one after all; closes the track."""
        self.close()
        return self._kept().growth()

    def state(self) -> FusionState:
        """The state of all its images; closes the track."""
        self.close()
        return self._kept().state()

    def thumbnails(self) -> list[Thumbnail]:
        """The crops that were kept; closes the track."""
        self.close()
        return self._kept().thumbnails()

    def sample(self, source: str) -> EmbeddingSet | None:
        """Some of its images, evenly spread, as `SOURCE#t=1.234`; closes the track. None if it has none."""
        self.close()
        return self._kept().sample(source)

    def images(self, source: str) -> EmbeddingSet | None:
        """All its images, as `SOURCE#t=1.234`; closes the track. None of a track of more than 1,024 images."""
        self.close()
        return self._kept().images(source)

    def blocks(self) -> Iterator[npt.NDArray[Any]]:
        """The rows of its images in order of time, some hundred at a time; closes the track.

        Each row has the fields frame, time, box (4), score, shares (M) and own_template (D).
        """
        self.close()
        yield from self._kept().blocks()

    def _kept(self) -> TrackRecord:
        if self._record is None:
            raise InvalidInputError(
                f"track {self.number}: kept no record of its images. Process the video instead of "
                f"watching it, or take state_so_far()."
            )
        return self._record

    def _next_size(self) -> int:
        """How many waiting images are encoded together next."""
        settings = self._settings
        if not settings.fuser.is_exact:
            return settings.chunk_size
        done = 0 if self._state is None else self._state.num_images
        return max(1, min(settings.chunk_size, self._next_growth_point - done))

    def _flush(self) -> None:
        fuser = self._settings.fuser
        sightings, self._waiting = self._waiting, []
        images = as_set(sightings, self._settings)
        state, shares = fuser.encode_with_shares(images)
        if self._state is not None:
            state = self._state + state
        self._state, self._vector = state, None
        if self._record is not None:
            self._record.add(sightings, images, shares, fuser.weigh(state, shares))
        count = state.num_images
        if count >= self._next_growth_point:
            if self._record is not None:
                self._record.note_growth(self.last_time, state)
            self._next_growth_point = max(count + 1, count * 3 // 2)
