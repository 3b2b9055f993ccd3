"""Who is who: motion says which faces go together, embeddings decide whether it is one person."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from probefusion.fusion import Fuser
from probefusion.types import FloatArray
from probefusion.video.events import EventLog
from probefusion.video.sighting import Sighting
from probefusion.video.track import Track, TrackSettings, as_set

__all__ = ["IdentityThresholds", "TrackAssigner"]

_MOST_RECENT = 64
"""Tracks that a face which comes in is compared with, the last seen ones."""


@dataclass(frozen=True, kw_only=True)
class IdentityThresholds:
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
    ) -> IdentityThresholds:
        """The given similarities, and what fits the fuser where None is given.

        That is where its calibration puts false match rates of 1e-2 (split) and 1e-4 (re-entry), or
        .2 and .5 for a fuser without calibration.
        """
        found = []
        for given, rate, fallback in ((split_below, 1e-2, 0.2), (reenter_from, 1e-4, 0.5)):
            threshold = fuser.threshold_for(rate, IdentityThresholds.num_images)
            calibrated = fallback if threshold is None else float(threshold.similarity)
            found.append(calibrated if given is None else given)
        return IdentityThresholds(split_below=found[0], reenter_from=found[1])


@dataclass(kw_only=True, eq=False)
class _MovingFace:
    """A moving face: the track it was found to be, and images not yet given to it."""

    track: Track | None = None
    pending: list[Sighting] = field(default_factory=list)
    left: Track | None = None
    last_frame: int = -1
    last_time: float = 0.0


class TrackAssigner:
    """Turns moving faces into tracks of one person each.

    A new moving face is held until it has `thresholds.num_images` images (or ends); fused, they are
    compared with the last seen tracks that are out of sight, and go on with the most similar one or
    begin a new track. An image that does not fit its track is held the same way: if those after it do
    not fit either, the motion has jumped to another face and the track is split there; otherwise the
    held images were poor ones of the same person and are taken in.

    Args:
        track_settings: What all tracks share. Without a row file, tracks and decisions are not kept:
            who is not among the last seen is forgotten, so memory stays the same for ever.
        thresholds: The similarities.
        events: Told when tracks grow and go out of sight, or None.

    Attributes:
        tracks: All tracks, in order of their numbers.
        decisions: Splits and re-entries with time, similarity and threshold.
    """

    def __init__(
        self,
        track_settings: TrackSettings,
        thresholds: IdentityThresholds,
        events: EventLog | None = None,
    ) -> None:
        self.tracks: list[Track] = []
        self.decisions: list[dict[str, Any]] = []
        self._keeps_all = track_settings.row_file is not None
        self._num_tracks = 0
        self._events = events
        self._now = 0.0
        self._settings = track_settings
        self._thresholds = thresholds
        self._moving: dict[str, _MovingFace] = {}
        self._owners: dict[Track, _MovingFace] = {}
        self._recent: list[Track] = []

    def place(self, name: str, sighting: Sighting) -> None:
        """Takes one image of the moving face `name`; frames must come in order."""
        self._now = sighting.time
        face = self._moving.setdefault(name, _MovingFace())
        face.last_frame, face.last_time = sighting.frame, sighting.time
        track = face.track
        if track is not None:
            similarity = float(sighting.own_template @ track.vector)
            if similarity >= self._thresholds.split_below:
                self._take(track, [*face.pending, sighting])
                face.pending = []
                return
        face.pending.append(sighting)
        if len(face.pending) >= self._thresholds.num_images:
            self._decide(face)

    def expire(self, time: float) -> None:
        """Ends the moving faces that have not been seen for a while."""
        self._now = time
        ended = [
            name
            for name, face in self._moving.items()
            if time - face.last_time > self._settings.max_gap
        ]
        for name in ended:
            self._end(self._moving.pop(name))

    def finish(self) -> list[Track]:
        """Ends everything and gives all tracks, closed."""
        for face in self._moving.values():
            self._end(face)
        self._moving.clear()
        for track in self.tracks:
            track.close()
        self._recent.clear()
        return self.tracks

    def _end(self, face: _MovingFace) -> None:
        if face.track is None and face.pending:
            self._settle(face)
        elif face.track is not None:
            self._take(face.track, face.pending)  # too few to tell: motion decides
            face.pending = []
        if face.track is not None:
            del self._owners[face.track]
            self._tell_left(face.track)

    def _decide(self, face: _MovingFace) -> None:
        track = face.track
        if track is not None:
            similarity = float(self._fused(face.pending) @ track.vector)
            if similarity >= self._thresholds.split_below:
                self._take(track, face.pending)
                face.pending = []
                return
            self._owners.pop(track, None)
            self._tell_left(track)
            face.track, face.left = None, track
            self._note("split", face, track, similarity, self._thresholds.split_below)
        self._settle(face)

    def _settle(self, face: _MovingFace) -> None:
        """Gives the held images to a track out of sight that they fit, or to a new one."""
        vector = self._fused(face.pending)
        first = face.pending[0].frame
        best, best_similarity = None, -1.0
        for track in self._recent:
            if track is face.left or self._last_seen(track) >= first:
                continue
            similarity = float(vector @ track.vector)
            if similarity > best_similarity:
                best, best_similarity = track, similarity
        if best is not None and best_similarity >= self._thresholds.reenter_from:
            owner = self._owners.pop(best, None)
            if owner is not None:
                self._take(best, owner.pending)
                owner.track, owner.pending = None, []
            self._note("re-entry", face, best, best_similarity, self._thresholds.reenter_from)
        else:
            self._num_tracks += 1
            best = Track(self._num_tracks, self._settings)
            if self._keeps_all:
                self.tracks.append(best)
        face.track, face.left = best, None
        self._owners[best] = face
        self._take(best, face.pending)
        face.pending = []

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
                if self._keeps_all:
                    old.close()
        if sightings and self._events is not None:
            self._events.grew(track, self._now)

    def _tell_left(self, track: Track) -> None:
        if self._events is not None:
            self._events.left(track, self._now)

    def _fused(self, sightings: list[Sighting]) -> FloatArray:
        if len(sightings) == 1:
            return sightings[0].own_template
        return self._settings.fuser.fuse(as_set(sightings, self._settings)).vector

    def _note(
        self, kind: str, face: _MovingFace, track: Track, similarity: float, threshold: float
    ) -> None:
        if not self._keeps_all:
            return
        self.decisions.append(
            {
                "kind": kind,
                "track": track.number,
                "time": face.pending[0].time,
                "similarity": similarity,
                "threshold": threshold,
            }
        )
