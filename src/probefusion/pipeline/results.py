"""What the use cases give: a fused person, fused people, a found face."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from probefusion.errors import UnsupportedOperationError
from probefusion.types import EmbeddingSet, FloatArray, FusionState, Template

if TYPE_CHECKING:
    from probefusion.faces import FaceFacts, SkippedImage
    from probefusion.screening import Screening
    from probefusion.screening.usability import Usability
    from probefusion.types import TemplateSet
    from probefusion.types.usability import Verdict

__all__ = ["FaceChoice", "FoundFace", "Fused", "FusedPeople", "ImageWeight"]

_LINES_SHOWN = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class FoundFace:
    """One face of a photo.

    Args:
        source: The photo's path, or "image" for an array.
        box: (4,) float32: x and y of the upper left corner, width, height, in pixels.
        score: How sure the detector is, 0 to 1.
        landmarks: (5, 2) float32, x and y in pixels: eyes, nose, mouth corners.
        images: Its embedding, a set of one image.
        template: That image alone through the fuser, to be compared with other templates of it.
        turned: By how many degrees the face is turned counter-clockwise: 0, 90, 180 or 270.
    """

    source: str
    box: FloatArray
    score: float
    landmarks: FloatArray
    images: EmbeddingSet
    template: Template
    turned: int = 0

    def __repr__(self) -> str:
        """Where it is and how sure the detector is."""
        x, y, width, height = (round(float(value)) for value in self.box)
        turned = f", turned {self.turned}" if self.turned else ""
        return f"FoundFace({self.source!r}, {width}x{height} at ({x}, {y}), score {self.score:.2f}{turned})"


@dataclass(frozen=True, kw_only=True)
class FaceChoice:
    """How faces were chosen in photos that show several of about one size.

    Args:
        num_photos: How many such photos there are.
        num_changed: In how many of them another face than the largest was taken.
        is_clear: Whether one face is common to the photos; otherwise the largest of each was taken.
        reason: Why none is, in words; "" otherwise.
    """

    num_photos: int
    num_changed: int
    is_clear: bool
    reason: str = ""

    def __str__(self) -> str:
        """The choice in words."""
        photos = "1 photo shows" if self.num_photos == 1 else f"{self.num_photos} photos show"
        seen = f"{photos} several faces of about one size"
        if self.is_clear:
            return f"{seen}: taken is the face common to all photos, in {self.num_changed} not the largest"
        return (
            f"{seen}, and who is meant cannot be told ({self.reason}): taken is the largest of each"
        )


@dataclass(frozen=True, kw_only=True)
class ImageWeight:
    """How much one image counts in a template.

    Args:
        source: Its name.
        weight: Its share of the template, 0 to 1; those of all images sum to 1.
        similarity: Cosine between the template of this image alone and that of all.
        verdict: Whether the template of this image alone would be usable; None where that is not known.
    """

    source: str
    weight: float
    similarity: float
    verdict: Verdict | None = None


@dataclass(frozen=True, kw_only=True, eq=False)
class Fused:
    """One person's images as one template, and what became of the inputs.

    Args:
        template: The template, with the weight of each image unless a saved state was among the inputs, and with what
            can be expected of it.
        state: The state, to which images can be added later; None if the fuser has none.
        images: The embeddings of the images that were used, as one set, which a gallery keeps; None if states
            are among the inputs, a video whose images were not all kept (more than 1,024 of a track, or a fuser that
            is not exact), or sets that do not go together.
        sources: Names of the images, one each, in the order of the weights; None if none is known.
        skipped: Images that were left out, with reasons.
        problems: What went wrong while reading videos, in words.
        num_faces: (N,) integers, faces seen in the photo of each image (the largest was taken); None
            if not all images are photos.
        faces: What is to be known of the face of each photo, whatever else was among the inputs.
        num_tracks: Most tracks, each of one person, in a video of the inputs (the one with the most images was
            taken); 0 without a video.
        was_stopped: Whether reading was ended early on request.
        screening: Whether the images, as they were given, are of one person, or why nobody looked.
        face_choice: How faces were chosen in photos of several; None if there were none.
        usability: What can be expected of the template, from its state.
        gain: Predicted gain over the plain mean, in similarity to a clean image; None where it is not known.
    """

    template: Template
    state: FusionState | None = None
    images: EmbeddingSet | None = field(default=None, repr=False)
    sources: tuple[str, ...] | None = None
    skipped: tuple[SkippedImage, ...] = ()
    problems: tuple[str, ...] = ()
    num_faces: npt.NDArray[np.int64] | None = None
    faces: tuple[FaceFacts, ...] = ()
    num_tracks: int = 0
    was_stopped: bool = False
    screening: Screening | None = None
    face_choice: FaceChoice | None = None
    similarities: Callable[[], FloatArray] | None = field(default=None, repr=False)
    """Works out (N,) cosines between each image's own template and that of all; see `explain`."""
    usability: Usability | None = None
    gain: Callable[[], float | None] | None = field(default=None, repr=False)
    """Works out the gain when asked."""
    verdicts: Callable[[], tuple[Verdict, ...] | None] | None = field(default=None, repr=False)
    """Works out what can be expected of each image alone; see `explain`."""

    @property
    def num_images(self) -> int:
        """How many images are fused."""
        return self.template.num_images

    @property
    def notes(self) -> list[str]:
        """What is to be known of photos that were used, in words, as `notes_on_faces` tells it."""
        return _notes(self.faces)

    def explain(self) -> list[ImageWeight]:
        """What each image counts, the one with the largest weight first.

        Raises:
            UnsupportedOperationError: If the weights are not known, because a saved state, which does
                not hold its images, was among the inputs.
        """
        weights = self.template.weights
        if weights is None or self.similarities is None:
            raise UnsupportedOperationError(
                f"explain: the weights of the {self.num_images} images are not known, since a saved state does "
                f"not hold its images. Fuse the images or embeddings themselves."
            )
        names = self.sources or [f"image {row}" for row in range(len(weights))]
        similarities = self.similarities()
        verdicts = (None if self.verdicts is None else self.verdicts()) or (None,) * len(weights)
        return [
            ImageWeight(
                source=names[row],
                weight=float(weights[row]),
                similarity=float(similarities[row]),
                verdict=verdicts[row],
            )
            for row in np.argsort(-weights, kind="stable")
        ]

    def __str__(self) -> str:
        """The template in a line, and a line for each thing to know."""
        template = self.template
        images = "1 image" if self.num_images == 1 else f"{self.num_images} images"
        lines = [f"{images} fused by {template.fuser}, {template.dim} dimensions"]
        if template.embedder is not None:
            lines.append(f"embedder: {template.embedder}")
        if self.usability is not None:
            lines.append(str(self.usability))
        if self.num_tracks > 1:
            lines.append(
                f"{self.num_tracks} tracks in the video: taken is the one with the most images"
            )
        lines += self.notes
        if self.face_choice is not None and self.face_choice.is_clear:
            lines.append(str(self.face_choice))
        if self.screening is not None and not self.screening.falls_apart:
            lines.append(str(self.screening))
        return "\n".join([*lines, *_left_out(self.skipped, self.problems)])


@dataclass(frozen=True, kw_only=True, eq=False)
class FusedPeople:
    """The people of a folder of folders, a template each.

    Args:
        templates: The templates, by the names of the folders.
        skipped: Images that were left out, with reasons.
        problems: People of whom no image could be used, whose images seem to be of several, or whose template
            is not usable, in words.
        faces: What is to be known of the face of each photo that was used.
        screenings: Whether each person's images, as they were given, are of one person, by name.
        usabilities: What can be expected of each person's template, by name.
    """

    templates: TemplateSet
    skipped: tuple[SkippedImage, ...] = ()
    problems: tuple[str, ...] = ()
    faces: tuple[FaceFacts, ...] = ()
    screenings: Mapping[str, Screening] = field(default_factory=dict, repr=False)
    usabilities: Mapping[str, Usability] = field(default_factory=dict, repr=False)

    @property
    def notes(self) -> list[str]:
        """As for `Fused`."""
        return _notes(self.faces)

    def __str__(self) -> str:
        """The people in a line, and a line for each thing to know."""
        templates = self.templates
        images = int(np.sum(templates.num_images))
        line = (
            f"{len(templates)} people, {images} images fused by {templates.fuser}, {templates.dim} "
            f"dimensions"
        )
        return "\n".join([line, *self.notes, *_left_out(self.skipped, self.problems)])


def _notes(faces: tuple[FaceFacts, ...]) -> list[str]:
    from probefusion.faces import notes_on_faces

    return notes_on_faces(faces)


def _left_out(skipped: tuple[SkippedImage, ...], problems: tuple[str, ...]) -> list[str]:
    lines = [f"warning: {problem}" for problem in problems]
    if skipped:
        lines.append("skipped 1 image:" if len(skipped) == 1 else f"skipped {len(skipped)} images:")
        lines += [f"  {image}" for image in skipped[:_LINES_SHOWN]]
        if len(skipped) > _LINES_SHOWN:
            lines.append(f"  and {len(skipped) - _LINES_SHOWN} more (all in .skipped)")
    return lines
