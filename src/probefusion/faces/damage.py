"""Signs of damage in a video file's packets, with their times: FFmpeg goes on behind a damaged place without a word."""

from __future__ import annotations

from collections import deque
from typing import Any

__all__ = ["DamageSigns"]

_MOST_SIGNS = 100_000
"""Signs beyond so many are counted, and their times not kept."""

_CONTIGUOUS = ("matroska", "flv", "avi")
"""Formats whose packets follow each other with a few bytes between them."""
_BETWEEN = 64
"""So many bytes lie between two packets at most, as a rule: heads of blocks, clusters and chunks."""
_OFTEN = 0.1
"""Where more lie between this part of the packets, the file holds something else there (an alpha channel)."""

_PICTURE = 16
"""A packet of fewer bytes holds no picture: the encoder says that the last one is shown again."""
_HELD = 256
"""So many packets wait for their frame at most."""


class DamageSigns:
    """What the packets of a video file tell of damage.

    Signs are bytes between two packets that belong to none of them (Matroska, WebM, FLV, AVI: the reader looked for
    the next place where it could go on), packets marked as damaged (MPEG-TS counts them), times that leap where the
    file states how long each frame is shown (fragmented MP4), errors of the decoder, and packets that became no frame.

    Args:
        container: Short name of the file format, as `VideoFacts.container`.
        stream_index: Which of the file's streams is read.
        is_fragmented: Whether it is a fragmented MP4.

    Attributes:
        num_skips: Places where bytes were skipped.
    """

    def __init__(self, container: str, *, stream_index: int, is_fragmented: bool) -> None:
        names = container.split(",")
        self._is_contiguous = any(name in _CONTIGUOUS for name in names)
        self._is_fragmented = is_fragmented
        self.stream_index = stream_index
        self._end: int | None = None
        self._num_packets = 0
        self._last_time: float | None = None
        self._next_dts: tuple[float, float] | None = None
        self._has_skipped = False
        self._skips: list[float] = []
        self._others: list[float] = []
        self._waiting: deque[tuple[float, bool]] = deque()
        self.num_skips = 0

    @property
    def skips(self) -> list[float]:
        """Seconds at which bytes were skipped; [] where so many were that they mean nothing."""
        return [] if self.num_skips > max(1.0, _OFTEN * self._num_packets) else self._skips

    @property
    def errors(self) -> list[float]:
        """Seconds of errors and of times that leap, in the order they were found."""
        return self._others

    def mark(self, time: float | None) -> float | None:
        """Notes an error, at the given second or at the last packet's; the second, or None where there is none."""
        time = self._last_time if time is None else time
        if time is None or len(self._others) >= _MOST_SIGNS:
            return None
        self._others.append(time)
        return time

    def packet(self, packet: Any) -> None:
        """Looks at the next packet of any of the file's streams (PyAV)."""
        if not packet.size:
            return
        self._num_packets += 1
        self._see_place(packet)
        if packet.stream_index != self.stream_index:
            return
        time = _seconds(packet, packet.pts if packet.pts is not None else packet.dts)
        if time is None:
            return
        if self._has_skipped:
            self._has_skipped = False
            self._skip_at(time)
        if self._is_fragmented:
            self._see_leap(packet)
        if not packet.is_discard and packet.pts is not None:
            self._waiting.append((time, packet.size >= _PICTURE))
            if len(self._waiting) > _HELD:
                self._waiting.popleft()
        self._last_time = time

    def between(self, before: float, after: float, *, margin: float) -> tuple[int, int]:
        """Packets whose times lie between those of two frames that followed each other.

        Args:
            before: Second of the first frame.
            after: Second of the next one.
            margin: Seconds around both that do not count.

        Returns:
            Packets that should have become a frame, and those that say that none is there.
        """
        lost = empty = 0
        kept = deque[tuple[float, bool]]()
        for time, is_picture in self._waiting:
            if time > after - margin:
                kept.append((time, is_picture))
            elif time > before + margin:
                lost, empty = lost + is_picture, empty + (not is_picture)
        self._waiting = kept
        return lost, empty

    def _see_place(self, packet: Any) -> None:
        if not self._is_contiguous or packet.pos is None or packet.pos < 0:
            return
        if self._end is not None and packet.pos - self._end > _BETWEEN:
            self.num_skips += 1
            self._has_skipped = True
            if self._last_time is not None:
                self._skip_at(self._last_time)
        self._end = max(self._end or 0, packet.pos + packet.size)

    def _skip_at(self, time: float) -> None:
        if len(self._skips) < _MOST_SIGNS:
            self._skips.append(time)

    def _see_leap(self, packet: Any) -> None:
        begin, length = _seconds(packet, packet.dts), _seconds(packet, packet.duration)
        if begin is None or not length:
            self._next_dts = None
            return
        if self._next_dts is not None and begin - self._next_dts[0] > 0.5 * self._next_dts[1]:
            for time in (self._next_dts[0], begin):
                self.mark(time)
        self._next_dts = (begin + length, length)


def _seconds(packet: Any, ticks: int | None) -> float | None:
    return None if ticks is None or packet.time_base is None else float(ticks * packet.time_base)
