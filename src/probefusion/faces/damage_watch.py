"""Watches a video while it is read: what is damaged, which frames are missing, and where."""

from __future__ import annotations

from typing import Any

from probefusion.faces.damage import DamageSigns
from probefusion.faces.missing_frames import Gap, MissingFrames, told_gaps
from probefusion.faces.video_source import VideoFacts

__all__ = ["DamageWatch"]

_NO_TIMES = ("mov", "avi", "gif", "apng", "h264", "hevc", "mpegvideo", "mjpeg", "yuv4mpegpipe")
"""Formats that number their frames, or state how long each is shown: a longer distance alone is no damage."""
_FINEST = 1e-4
"""Times are compared by so many seconds at least."""
_MARGIN = 0.25
"""A packet lies between two frames if it is away from both by this part of the usual distance."""
_PLACES_SHOWN = 5
_APART = 1.0
"""Errors less than so many seconds apart are told as one place."""


class DamageWatch:
    """Collects what a reader of video sees of damage, and tells it.

    Of live sources only the errors are told.

    Args:
        stream: The video stream of PyAV.
        facts: What the video says of itself.
        is_fragmented: Whether it is a fragmented MP4.

    Attributes:
        num_damaged: Packets and frames that are marked as damaged or could not be decoded, or only with faults.
    """

    def __init__(self, stream: Any, facts: VideoFacts, *, is_fragmented: bool) -> None:
        names = facts.container.split(",")
        tick = 1e-3 if stream.time_base is None else float(stream.time_base)
        self._is_live = facts.is_live
        self._numbers_frames = "avi" in names
        self._signs = DamageSigns(
            facts.container, stream_index=stream.index, is_fragmented=is_fragmented
        )
        self._missing = MissingFrames(
            tick=max(tick, _FINEST),
            by_time=not any(name in _NO_TIMES or name.endswith("_pipe") for name in names),
        )
        self._errors: list[float] = []
        self._has_flag = False
        """Whether the last packet is marked as damaged. At the end of a file it is cut off, which is told as such."""
        self._flagged_at: float | None = None
        self._last: float | None = None
        self._begin = 0.0
        self._num_short = 0
        self.num_damaged = 0

    def packet(self, packet: Any) -> None:
        """Looks at the next packet of any stream."""
        if packet.size and packet.stream_index == self._signs.stream_index:
            if self._has_flag:
                self.error(self._flagged_at)
            self._has_flag = packet.is_corrupt
            self._flagged_at = _time(packet) if packet.is_corrupt else None
        if not self._is_live:
            self._signs.packet(packet)

    def error(self, time: float | None = None) -> None:
        """Counts an error, at a second of the file's clock or at the last packet."""
        self.num_damaged += 1
        place = self._signs.mark(time)
        if place is not None and (not self._errors or abs(place - self._errors[-1]) > 1e-9):
            self._errors.append(place)

    def frame(self, time: float | None, *, begin: float) -> None:
        """Looks at the next frame that is given or counted.

        Args:
            time: Second of the file's clock, or None where the file does not say.
            begin: Second of that clock at which the video starts.
        """
        if self._is_live:
            return
        self._begin = begin
        if time is None:
            self._last = None
            return
        last = self._last
        if last is not None and time <= last:
            self._missing.add_late(time)
            return
        self._last = time
        if last is None or not self._missing.is_hole(time - last):
            return
        lost, empty = self._signs.between(last, time, margin=_MARGIN * self._missing.step)
        self._missing.add_hole(last, time, num_lost=lost, num_empty=empty)

    def is_short(self, end: float, promised: float | None) -> bool:
        """Whether frames are missing in the middle of a file that was read as a whole, and that numbers its frames.

        The times of such a file are counted, so that it ends too early where some are lost. Notes how many.

        Args:
            end: Second at which the last frame ends.
            promised: Seconds of the file, as it says.
        """
        step = self._missing.step
        if not self._numbers_frames or promised is None or step == 0 or not self._signs.skips:
            return False
        missing = round((promised - end) / step)
        self._num_short = max(missing, 0)
        return self._num_short > 0

    @property
    def num_missing(self) -> int:
        """Frames that are missing between those that came."""
        return self._num_short + sum(gap.num_frames for gap in self._gaps())

    @property
    def problems(self) -> list[str]:
        """What was found, in words, with seconds since the start of the video."""
        told = []
        if self.num_damaged:
            told.append(
                f"{self.num_damaged} damaged packets or frames, passed over where they could not be decoded"
                f"{self._told_places(self._errors)}"
            )
        gaps = self._gaps()
        if gaps:
            told.append(told_gaps(gaps))
        if self._num_short:
            told.append(
                f"damaged: about {self._num_short} frames are missing{self._told_places(self._signs.skips)}; "
                "this kind of file does not say when a frame is shown, so later times are too early"
            )
        return told

    def _gaps(self) -> list[Gap]:
        if self._numbers_frames:
            return []
        return [
            Gap(
                begin=gap.begin - self._begin,
                end=gap.end - self._begin,
                num_frames=gap.num_frames,
            )
            for gap in self._missing.gaps(self._signs.errors + self._signs.skips)
        ]

    def _told_places(self, times: list[float]) -> str:
        places: list[list[float]] = []
        for time in sorted(max(0.0, time - self._begin) for time in times):
            if places and time - places[-1][1] <= _APART:
                places[-1][1] = time
            else:
                places.append([time, time])
        if not places:
            return ""
        shown = ", ".join(
            f"{begin:.2f} s" if end - begin < 0.005 else f"{begin:.2f} to {end:.2f} s"
            for begin, end in places[:_PLACES_SHOWN]
        )
        more = len(places) - _PLACES_SHOWN
        return f" (at {shown}{f' and {more} more places' if more > 0 else ''})"


def _time(packet: Any) -> float | None:
    ticks = packet.pts if packet.pts is not None else packet.dts
    return None if ticks is None or packet.time_base is None else float(ticks * packet.time_base)
