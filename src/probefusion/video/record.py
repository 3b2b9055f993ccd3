"""What is kept of each image of a track for the results: rows, a few thumbnails, and how it grew.

Rows and what remains of a track that ended go to a temporary file, so memory does not grow with the
number of images.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.fusion import MeanFuser
from probefusion.types import EmbeddingSet, FusionState
from probefusion.video.row_file import Place, RowFile
from probefusion.video.sample import ImageSample, images_of, images_to_bytes
from probefusion.video.sighting import Sighting
from probefusion.video.thumbnails import Thumbnail, ThumbnailShelf

__all__ = ["MOST_IMAGES", "GrowthPoint", "TrackRecord"]

MOST_IMAGES = 1024
"""Embeddings of a track are kept for no more images than this; of a longer track none are, only its state."""

_ROWS_IN_MEMORY = 512
_MEAN = MeanFuser()


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


class TrackRecord:
    """The images of one track, told block by block as they are fused.

    Args:
        row_file: Where rows go.
    """

    def __init__(self, row_file: RowFile) -> None:
        self._file = row_file
        self._mean_state: FusionState | None = None
        self._growth: list[GrowthPoint] = []
        self._shelf = ThumbnailShelf()
        self._rows: list[npt.NDArray[Any]] = []
        self._row_type: np.dtype[Any] | None = None
        self._row_places: list[Place] = []
        self._growth_places: list[tuple[float, Place, Place]] = []
        self._thumbnail_places: list[Place] = []
        self._sample = ImageSample()
        self._sample_place: Place = (0, 0)
        self._image_places: list[Place] = []
        self._num_images = 0

    def add(
        self,
        sightings: Sequence[Sighting],
        images: EmbeddingSet,
        shares: npt.NDArray[np.floating],
        weights: npt.NDArray[np.float64],
    ) -> None:
        """Takes a block of images that were fused.

        Args:
            sightings: The n images.
            images: The same as a set.
            shares: (n, M) their shares in the state.
            weights: (n,) how much they count in the result at this time, not normalised.
        """
        mean_state = _MEAN.encode(images)
        self._mean_state = mean_state if self._mean_state is None else self._mean_state + mean_state
        self._keep_rows(sightings, shares)
        times = [sighting.time for sighting in sightings]
        self._sample.offer(images, times)
        self._num_images += len(images)
        if self._num_images <= MOST_IMAGES:
            self._image_places.append(self._file.append(images_to_bytes(images, times)))
        for sighting, share, weight in zip(sightings, shares, weights, strict=True):
            self._shelf.offer(
                sighting.crop,
                float(weight),
                frame=sighting.frame,
                time=sighting.time,
                shares=share,
                own_template=sighting.own_template,
            )

    def note_growth(self, time: float, state: FusionState) -> None:
        """Notes the state after the images so far; once for each number of images."""
        if self._mean_state is None:
            return
        if self._growth and self._growth[-1].state.num_images == state.num_images:
            return
        self._growth.append(GrowthPoint(time=time, state=state, mean_state=self._mean_state))

    def close(self) -> None:
        """Moves everything to the temporary file."""
        self._store_rows()
        store = self._file.append
        self._growth_places = [
            (point.time, store(point.state.to_bytes()), store(point.mean_state.to_bytes()))
            for point in self._growth
        ]
        self._thumbnail_places = [store(item.to_bytes()) for item in self._shelf.thumbnails()]
        self._sample_place = store(self._sample.to_bytes())
        self._growth, self._shelf, self._mean_state = [], ThumbnailShelf(), None
        self._sample = ImageSample()

    def growth(self) -> list[GrowthPoint]:
        """The track after more and more of its images; to be asked when closed."""
        return [
            GrowthPoint(time=time, state=self._state_at(state), mean_state=self._state_at(mean))
            for time, state, mean in self._growth_places
        ]

    def state(self) -> FusionState:
        """The state of all images; to be asked when closed."""
        return self._state_at(self._growth_places[-1][1])

    def thumbnails(self) -> list[Thumbnail]:
        """The crops that were kept; to be asked when closed."""
        return [Thumbnail.from_bytes(self._file.read(place)) for place in self._thumbnail_places]

    def sample(self, source: str) -> EmbeddingSet | None:
        """Some of the images, named as of this video; to be asked when closed. None if there are none."""
        return ImageSample.read(self._file.read(self._sample_place), source)

    def images(self, source: str) -> EmbeddingSet | None:
        """All images in order of time, named as of this video; None if there are none, or above `MOST_IMAGES`."""
        if not 0 < self._num_images <= MOST_IMAGES:
            return None
        return EmbeddingSet.concatenate(
            images_of(self._file.read(place), source) for place in self._image_places
        )

    def blocks(self) -> Iterator[npt.NDArray[Any]]:
        """The rows of the images in order of time; to be asked when closed."""
        if self._row_type is None:
            return
        for place in self._row_places:
            yield np.frombuffer(self._file.read(place), self._row_type)

    def _state_at(self, place: Place) -> FusionState:
        return FusionState.from_bytes(self._file.read(place))

    def _keep_rows(self, sightings: Sequence[Sighting], shares: npt.NDArray[np.floating]) -> None:
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
            data = b"".join(part.tobytes() for part in self._rows)
            self._row_places.append(self._file.append(data))
            self._rows = []
