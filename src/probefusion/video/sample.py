"""Images of a track in bytes: some, evenly spread, to look whether they are of one person; or all, to be kept."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from probefusion.types import EmbeddingSet

__all__ = ["ImageSample", "images_of", "images_to_bytes"]

_MOST = 64
"""Twice as many images as this are never kept; where they would be, every second one is let go."""


class ImageSample:
    """Every k-th image of a track, k = 1, 2, 4, ... as the track grows: 64 to 127 once there are as many."""

    def __init__(self) -> None:
        self._step = 1
        self._num_seen = 0
        self._kept: list[tuple[int, EmbeddingSet]] = []
        self._times: list[float] = []

    def offer(self, images: EmbeddingSet, times: Sequence[float]) -> None:
        """Takes the next images of the track.

        Args:
            images: The n images.
            times: When each was seen, in seconds.
        """
        for row, time in enumerate(times):
            if self._num_seen % self._step == 0:
                self._kept.append((self._num_seen, images[row : row + 1]))
                self._times.append(time)
            self._num_seen += 1
            if len(self._kept) >= 2 * _MOST:
                self._step *= 2
                self._kept, self._times = self._kept[::2], self._times[::2]

    def to_bytes(self) -> bytes:
        """The images as they go to a file; b"" if there are none."""
        if not self._kept:
            return b""
        return images_to_bytes(
            EmbeddingSet.concatenate(image for _, image in self._kept), self._times
        )

    @staticmethod
    def read(data: bytes, source: str) -> EmbeddingSet | None:
        """What `to_bytes` gave, with names as `SOURCE#t=1.234`; None if there are no images.

        Args:
            data: The bytes.
            source: Name of the video.
        """
        return images_of(data, source) if data else None


def images_to_bytes(images: EmbeddingSet, times: Sequence[float]) -> bytes:
    """Images of a video as they go to a file.

    Args:
        images: The n images.
        times: When each was seen, in seconds.
    """
    columns: dict[str, Any] = {
        "embeddings": images.embeddings,
        "style": images.style,
        "quality": images.quality,
        "times": times,
        "norms_known": images.norms_known,
        "embedder": images.embedder or "",
    }
    stream = io.BytesIO()
    np.savez(stream, **{name: value for name, value in columns.items() if value is not None})
    return stream.getvalue()


def images_of(data: bytes, source: str) -> EmbeddingSet:
    """What `images_to_bytes` gave, with names as `SOURCE#t=1.234`."""
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        columns = {name: arrays[name] for name in ("style", "quality") if name in arrays}
        return EmbeddingSet(
            embeddings=arrays["embeddings"],
            embedder=str(arrays["embedder"]) or None,
            norms_known=bool(arrays["norms_known"]),
            sources=np.array([f"{source}#t={time:.3f}" for time in arrays["times"]]),
            **columns,
        )
