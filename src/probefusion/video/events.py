"""What happens in a video while it runs: people appear, are seen better, and leave."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, TypeAlias

from probefusion.fusion import Fuser
from probefusion.gallery import Match
from probefusion.types import FusionState, Template
from probefusion.video.track import Track
from probefusion.zoo import finish_judged

__all__ = ["EventKind", "EventLog", "PersonSnapshot", "VideoEvent"]

EventKind: TypeAlias = Literal["appeared", "updated", "left"]


@dataclass(frozen=True, kw_only=True, eq=False)
class PersonSnapshot:
    """A person of a video as known at one time. A few KB; keeps nothing of the video alive.

    Args:
        number: The number of its track, from 1. Someone who comes back and is known again keeps it.
        first_time: Seconds since the start when it was first seen.
        last_time: Seconds since the start when it was last seen.
        num_images: How many images went into template and state.
        template: The template of all its images so far, with what can be expected of it, without the weights of single
            images.
        state: The state that it was made of; add it to others of the same person.
    """

    number: int
    first_time: float
    last_time: float
    num_images: int
    template: Template
    state: FusionState


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoEvent:
    """Something that happened to a person of a video.

    Args:
        kind: "appeared", "updated" or "left", see `watch_video`.
        time: Seconds since the start when it was found out; never less than that of the event before.
        person: The person at that time.
        match: The search of stills or gallery with its template, or None without them.
    """

    kind: EventKind
    time: float
    person: PersonSnapshot
    match: Match | None = None


class EventLog:
    """Turns what happens to tracks into events. Remembers the tracks that are in sight, no others.

    Args:
        fuser: The fuser of the tracks.
        min_images: Tracks cause events once they have this many images.
        search: Searches a gallery for a template, or None.
        calibration: File of a calibration, beside which stands what can be expected of templates; None takes what
            was measured for the fuser.
    """

    def __init__(
        self,
        fuser: Fuser,
        min_images: int,
        search: Callable[[Template], Match] | None = None,
        *,
        calibration: Path | None = None,
    ) -> None:
        self._fuser, self._min_images, self._search = fuser, min_images, search
        self._calibration = calibration
        self._in_sight: dict[Track, int] = {}
        self._events: list[VideoEvent] = []

    def grew(self, track: Track, time: float) -> None:
        """Images were added to a track."""
        if track.num_images < self._min_images:
            return
        if track not in self._in_sight:
            self._add("appeared", track, time)
        elif track.num_encoded > self._in_sight[track]:
            self._add("updated", track, time)
        self._in_sight[track] = track.num_encoded

    def left(self, track: Track, time: float) -> None:
        """A track went out of sight."""
        if self._in_sight.pop(track, None) is not None:
            self._add("left", track, time)

    def take(self) -> Iterator[VideoEvent]:
        """The events since the last call, in order.

        Each is searched for when it is asked for, so that a gallery which learnt somebody from the event before
        knows that person.
        """
        taken, self._events = self._events, []
        for event in taken:
            if self._search is None:
                yield event
            else:
                yield replace(event, match=self._search(event.person.template))

    def _add(self, kind: EventKind, track: Track, time: float) -> None:
        state = track.state_so_far()
        template = finish_judged(self._fuser, state, calibration=self._calibration)
        person = PersonSnapshot(
            number=track.number,
            first_time=track.segments[0].first_time,
            last_time=track.last_time,
            num_images=track.num_images,
            template=template,
            state=state,
        )
        self._events.append(VideoEvent(kind=kind, time=time, person=person))
