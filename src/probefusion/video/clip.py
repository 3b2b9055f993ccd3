"""What a video came to: its people, each with a state, a template and the weight of every image."""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.faces.frames import VideoFacts
from probefusion.fusion import Fuser
from probefusion.gallery import Match
from probefusion.screening import Screening, screen
from probefusion.types import EmbeddingSet, FloatArray, FusionState, Template
from probefusion.video.record import GrowthPoint
from probefusion.video.row_file import RowFile
from probefusion.video.sighting import Segment
from probefusion.video.thumbnails import Thumbnail
from probefusion.video.track import Track
from probefusion.zoo import finish_judged

__all__ = ["Clip", "Counts", "Person"]

_BLOCK = 512


@dataclass(kw_only=True)
class Counts:
    """How many frames and faces there were, and what became of them.

    Args:
        frames_read: Frames decoded.
        frames_used: Frames searched for faces.
        faces_found: Faces found in them.
        faces_too_small: Left out for their size.
        faces_beyond_limit: Left out because a frame showed more than the limit.
        faces_turned: Turned by 90, 180 or 270 degrees and put upright; not left out.
        faces_unusable: Could not be aligned, or the embedder gave nothing usable.
        faces_untracked: Unsure detections that went on with no moving face.
        tracks_too_short: Tracks left out for having too few images.
        images_in_short_tracks: Images in them.
    """

    frames_read: int = 0
    frames_used: int = 0
    faces_found: int = 0
    faces_too_small: int = 0
    faces_beyond_limit: int = 0
    faces_turned: int = 0
    faces_unusable: int = 0
    faces_untracked: int = 0
    tracks_too_short: int = 0
    images_in_short_tracks: int = 0


class Person:
    """One person of a video: a track, or several that were merged.

    Args:
        tracks: The tracks, at least one.
        fuser: The fuser that made their states.
        source: Name of the video.
        calibration: File of a calibration, beside which stands what can be expected of templates; None takes what
            was measured for the fuser.

    Attributes:
        source: Name of the video.
        calibration: As it was given.
        match: What the search for it among known people gave; None where none were given, and for people who
            were merged afterwards.
    """

    def __init__(
        self,
        tracks: Sequence[Track],
        fuser: Fuser,
        source: str = "",
        *,
        calibration: Path | None = None,
    ) -> None:
        self.tracks = tuple(sorted(tracks, key=lambda track: track.segments[0].first_frame))
        self.source, self.calibration = source, calibration
        self.match: Match | None = None
        self._fuser = fuser
        self._state: FusionState | None = None
        self._template: Template | None = None
        self._total: float | None = None
        self._frames: npt.NDArray[np.int64] | None = None

    @property
    def number(self) -> int:
        """The lowest number of its tracks."""
        return min(track.number for track in self.tracks)

    @property
    def num_images(self) -> int:
        """How many images are fused."""
        return sum(track.num_images for track in self.tracks)

    @property
    def segments(self) -> list[Segment]:
        """When it was seen, in order of time."""
        found = [segment for track in self.tracks for segment in track.segments]
        return sorted(found, key=lambda segment: segment.first_frame)

    @property
    def state(self) -> FusionState:
        """The sum of its tracks' states."""
        if self._state is None:
            self._state = _sum(track.state() for track in self.tracks)
        return self._state

    @property
    def template(self) -> Template:
        """Its template with what can be expected of it, without the weights of single images (see `blocks`)."""
        if self._template is None:
            self._template = finish_judged(self._fuser, self.state, calibration=self.calibration)
        return self._template

    @property
    def mean_state(self) -> FusionState:
        """Its state by the plain mean."""
        return _sum(track.growth()[-1].mean_state for track in self.tracks)

    def meets(self, other: Person) -> bool:
        """Whether both were seen in one frame, so that they cannot be one person."""
        overlap = any(
            one.first_frame <= two.last_frame and two.first_frame <= one.last_frame
            for one in self.segments
            for two in other.segments
        )
        return overlap and bool(np.isin(self.frames(), other.frames()).any())

    def frames(self) -> npt.NDArray[np.int64]:
        """(N,) indices of the frames it was seen in; kept once read."""
        if self._frames is None:
            blocks = [rows["frame"] for track in self.tracks for rows in track.blocks()]
            self._frames = np.concatenate(blocks)
        return self._frames

    @property
    def images(self) -> EmbeddingSet | None:
        """All its images, as `SOURCE#t=1.234`, in the order of its tracks; read from the temporary file each time.

        A gallery keeps them when the person is enrolled. None where they would not give the state again: if a track
        has more than 1,024 images, or the fuser is not exact; then there is only the state.
        """
        if not self._fuser.is_exact:
            return None
        found = [track.images(self.source) for track in self.tracks]
        kept = [images for images in found if images is not None]
        return EmbeddingSet.concatenate(kept) if len(kept) == len(found) else None

    def sample(self, source: str) -> EmbeddingSet:
        """Some of its images, up to 127 of each track and evenly spread, in the order of its tracks.

        Args:
            source: Name of the video; images are called `SOURCE#t=1.234`.
        """
        found = (track.sample(source) for track in self.tracks)
        return EmbeddingSet.concatenate(images for images in found if images is not None)

    def screen(self, source: str) -> Screening:
        """Whether a sample of its images is of one person.

        Args:
            source: As for `sample`.
        """
        return screen(self.sample(source), self._fuser)

    def blocks(self) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.float64]]]:
        """Its images in order of time, some hundred at a time, with their weights.

        Yields:
            Rows with the fields frame, time, box (4), score, shares (M) and own_template (D), and the
            weight (n,) of each image in the template. All weights of a person sum to 1.
        """
        for rows in self._ordered():
            yield rows, self.weights(rows["shares"])

    def weights(self, shares: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
        """Weights (n,) in the template of images of this person with these shares (n, M)."""
        if self._total is None:
            blocks = (rows["shares"] for track in self.tracks for rows in track.blocks())
            self._total = sum(float(self._fuser.weigh(self.state, rows).sum()) for rows in blocks)
        if self._total <= 0:  # no image weighs: all count the same, as in `Fuser.fuse`
            return np.full(len(shares), 1 / self.num_images)
        return self._fuser.weigh(self.state, shares) / self._total

    def thumbnails(self) -> list[Thumbnail]:
        """The face crops that were kept, in order of time."""
        found = [thumbnail for track in self.tracks for thumbnail in track.thumbnails()]
        return sorted(found, key=lambda thumbnail: thumbnail.frame)

    def growth(self) -> list[GrowthPoint]:
        """The person after more and more images. Merged tracks come one after the other."""
        points: list[GrowthPoint] = []
        before: GrowthPoint | None = None
        for track in self.tracks:
            own = track.growth()
            if before is not None:
                done = before
                own = [
                    GrowthPoint(
                        time=point.time,
                        state=done.state + point.state,
                        mean_state=done.mean_state + point.mean_state,
                    )
                    for point in own
                ]
            points += own
            before = own[-1]
        return points

    def _ordered(self) -> Iterator[npt.NDArray[Any]]:
        if len(self.tracks) == 1:
            yield from self.tracks[0].blocks()
            return
        merged = heapq.merge(
            *((row for rows in track.blocks() for row in rows) for track in self.tracks),
            key=lambda row: int(row["frame"]),
        )
        block: list[Any] = []
        for row in merged:
            block.append(row)
            if len(block) == _BLOCK:
                yield np.array(block, dtype=block[0].dtype)
                block = []
        if block:
            yield np.array(block, dtype=block[0].dtype)


@dataclass(kw_only=True, eq=False)
class Clip:
    """A processed video.

    Args:
        facts: What the video says of itself.
        people: The people found, most images first.
        counts: What became of frames and faces.
        problems: What went wrong while reading, and which people of a gallery could not be used, in words.
        stopped_at: Second at which reading was ended by hand, or None if the video was read to its end.
        decisions: Splits, re-entries and merges, with similarities and thresholds.
        seconds: How long it took.
        last_time: Time of the last frame that was used.
        fuser: The fuser.
        embedder: Fingerprint of the embedder.
        row_file: Where the rows of the images lie, until `close`.
    """

    facts: VideoFacts
    people: list[Person]
    counts: Counts
    problems: tuple[str, ...]
    decisions: list[dict[str, Any]]
    seconds: float
    last_time: float
    fuser: Fuser
    embedder: str
    row_file: RowFile
    stopped_at: float | None = None

    @property
    def frames_per_second(self) -> float:
        """Frames read per second of work."""
        return self.counts.frames_read / max(self.seconds, 1e-9)

    def vectors(self) -> FloatArray:
        """(P, D) float32 templates of all people."""
        return np.stack([person.template.vector for person in self.people])

    def close(self) -> None:
        """Gives the temporary file back; the people's images cannot be read afterwards."""
        self.row_file.close()

    def __enter__(self) -> Clip:
        return self

    def __exit__(self, *details: object) -> None:
        self.close()


def _sum(states: Iterator[FusionState]) -> FusionState:
    total = next(states)
    for state in states:
        total = total + state
    return total
