"""Video: a clip in, one fused template per person out, and a report that shows why."""

from __future__ import annotations

from probefusion.video.clip import Clip, Counts, Person
from probefusion.video.process import VideoSettings, process_video

__all__ = ["Clip", "Counts", "Person", "VideoSettings", "process_video"]
