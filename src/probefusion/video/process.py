"""From a video to its people: decode, detect, align, embed, track and fuse, in constant memory."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.checks import MIN_NORM, row_norms
from probefusion.embedders import Embedder
from probefusion.errors import ConfigError, EmptySetError, InvalidInputError
from probefusion.faces import Detector, Face, align_face
from probefusion.faces.frames import VideoReader
from probefusion.fusion import Fuser
from probefusion.types import EmbeddingSet, FloatArray
from probefusion.video.clip import Clip, Counts, Person
from probefusion.video.identities import IdentityThresholds, TrackAssigner
from probefusion.video.motion import MotionTracker
from probefusion.video.row_file import RowFile
from probefusion.video.track import Sighting, TrackSettings

__all__ = ["VideoSettings", "process_video"]

_CROPS_AT_ONCE = 32
_FRAMES_AT_ONCE = 32


@dataclass(frozen=True, kw_only=True)
class VideoSettings:
    """How a video is turned into people.

    Args:
        max_faces: Faces taken from one frame at most, the largest ones.
        min_size: Least width and height of a face's box in pixels.
        min_images: Tracks of fewer images are left out (and counted).
        max_gap: Seconds for which an unseen face is still expected where it was going.
        chunk_size: Images encoded at a time; exact fusers do not depend on it.
        split_below: As for `IdentityThresholds`; None takes the fuser's calibration.
        reenter_from: As for `IdentityThresholds`; None takes the fuser's calibration.

    Raises:
        ConfigError: If a value is out of range.
    """

    max_faces: int = 20
    min_size: float = 0.0
    min_images: int = 3
    max_gap: float = 0.5
    chunk_size: int = 32
    split_below: float | None = None
    reenter_from: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_faces", "min_images", "chunk_size"):
            value = getattr(self, name)
            if type(value) is not int or value < 1:
                raise ConfigError(f"{name}: expected a whole number of at least 1, got {value!r}.")
        if not 0 <= self.min_size < float("inf"):
            raise ConfigError(f"min_size: expected pixels of at least 0, got {self.min_size}.")
        if not 0 < self.max_gap < 1e6:
            raise ConfigError(f"max_gap: expected seconds above 0, got {self.max_gap}.")
        for name in ("split_below", "reenter_from"):
            value = getattr(self, name)
            if value is not None and not -1 <= value <= 1:
                raise ConfigError(f"{name}: expected a similarity from -1 to 1, got {value}.")


def process_video(
    reader: VideoReader,
    detector: Detector,
    embedder: Embedder,
    fuser: Fuser,
    settings: VideoSettings | None = None,
    *,
    progress: Callable[[int, int | None], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
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
        progress: Called with the number of frames read, and in all where that is known.
        should_stop: Asked after each frame; when it says so, what was read is finished and given.

    Returns:
        The clip; close it when done.

    Raises:
        FileFormatError: If no frame could be decoded.
        EmptySetError: If no person was found; says what became of the faces.
        ProbeFusionError: If embedder and fuser do not fit.
    """
    settings = settings or VideoSettings()
    begin = time.monotonic()
    run = _Run(reader, embedder, fuser, settings)
    try:
        for frame in reader:
            run.take(frame.index, frame.time, frame.image, detector)
            if progress is not None:
                progress(reader.num_read, reader.facts.num_frames)
            if should_stop is not None and should_stop():
                break
        people = run.finish()
    except BaseException:
        run.row_file.close()
        raise
    clip = Clip(
        facts=reader.facts,
        people=people,
        counts=run.counts,
        problems=reader.problems,
        decisions=run.assigner.decisions,
        seconds=time.monotonic() - begin,
        last_time=run.last_time,
        fuser=fuser,
        embedder=embedder.fingerprint,
        row_file=run.row_file,
    )
    clip.counts.frames_read = reader.num_read
    if not people:
        clip.close()
        raise EmptySetError(_why_nobody(clip, settings))
    return clip


class _Run:
    """The stages of one video, fed frame by frame."""

    def __init__(
        self, reader: VideoReader, embedder: Embedder, fuser: Fuser, settings: VideoSettings
    ) -> None:
        self.counts = Counts()
        self.row_file = RowFile()
        self.last_time = 0.0
        self._settings, self._embedder, self._fuser = settings, embedder, fuser
        gap = max(settings.max_gap, 2.5 * reader.step)
        track_settings = TrackSettings(
            fuser=fuser,
            embedder=embedder.fingerprint,
            norms_known=embedder.norms_known,
            row_file=self.row_file,
            chunk_size=settings.chunk_size,
            max_gap=gap,
        )
        self._motion = MotionTracker(max_gap=gap)
        thresholds = IdentityThresholds.of(
            fuser, split_below=settings.split_below, reenter_from=settings.reenter_from
        )
        self.assigner = TrackAssigner(track_settings, thresholds)
        self._waiting: list[tuple[int, float, list[Face]]] = []
        self._crops: list[npt.NDArray[np.uint8]] = []

    def take(
        self, index: int, moment: float, image: npt.NDArray[np.uint8], detector: Detector
    ) -> None:
        """Finds the faces of a frame; goes on with them once enough are together."""
        self.counts.frames_used += 1
        self.last_time = moment
        faces = self._choose(detector.detect(image))
        kept = []
        for face in faces:
            try:
                crop = align_face(image, face.landmarks, size=self._embedder.spec.input_size)
            except InvalidInputError:
                self.counts.faces_unusable += 1
                continue
            kept.append(face)
            self._crops.append(crop)
        self._waiting.append((index, moment, kept))
        if len(self._crops) >= _CROPS_AT_ONCE or len(self._waiting) >= _FRAMES_AT_ONCE:
            self._place()

    def finish(self) -> list[Person]:
        """Ends all tracks; the people with enough images, most images first."""
        self._place()
        people = []
        for track in self.assigner.finish():
            if track.num_images < self._settings.min_images:
                self.counts.tracks_too_short += 1
                self.counts.images_in_short_tracks += track.num_images
            else:
                people.append(Person([track], self._fuser))
        return sorted(people, key=lambda person: (-person.num_images, person.number))

    def _choose(self, faces: Sequence[Face]) -> list[Face]:
        self.counts.faces_found += len(faces)
        large = [face for face in faces if min(face.box[2:]) >= self._settings.min_size]
        self.counts.faces_too_small += len(faces) - len(large)
        chosen = sorted(large, key=lambda face: -face.area)[: self._settings.max_faces]
        self.counts.faces_beyond_limit += len(large) - len(chosen)
        return chosen

    def _place(self) -> None:
        """Embeds the waiting faces together, then gives them to the tracks frame by frame."""
        embedded = iter(self._embed())
        for index, moment, faces in self._waiting:
            crops = [next(embedded) for _ in faces]
            names = self._motion.update(faces, moment)
            for face, name, (crop, values) in zip(faces, names, crops, strict=True):
                if values is None:
                    self.counts.faces_unusable += 1
                elif name is None:
                    self.counts.faces_untracked += 1
                else:
                    embedding, style, own_template = values
                    sighting = Sighting(
                        frame=index,
                        time=moment,
                        box=face.box,
                        score=face.score,
                        crop=crop,
                        embedding=embedding,
                        style=style,
                        own_template=own_template,
                    )
                    self.assigner.place(name, sighting)
            self.assigner.expire(moment)
        self._waiting, self._crops = [], []

    def _embed(
        self,
    ) -> list[
        tuple[npt.NDArray[np.uint8], tuple[FloatArray, FloatArray | None, FloatArray] | None]
    ]:
        """Each waiting crop with embedding, style and the fuser's vector of it alone, or None."""
        if not self._crops:
            return []
        embeddings, style = self._embedder.embed(np.stack(self._crops))
        norms = row_norms(embeddings)
        usable = np.isfinite(norms) & (norms >= MIN_NORM)
        if style is not None:
            usable &= np.isfinite(style.reshape(len(style), -1)).all(axis=1)
        rows = np.flatnonzero(usable)
        values: dict[int, tuple[FloatArray, FloatArray | None, FloatArray]] = {}
        if len(rows):
            images = EmbeddingSet(
                embeddings=embeddings[rows],
                style=None if style is None else style[rows],
                embedder=self._embedder.fingerprint,
                norms_known=self._embedder.norms_known,
            )
            own_templates = self._fuser.fuse_many(images, np.arange(len(rows) + 1))
            for place, row in enumerate(rows):
                own_style = None if style is None else style[row]
                values[int(row)] = (embeddings[row], own_style, own_templates[place])
        return [(crop, values.get(row)) for row, crop in enumerate(self._crops)]


def _why_nobody(clip: Clip, settings: VideoSettings) -> str:
    counts = clip.counts
    text = f"{clip.facts.source}: no person found in {counts.frames_used} frames"
    if not counts.faces_found:
        text += ": they show no face that the detector can see"
    else:
        text += (
            f": of {counts.faces_found} faces {counts.faces_too_small} were smaller than "
            f"{settings.min_size:g} pixels, {counts.faces_unusable} unusable, {counts.faces_untracked} "
            f"untracked, {counts.images_in_short_tracks} in {counts.tracks_too_short} tracks of fewer "
            f"than {settings.min_images} images. Lower --min-size or --min-images"
        )
    problems = f" ({'; '.join(clip.problems)})" if clip.problems else ""
    return f"{text}{problems}."
