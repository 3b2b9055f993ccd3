"""From a video to its people: decode, detect, align, embed, track and fuse, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality, Embedder, embed_crops
from probefusion.errors import EmptySetError, InvalidInputError
from probefusion.faces import Detector, Face, align_face
from probefusion.faces.frames import VideoFrame, VideoReader
from probefusion.faces.turned_frames import FrameSearch
from probefusion.fusion import Fuser
from probefusion.fusion.decisions import find_calibration
from probefusion.gallery import Match
from probefusion.types import Template
from probefusion.video.clip import Clip, Counts, Person
from probefusion.video.events import EventLog, VideoEvent
from probefusion.video.identities import IdentityThresholds, TrackAssigner
from probefusion.video.known_people import KnownPeople, check_known, searcher
from probefusion.video.motion import MotionTracker
from probefusion.video.row_file import RowFile
from probefusion.video.settings import VideoSettings
from probefusion.video.sighting import Sighting
from probefusion.video.telling import tell_turned, told_stop, why_nobody
from probefusion.video.track import TrackSettings

__all__ = ["VideoSettings", "process_video", "watch_video"]

_CROPS_AT_ONCE = 32
_FRAMES_AT_ONCE = 32
_LIVE_SECONDS_AT_ONCE = 0.5
"""A live source does not wait longer for a batch to be full."""


def watch_video(
    reader: VideoReader,
    detector: Detector,
    embedder: Embedder,
    fuser: Fuser,
    settings: VideoSettings | None = None,
    *,
    stills: KnownPeople | None = None,
    false_match_rate: float = 1e-3,
    false_positive_rate: float | None = None,
    threshold: float | None = None,
    quality: CropQuality | None = None,
    calibration: Path | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> Generator[VideoEvent, None, None]:
    """Tells what happens to the people of a video while it runs.

    For each person, again and again, in this order:

    - "appeared": its track has reached `settings.min_images` images, or someone whose track went out of
      sight was seen again and known again; then the number, the first time and the images of before go
      on. Tracks that never reach `min_images` cause no event.
    - "updated": another block of its images was fused. With an exact fuser blocks end after 1, 2, 3, 4,
      6, 9, 13, ... images (half as many again) and after `settings.chunk_size` (32) at the latest, with
      others after every `chunk_size` images. An image that waits for its block is in no event until then.
    - "left": it was not seen for `settings.max_gap` seconds (two and a half steps from one used frame to
      the next, where that is longer), or its moving face turned out to show someone else (a split; the
      other person appears), or the video ended.

    Template and state of an event are those of all images of the person so far. Those of the last "left"
    are, number for number, those that `process_video` gives for the track.

    Faces are embedded up to 32 frames together, so an event of a file comes up to 32 used frames after what
    it tells; one of a live source up to half a second. Whether a face that comes in is somebody seen before
    is decided after three of its images.

    Memory stays the same however long the video is, and nothing is written to disk: of people out of sight
    only the last 64 are known again, each by a few kilobytes.

    Args:
        reader: The video; read as events are asked for, and left open. Ask for events as fast as a live
            source gives frames, or it drops them.
        detector: As for `process_video`.
        embedder: As for `process_video`.
        fuser: As for `process_video`.
        settings: How; None takes the defaults.
        stills: Whom to look for at each event, or None: stills made with the same embedder and fuser, or a
            `Gallery`, in which somebody who was enrolled after one event is found at the next. Left open.
        false_match_rate: Rate of false matches per comparison to decide at: by the fuser's calibrated
            threshold for stills, in a `Gallery` by that for the two templates (`fmr` of `Gallery.search`).
        false_positive_rate: Or: the rate at which a search for somebody who is not in a `Gallery` of its size finds
            a match (`fpir` of `Gallery.search`), or None.
        threshold: A similarity to decide at instead, or None.
        quality: As for `process_video`.
        calibration: As for `process_video`.
        progress: Called with the number of frames read, and in all where that is known.
        should_stop: Asked after each frame; when it says so, the people in sight leave and the events end.

    Returns:
        The events, to be iterated once. Nothing must be cleaned up where that is broken off. A video without
        people gives none.

    Raises:
        FileFormatError: While iterating, if no frame could be decoded.
        EmbedderMismatchError, FuserMismatchError: At once, if the `Gallery` or the calibration is of others.
        ProbeFusionError: If embedder and fuser do not fit, or the `Gallery` cannot be read (while iterating).
    """
    check_known(stills, embedder, fuser)
    if calibration is not None:
        find_calibration(calibration, fuser, fuser.fingerprint, embedder.fingerprint)
    search = _search(stills, fuser, false_match_rate, false_positive_rate, threshold)
    num_images = (settings or VideoSettings()).min_images
    log = EventLog(fuser, num_images, search, calibration=calibration)
    run = _Run(reader, embedder, fuser, settings, quality=quality, log=log)
    return run.events(detector, progress, should_stop)


def process_video(
    reader: VideoReader,
    detector: Detector,
    embedder: Embedder,
    fuser: Fuser,
    settings: VideoSettings | None = None,
    *,
    quality: CropQuality | None = None,
    calibration: Path | None = None,
    progress: Callable[[int, int | None], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
    on_event: Callable[[VideoEvent], None] | None = None,
    stills: KnownPeople | None = None,
    false_match_rate: float = 1e-3,
    false_positive_rate: float | None = None,
    threshold: float | None = None,
) -> Clip:
    """Finds the people of a video and fuses each one's images.

    Memory does not grow with the length of the video: pixels are dropped once they are fused, rows of
    numbers go to a temporary file, and what remains of a person who left is a few kilobytes.

    Args:
        reader: The video; read to its end.
        detector: Finds faces with landmarks.
        embedder: Embeds aligned crops.
        fuser: Fuses each person's embeddings. With an exact one, the template of a clip is that of the
            sum of the states of its parts.
        settings: How; None takes the defaults.
        quality: Judges the crops where the fuser needs it; None takes the network inside the package.
        calibration: File of a calibration that `probefusion calibrate` wrote: what was measured with it about the
            usability of templates, and stands beside it, comes before that of the fuser. What decides about stills
            is the fuser's, about a `Gallery` the gallery's.
        progress: Called with the number of frames read, and in all where that is known.
        should_stop: Asked after each frame; when it says so, what was read is finished and given.
        on_event: Called with each event as `watch_video` gives it, while the video runs, or None.
        stills: Whom to look for at each event, and in the end for each person (`Person.match`): as for
            `watch_video`.
        false_match_rate: As for `watch_video`.
        false_positive_rate: As for `watch_video`.
        threshold: As for `watch_video`.

    Returns:
        The clip; close it when done.

    Raises:
        FileFormatError: If no frame could be decoded.
        EmptySetError: If no person was found; says what became of the faces.
        EmbedderMismatchError, FuserMismatchError: If the `Gallery` or the calibration is of another embedder or
            fuser; no frame is read then.
        ProbeFusionError: If embedder and fuser do not fit, or the `Gallery` cannot be read.
    """
    settings = settings or VideoSettings()
    check_known(stills, embedder, fuser)
    if calibration is not None:
        find_calibration(calibration, fuser, fuser.fingerprint, embedder.fingerprint)
    search = _search(stills, fuser, false_match_rate, false_positive_rate, threshold)
    begin = time.monotonic()
    log = None
    if on_event is not None:
        log = EventLog(fuser, settings.min_images, search, calibration=calibration)
    row_file = RowFile()
    try:
        run = _Run(reader, embedder, fuser, settings, quality=quality, log=log, row_file=row_file)
        for event in run.events(detector, progress, should_stop):
            if on_event is not None:
                on_event(event)
        people = run.people(calibration)
        for person in people:
            person.match = None if search is None else search(person.template)
    except BaseException:
        row_file.close()
        raise
    clip = Clip(
        facts=reader.facts,
        people=people,
        counts=run.counts,
        problems=(*reader.problems, *told_stop(reader, run.stopped_at)),
        stopped_at=run.stopped_at,
        decisions=run.assigner.decisions,
        seconds=time.monotonic() - begin,
        last_time=run.last_time,
        fuser=fuser,
        embedder=embedder.fingerprint,
        row_file=row_file,
    )
    clip.counts.frames_read = reader.num_read
    if not people:
        clip.close()
        raise EmptySetError(
            why_nobody(clip, min_size=settings.min_size, min_images=settings.min_images)
        )
    return clip


def _search(
    known: KnownPeople | None,
    fuser: Fuser,
    false_match_rate: float,
    false_positive_rate: float | None,
    threshold: float | None,
) -> Callable[[Template], Match] | None:
    if known is None:
        return None
    return searcher(
        known,
        fuser,
        false_match_rate=false_match_rate,
        false_positive_rate=false_positive_rate,
        threshold=threshold,
    )


class _Run:
    """The stages of one video, fed frame by frame."""

    def __init__(
        self,
        reader: VideoReader,
        embedder: Embedder,
        fuser: Fuser,
        settings: VideoSettings | None,
        *,
        quality: CropQuality | None,
        log: EventLog | None,
        row_file: RowFile | None = None,
    ) -> None:
        settings = settings or VideoSettings()
        self.counts = Counts()
        self.last_time = 0.0
        self.stopped_at: float | None = None
        self._reader, self._embedder, self._fuser = reader, embedder, fuser
        self._settings, self._log = settings, log
        self._quality = CropQuality() if quality is None and fuser.needs_quality else quality
        self._seconds_at_once = _LIVE_SECONDS_AT_ONCE if reader.facts.is_live else float("inf")
        gap = max(settings.max_gap, 2.5 * reader.step)
        track_settings = TrackSettings(
            fuser=fuser,
            embedder=embedder.fingerprint,
            norms_known=embedder.norms_known,
            row_file=row_file,
            chunk_size=settings.chunk_size,
            max_gap=gap,
        )
        self._motion = MotionTracker(max_gap=gap)
        thresholds = IdentityThresholds.of(
            fuser, split_below=settings.split_below, reenter_from=settings.reenter_from
        )
        self.assigner = TrackAssigner(track_settings, thresholds, log)
        self._waiting: list[tuple[int, float, list[Face]]] = []
        self._crops: list[npt.NDArray[np.uint8]] = []

    def events(
        self,
        detector: Detector,
        progress: Callable[[int, int | None], None] | None,
        should_stop: Callable[[], bool] | None,
    ) -> Generator[VideoEvent, None, None]:
        """Reads the video to its end and gives the events on the way, none without a log."""
        search = FrameSearch(detector)
        for frame in self._reader:
            self._take(frame, search)
            yield from self._told()
            if progress is not None:
                progress(self._reader.num_read, self._reader.num_expected)
            if should_stop is not None and should_stop():
                self.stopped_at = frame.time
                break
        self._place()
        self.assigner.finish()
        tell_turned(self._reader, self.counts)
        yield from self._told()

    def people(self, calibration: Path | None) -> list[Person]:
        """The people with enough images, most images first; to be asked at the end."""
        source, people = self._reader.facts.source, []
        for track in self.assigner.tracks:
            if track.num_images < self._settings.min_images:
                self.counts.tracks_too_short += 1
                self.counts.images_in_short_tracks += track.num_images
            else:
                people.append(Person([track], self._fuser, source, calibration=calibration))
        return sorted(people, key=lambda person: (-person.num_images, person.number))

    def _told(self) -> Iterable[VideoEvent]:
        return () if self._log is None else self._log.take()

    def _take(self, frame: VideoFrame, search: FrameSearch) -> None:
        """Finds the faces of a frame; goes on with them once enough are together."""
        self.counts.frames_used += 1
        self.last_time = frame.time
        kept = []
        for face in self._choose(search.detect(frame.image)):
            try:
                size = self._embedder.spec.input_size
                crop = align_face(frame.image, face.landmarks, size=size)
            except InvalidInputError:
                self.counts.faces_unusable += 1
                continue
            self.counts.faces_turned += face.turned != 0
            kept.append(face)
            self._crops.append(crop)
        self._waiting.append((frame.index, frame.time, kept))
        if (
            len(self._crops) >= _CROPS_AT_ONCE
            or len(self._waiting) >= _FRAMES_AT_ONCE
            or frame.time - self._waiting[0][1] >= self._seconds_at_once
        ):
            self._place()

    def _choose(self, faces: Sequence[Face]) -> list[Face]:
        self.counts.faces_found += len(faces)
        large = [face for face in faces if min(face.box[2:]) >= self._settings.min_size]
        self.counts.faces_too_small += len(faces) - len(large)
        chosen = sorted(large, key=lambda face: -face.area)[: self._settings.max_faces]
        self.counts.faces_beyond_limit += len(large) - len(chosen)
        return chosen

    def _place(self) -> None:
        """Embeds the waiting faces together, then gives them to the tracks frame by frame."""
        sightings = iter(self._embed())
        for _, moment, faces in self._waiting:
            names = self._motion.update(faces, moment)
            for name in names:
                sighting = next(sightings)
                if sighting is None:
                    self.counts.faces_unusable += 1
                elif name is None:
                    self.counts.faces_untracked += 1
                else:
                    self.assigner.place(name, sighting)
            self.assigner.expire(moment)
        self._waiting, self._crops = [], []

    def _embed(self) -> list[Sighting | None]:
        """The waiting faces, frame after frame; None where a crop is unusable."""
        faces = [(frame, moment, face) for frame, moment, found in self._waiting for face in found]
        embedded = embed_crops(self._crops, self._embedder, quality=self._quality)
        if embedded.images is None:
            return [None] * len(faces)
        images = embedded.images
        own_templates = self._fuser.fuse_many(images, np.arange(len(images) + 1))
        rows = iter(range(len(images)))
        sightings: list[Sighting | None] = []
        for (frame, moment, face), crop, reason in zip(
            faces, self._crops, embedded.reasons, strict=True
        ):
            if reason is not None:
                sightings.append(None)
                continue
            row = next(rows)
            sightings.append(
                Sighting(
                    frame=frame,
                    time=moment,
                    box=face.box,
                    score=face.score,
                    crop=crop,
                    embedding=images.embeddings[row],
                    style=None if images.style is None else images.style[row],
                    quality=None if images.quality is None else float(images.quality[row]),
                    own_template=own_templates[row],
                )
            )
        return sightings
