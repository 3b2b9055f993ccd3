"""Who is who: motion says which faces go together, embeddings decide whether it is one person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from probefusion.fusion import Fuser
from probefusion.types import FloatArray
from probefusion.video.track import Sighting, Track, Workshop, as_set

__all__ = ["Identity", "TrackKeeper"]

_MOST_RECENT = 64
"""Tracks that a face which comes in is compared with, the last seen ones."""


@dataclass(frozen=True, kw_only=True)
class Identity:
    """When faces are taken for one person.

    Args:
        split_below: A moving face is taken for another person when several images in a row, fused, are
            less similar than this to the track so far.
        reenter_from: Least similarity to go on with a track that was out of sight.
        num_images: Images that are looked at together before either is decided.
    """

    split_below: float
    reenter_from: float
    num_images: int = 3

    @staticmethod
    def of(
        fuser: Fuser, *, split_below: float | None = None, reenter_from: float | None = None
    ) -> Identity:
        """The given similarities, and what fits the fuser where None is given.

        That is where its calibration puts false match rates of 1e-2 (split) and 1e-4 (re-entry), or
        .2 and .5 for a fuser without calibration.
        """
        found = []
        for given, rate, fallback in ((split_below, 1e-2, 0.2), (reenter_from, 1e-4, 0.5)):
            threshold = fuser.threshold_for(rate, Identity.num_images)
            calibrated = fallback if threshold is None else float(threshold.similarity)
            found.append(calibrated if given is None else given)
        return Identity(split_below=found[0], reenter_from=found[1])


@dataclass(kw_only=True, eq=False)
class _Strand:
    """A moving face: the track it was found to be, and images not yet given to it."""

    track: Track | None = None
    pending: list[Sighting] = field(default_factory=list)
    left: Track | None = None
    last_frame: int = -1
    last_time: float = 0.0


class TrackKeeper:
    """Turns moving faces into tracks of one person each.

    A new moving face is held until it has `identity.num_images` images (or ends); fused, they are
    compared with the last seen tracks that are out of sight, and go on with the most similar one or
    begin a new track. An image that does not fit its track is held the same way: if those after it do
    not fit either, the motion has jumped to another face and the track is split there; otherwise the
    held images were poor ones of the same person and are taken in.

    Args:
        workshop: What all tracks share.
        identity: The similarities.

    Attributes:
        tracks: All tracks, in order of their numbers.
        decisions: Splits and re-entries with time, similarity and threshold.
    """

    def __init__(self, workshop: Workshop, identity: Identity) -> None:
        self.tracks: list[Track] = []
        self.decisions: list[dict[str, Any]] = []
        self._workshop = workshop
        self._identity = identity
        self._strands: dict[str, _Strand] = {}
        self._owners: dict[Track, _Strand] = {}
        self._recent: list[Track] = []

    def place(self, name: str, sighting: Sighting) -> None:
        """Takes one image of the moving face `name`; frames must come in order."""
        strand = self._strands.setdefault(name, _Strand())
        strand.last_frame, strand.last_time = sighting.frame, sighting.time
        track = strand.track
        if track is not None:
            similarity = float(sighting.alone @ track.vector)
            if similarity >= self._identity.split_below:
                self._take(track, [*strand.pending, sighting])
                strand.pending = []
                return
        strand.pending.append(sighting)
        if len(strand.pending) >= self._identity.num_images:
            self._decide(strand)

    def expire(self, time: float) -> None:
        """Ends the moving faces that have not been seen for a while."""
        ended = [
            name
            for name, strand in self._strands.items()
            if time - strand.last_time > self._workshop.max_gap
        ]
        for name in ended:
            self._end(self._strands.pop(name))

    def finish(self) -> list[Track]:
        """Ends everything and gives all tracks, closed."""
        for strand in self._strands.values():
            self._end(strand)
        self._strands.clear()
        for track in self.tracks:
            track.close()
        self._recent.clear()
        return self.tracks

    def _end(self, strand: _Strand) -> None:
        if strand.track is None and strand.pending:
            self._settle(strand)
        elif strand.track is not None:
            self._take(strand.track, strand.pending)  # too few to tell: motion decides
            strand.pending = []
        if strand.track is not None:
            del self._owners[strand.track]

    def _decide(self, strand: _Strand) -> None:
        track = strand.track
        if track is not None:
            similarity = float(self._fused(strand.pending) @ track.vector)
            if similarity >= self._identity.split_below:
                self._take(track, strand.pending)
                strand.pending = []
                return
            self._owners.pop(track, None)
            strand.track, strand.left = None, track
            self._note("split", strand, track, similarity, self._identity.split_below)
        self._settle(strand)

    def _settle(self, strand: _Strand) -> None:
        """Gives the held images to a track out of sight that they fit, or to a new one."""
        vector = self._fused(strand.pending)
        first = strand.pending[0].frame
        best, best_similarity = None, -1.0
        for track in self._recent:
            if track is strand.left or self._last_seen(track) >= first:
                continue
            similarity = float(vector @ track.vector)
            if similarity > best_similarity:
                best, best_similarity = track, similarity
        if best is not None and best_similarity >= self._identity.reenter_from:
            owner = self._owners.pop(best, None)
            if owner is not None:
                self._take(best, owner.pending)
                owner.track, owner.pending = None, []
            self._note("re-entry", strand, best, best_similarity, self._identity.reenter_from)
        else:
            best = Track(len(self.tracks) + 1, self._workshop)
            self.tracks.append(best)
        strand.track, strand.left = best, None
        self._owners[best] = strand
        self._take(best, strand.pending)
        strand.pending = []

    def _last_seen(self, track: Track) -> int:
        owner = self._owners.get(track)
        return track.last_frame if owner is None else max(owner.last_frame, track.last_frame)

    def _take(self, track: Track, sightings: list[Sighting]) -> None:
        for sighting in sightings:
            track.add(sighting)
        if not self._recent or self._recent[-1] is not track:
            if track in self._recent:
                self._recent.remove(track)
            self._recent.append(track)
        for old in self._recent[:-_MOST_RECENT]:
            if old not in self._owners:
                self._recent.remove(old)
                old.close()

    def _fused(self, sightings: list[Sighting]) -> FloatArray:
        if len(sightings) == 1:
            return sightings[0].alone
        return self._workshop.fuser.fuse(as_set(sightings, self._workshop)).vector

    def _note(
        self, kind: str, strand: _Strand, track: Track, similarity: float, threshold: float
    ) -> None:
        self.decisions.append(
            {
                "kind": kind,
                "track": track.number,
                "time": strand.pending[0].time,
                "similarity": similarity,
                "threshold": threshold,
            }
        )
