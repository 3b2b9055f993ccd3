"""Frames that a video file should hold and that did not come, by the times of those that came."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

__all__ = ["Gap", "MissingFrames", "told_gaps"]

_HOLE = 1.5
"""Two frames are far apart from so many usual distances on."""
_NEAR, _NEAR_FRAMES = 0.5, 8
"""A sign of damage counts for holes within so many seconds, or so many frames: frames come in another order."""

_STEADY = 0.9
"""A stream is steady if this part of the distances is equal."""
_FEWEST = 20
"""Of fewer distances nothing is concluded."""
_EQUAL, _EQUAL_TICKS = 0.02, 1.5
"""Distances are equal that differ by this part, or by so many units of the file's clock."""
_FEWEST_MISSING = 2
"""So many frames must be missing in a hole of which nothing but the time is known."""
_LONGEST = 10.0
"""Such a hole of more seconds is taken for a pause of whoever recorded."""
_RARE = 0.02
"""Damage is rare: where more of the distances are such holes, one is no sign of it."""

_MOST_HOLES = 20_000
_LATEST = 64
_PLACES_SHOWN = 5


@dataclass(frozen=True, kw_only=True)
class Gap:
    """A place where frames are missing.

    Args:
        begin: Second of the last frame before it.
        end: Second of the first frame behind it.
        num_frames: How many are missing there, by the usual distance.
    """

    begin: float
    end: float
    num_frames: int


@dataclass(frozen=True, kw_only=True)
class _Hole:
    begin: float
    end: float
    num_lost: int
    num_empty: int


class MissingFrames:
    """Finds where frames are missing in a stream that was read one frame after the other.

    Where there is a sign of damage, every frame that is missing by the usual distance counts. Where there is none,
    it does only if the stream is steady otherwise: recorders leave frames out on purpose where nothing moves.

    Args:
        tick: Seconds of one unit of the file's clock.
        by_time: Whether a hole may count without a sign of damage.
    """

    def __init__(self, *, tick: float, by_time: bool) -> None:
        self._tick, self._by_time = tick, by_time
        self._distances: Counter[int] = Counter()
        self._num_distances = 0
        self._shortest_usual = float("inf")
        self._holes: list[_Hole] = []
        self._is_given_up = False

    def is_hole(self, distance: float) -> bool:
        """Notes the distance of a frame from the one before, in seconds; whether it is longer than usual."""
        self._distances[round(distance / self._tick)] += 1
        self._num_distances += 1
        if self._num_distances <= _FEWEST or self._num_distances % 256 == 0:
            self._shortest_usual = self.step
        return distance > _HOLE * self._shortest_usual or self._num_distances <= _FEWEST

    def add_hole(self, begin: float, end: float, *, num_lost: int, num_empty: int) -> None:
        """Notes two frames that are far apart.

        Args:
            begin: Second of the first.
            end: Second of the second.
            num_lost: Packets between them that became no frame.
            num_empty: Packets between them that say that no frame is there.
        """
        if len(self._holes) >= _MOST_HOLES:
            self._is_given_up = True
            return
        self._holes.append(_Hole(begin=begin, end=end, num_lost=num_lost, num_empty=num_empty))

    def add_late(self, time: float) -> None:
        """Notes a frame that came after later ones, as decoders give them behind a damaged place."""
        for place in range(len(self._holes) - 1, max(-1, len(self._holes) - _LATEST), -1):
            hole = self._holes[place]
            if hole.begin < time < hole.end:
                before = replace(hole, end=time)
                self._holes[place : place + 1] = [before, replace(hole, begin=time, num_empty=0)]
                return

    @property
    def step(self) -> float:
        """The usual distance in seconds; 0 before there are two frames."""
        usual = [ticks for ticks in self._distances if ticks > 0]
        if not usual:
            return 0.0
        most = max(usual, key=lambda ticks: (self._distances[ticks], -ticks))
        return most * self._tick

    def gaps(self, signs: Sequence[float]) -> list[Gap]:
        """Where frames are missing.

        Args:
            signs: Seconds at which there are signs of damage, in any order.
        """
        step = self._fine_step()
        if step == 0 or self._is_given_up:
            return []
        near = max(_NEAR, _NEAR_FRAMES * step)
        found, others = self._sorted_out(self._far_apart(step), signs, near)
        unexplained = [gap for gap in others if gap.num_frames >= _FEWEST_MISSING]
        most = max(1.0, _RARE * self._num_distances)
        if self._by_time and len(unexplained) <= most and self._is_steady(step):
            found += [gap for gap in unexplained if gap.end - gap.begin <= _LONGEST]
        ends = [second for gap in found for second in (gap.begin, gap.end)]
        singles = [(gap, 0) for gap in others if gap.num_frames < _FEWEST_MISSING]
        found += self._sorted_out(singles, ends, near)[0]
        return sorted(found, key=lambda gap: gap.begin)

    def _far_apart(self, step: float) -> list[tuple[Gap, int]]:
        """Holes in which frames are missing by the usual distance, and packets that were lost in each."""
        found = []
        for hole in self._holes:
            missing = round((hole.end - hole.begin) / step) - 1 - hole.num_empty
            if hole.end - hole.begin > _HOLE * step and missing >= 1:
                gap = Gap(begin=hole.begin, end=hole.end, num_frames=missing)
                found.append((gap, hole.num_lost))
        return found

    @staticmethod
    def _sorted_out(
        gaps: Sequence[tuple[Gap, int]], signs: Sequence[float], near: float
    ) -> tuple[list[Gap], list[Gap]]:
        """Those with lost packets or a sign of damage near by, and the others."""
        signs = sorted(signs)
        damaged: list[Gap] = []
        others: list[Gap] = []
        for gap, num_lost in gaps:
            place = bisect_left(signs, gap.begin - near)
            if num_lost or (place < len(signs) and signs[place] <= gap.end + near):
                damaged.append(gap)
            else:
                others.append(gap)
        return damaged, others

    def _is_equal(self, distance: float, step: float) -> bool:
        return abs(distance - step) <= max(_EQUAL * step, _EQUAL_TICKS * self._tick)

    def _fine_step(self) -> float:
        """The usual distance where clocks are coarse: 33, 33 and 34 ms are 30 frames a second."""
        step = self.step
        near = {
            ticks: count
            for ticks, count in self._distances.items()
            if self._is_equal(ticks * self._tick, step)
        }
        total = sum(near.values())
        return self._tick * sum(t * n for t, n in near.items()) / total if total else 0.0

    def _is_steady(self, step: float) -> bool:
        if self._num_distances < _FEWEST:
            return False
        equal = sum(
            count
            for ticks, count in self._distances.items()
            if self._is_equal(ticks * self._tick, step)
        )
        return equal >= _STEADY * self._num_distances


def told_gaps(gaps: Sequence[Gap]) -> str:
    """How many frames are missing and where, in words."""
    total = sum(gap.num_frames for gap in gaps)
    shown = sorted(gaps, key=lambda gap: -gap.num_frames)[:_PLACES_SHOWN]
    places = ", ".join(
        f"{gap.num_frames} between {gap.begin:.2f} and {gap.end:.2f} s"
        for gap in sorted(shown, key=lambda gap: gap.begin)
    )
    more = len(gaps) - len(shown)
    return (
        f"damaged: about {total} frame{'s are' if total != 1 else ' is'} missing ({places}"
        f"{f' and {more} more places' if more else ''})"
    )
