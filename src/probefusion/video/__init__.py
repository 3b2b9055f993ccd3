"""Video: a clip in, one fused template per person out, and a report that shows why.

`watch_video` tells who appears and leaves while a video or stream runs; `process_video` reads it to its
end and keeps what explains the results.
"""

from __future__ import annotations

from probefusion.video.clip import Clip, Counts, Person
from probefusion.video.events import PersonSnapshot, VideoEvent
from probefusion.video.explanation import Explanation, explain_clip, explain_person
from probefusion.video.merging import merge_clip, merge_people
from probefusion.video.process import VideoSettings, process_video, watch_video
from probefusion.video.result_files import write_results

__all__ = [
    "Clip",
    "Counts",
    "Explanation",
    "Person",
    "PersonSnapshot",
    "VideoEvent",
    "VideoSettings",
    "explain_clip",
    "explain_person",
    "merge_clip",
    "merge_people",
    "process_video",
    "watch_video",
    "write_results",
]
