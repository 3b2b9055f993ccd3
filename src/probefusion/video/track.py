"""One person's appearances in a video: a fusion state that grows, and what is kept of each image.

Memory does not grow with the number of images: crops are dropped once they are fused, apart from a
few thumbnails; of every image one row (frame, time, box, score, shares in the state, its own unit vector)
goes to a temporary file. Shares are M numbers, from which the weight of every image in the final
result follows.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.fusion import Fuser, MeanFuser
from probefusion.types import EmbeddingSet, FloatArray, FusionState
from probefusion.video.row_file import Place, RowFile
from probefusion.video.thumbnails import Thumbnail, ThumbnailShelf

__all__ = ["GrowthPoint", "Segment", "Sighting", "Track", "TrackSettings", "as_set"]

_ROWS_IN_MEMORY = 512
_MEAN = MeanFuser()


@dataclass(frozen=True, kw_only=True, eq=False)
class Sighting:
    """One face in one frame, embedded.

    Args:
        frame: Index of the frame.
        time: Seconds since the start.
        box: (4,) float32: x, y, width, height in pixels.
        score: The detector's.
        crop: (S, S, 3) uint8 RGB, aligned.
        embedding: (D,) float32.
        style: (C, 2) float32, or None.
        own_template: (D,) float32 unit vector: what the fuser makes of this image alone.
    """

    frame: int
    time: float
    box: FloatArray
    score: float
    crop: npt.NDArray[np.uint8]
    embedding: FloatArray
    style: FloatArray | None
    own_template: FloatArray


@dataclass(kw_only=True)
class Segment:
    """A stretch without a long gap in which a person was seen."""

    first_frame: int
    last_frame: int
    first_time: float
    last_time: float


@dataclass(frozen=True, kw_only=True, eq=False)
class GrowthPoint:
    """A track after some of its images, to see how the result grew.

    Args:
        time: When the last of them was seen.
        state: Their state.
        mean_state: Their state by the plain mean.
    """

    time: float
    state: FusionState
    mean_state: FusionState


@dataclass(frozen=True, kw_only=True, eq=False)
class TrackSettings:
    """What all tracks of a video share.

    Args:
        fuser: The fuser.
        embedder: Fingerprint of the embedder.
        norms_known: Whether its embeddings have their own length.
        row_file: Where rows go.
        chunk_size: Images encoded at a time. Exact fusers do not depend on it.
        max_gap: Seconds unseen after which a new segment begins.
    """

    fuser: Fuser
    embedder: str
    norms_known: bool
    row_file: RowFile
    chunk_size: int
    max_gap: float


def as_set(sightings: list[Sighting], track_settings: TrackSettings) -> EmbeddingSet:
    """The embeddings of sightings as a set."""
    styles = [sighting.style for sighting in sightings if sighting.style is not None]
    return EmbeddingSet(
        embeddings=np.stack([sighting.embedding for sighting in sightings]),
        style=np.stack(styles) if styles else None,
        embedder=track_settings.embedder,
        norms_known=track_settings.norms_known,
    )


class Track:
    """One person's appearances.

    Args:
        number: Its number, from 1.
        track_settings: What all tracks share.

    Attributes:
        number: Its number.
        segments: When it was seen.
        num_images: How many images it holds.
    """

    def __init__(self, number: int, track_settings: TrackSettings) -> None:
        self.number = number
        self.segments: list[Segment] = []
        self.num_images = 0
        self._settings = track_settings
        self._waiting: list[Sighting] = []
        self._state: FusionState | None = None
        self._mean_state: FusionState | None = None
        self._vector: FloatArray | None = None
        self._next_growth_point = 1
        self._growth: list[GrowthPoint] = []
        self._shelf = ThumbnailShelf()
        self._rows: list[npt.NDArray[Any]] = []
        self._row_type: np.dtype[Any] | None = None
        self._places: list[Place] = []
        self._is_closed = False
        self._stored: list[tuple[float, Place, Place]] = []
        self._stored_thumbnails: list[Place] = []

    @property
    def last_frame(self) -> int:
        """Index of the frame in which it was last seen."""
        return self.segments[-1].last_frame

    @property
    def last_time(self) -> float:
        """When it was last seen."""
        return self.segments[-1].last_time

    @property
    def vector(self) -> FloatArray:
        """(D,) unit vector of all images so far."""
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

    def close(self) -> None:
        """Fuses what waits and moves everything but the vector to the temporary file."""
        if self._is_closed:
            return
        if self._waiting:
            self._flush()
        self._note_growth()
        self._store_rows()
        self._vector = self.vector
        store = self._settings.row_file.append
        self._stored = [
            (point.time, store(point.state.to_bytes()), store(point.mean_state.to_bytes()))
            for point in self._growth
        ]
        self._stored_thumbnails = [
            store(thumbnail.to_bytes()) for thumbnail in self._shelf.thumbnails()
        ]
        self._state = self._mean_state = None
        self._growth, self._shelf, self._is_closed = [], ThumbnailShelf(), True

    def growth(self) -> list[GrowthPoint]:
        """The track after more and more of its images, the last one after all; closes the track."""
        self.close()
        read = self._settings.row_file.read
        return [
            GrowthPoint(
                time=time,
                state=FusionState.from_bytes(read(state)),
                mean_state=FusionState.from_bytes(read(mean_state)),
            )
            for time, state, mean_state in self._stored
        ]

    def state(self) -> FusionState:
        """The state of all its images; closes the track."""
        self.close()
        return FusionState.from_bytes(self._settings.row_file.read(self._stored[-1][1]))

    def thumbnails(self) -> list[Thumbnail]:
        """The crops that were kept; closes the track."""
        self.close()
        return [
            Thumbnail.from_bytes(self._settings.row_file.read(place))
            for place in self._stored_thumbnails
        ]

    def blocks(self) -> Iterator[npt.NDArray[Any]]:
        """The rows of its images in order of time, some hundred at a time; closes the track.

        Each row has the fields frame, time, box (4), score, shares (M) and own_template (D).
        """
        self.close()
        if self._row_type is None:
            return
        for place in self._places:
            yield np.frombuffer(self._settings.row_file.read(place), self._row_type)

    def _next_size(self) -> int:
        """How many waiting images are encoded together next."""
        track_settings = self._settings
        if not track_settings.fuser.is_exact:
            return track_settings.chunk_size
        done = 0 if self._state is None else self._state.num_images
        return max(1, min(track_settings.chunk_size, self._next_growth_point - done))

    def _flush(self) -> None:
        fuser = self._settings.fuser
        sightings, self._waiting = self._waiting, []
        images = as_set(sightings, self._settings)
        state, shares = fuser.encode_with_shares(images)
        mean_state = _MEAN.encode(images)
        if self._state is not None and self._mean_state is not None:
            state, mean_state = self._state + state, self._mean_state + mean_state
        self._state, self._mean_state, self._vector = state, mean_state, None
        self._keep_rows(sightings, shares)
        for sighting, share, weight in zip(
            sightings, shares, fuser.weigh(state, shares), strict=True
        ):
            self._shelf.offer(
                sighting.crop,
                float(weight),
                frame=sighting.frame,
                time=sighting.time,
                shares=share,
                own_template=sighting.own_template,
            )
        if state.num_images >= self._next_growth_point:
            self._note_growth()

    def _note_growth(self) -> None:
        if self._state is None or self._mean_state is None:
            return
        count = self._state.num_images
        if self._growth and self._growth[-1].state.num_images == count:
            return
        self._growth.append(
            GrowthPoint(time=self.last_time, state=self._state, mean_state=self._mean_state)
        )
        self._next_growth_point = max(count + 1, count * 3 // 2)

    def _keep_rows(self, sightings: list[Sighting], shares: npt.NDArray[np.floating]) -> None:
        if self._row_type is None:
            self._row_type = np.dtype(
                [
                    ("frame", "<i8"),
                    ("time", "<f8"),
                    ("box", "<f4", 4),
                    ("score", "<f4"),
                    ("shares", "<f4", shares.shape[1]),
                    ("own_template", "<f2", len(sightings[0].own_template)),
                ]
            )
        rows = np.empty(len(sightings), self._row_type)
        for name in ("frame", "time", "box", "score", "own_template"):
            rows[name] = [getattr(sighting, name) for sighting in sightings]
        rows["shares"] = shares
        self._rows.append(rows)
        if sum(len(part) for part in self._rows) >= _ROWS_IN_MEMORY:
            self._store_rows()

    def _store_rows(self) -> None:
        if self._rows:
            self._places.append(
                self._settings.row_file.append(b"".join(part.tobytes() for part in self._rows))
            )
            self._rows = []
