"""What is worth telling of the faces that were taken from photos, in words."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict
from typing import Any

from probefusion.faces.cropping import FaceFacts
from probefusion.files.reading import in_one_line

__all__ = ["LOW_SCORE", "TINY_FACE", "faces_to_tell", "notes_on_faces"]

LOW_SCORE = 0.7
"""Faces that the detector is less sure of are told. Of faces that YuNet found upright in 250 crops of LFW and 100 of
FIW none scored less, of 250 in films one in a hundred."""

TINY_FACE = 24
"""Faces whose box has a shorter side of fewer pixels are told."""

_NAMES_SHOWN = 5


def _is_several(face: FaceFacts) -> bool:
    return face.num_alike > 1


def _is_unclear(face: FaceFacts) -> bool:
    return _is_several(face) and not face.is_common


def _is_turned(face: FaceFacts) -> bool:
    return face.turned != 0


def _is_low(face: FaceFacts) -> bool:
    return face.detector_score < LOW_SCORE


def _is_tiny(face: FaceFacts) -> bool:
    return face.face_px < TINY_FACE


def _is_cut_off(face: FaceFacts) -> bool:
    return face.is_cut_off


def _is_common(face: FaceFacts) -> bool:
    return _is_several(face) and face.is_common


_KINDS: tuple[tuple[Callable[[FaceFacts], bool], str, Callable[[FaceFacts], str]], ...] = (
    (_is_turned, "turned, and put upright", lambda face: f"{face.turned} degrees"),
    (
        _is_unclear,
        "of several faces of about one size, of which the largest was taken",
        lambda face: f"{face.num_faces} faces",
    ),
    (
        _is_common,
        "of several faces of about one size, of which the one common to all photos was taken",
        lambda face: f"{face.num_faces} faces",
    ),
    (
        _is_low,
        f"of a face that the detector is not sure of (a score below {LOW_SCORE:g})",
        lambda face: f"{face.detector_score:.2f}",
    ),
    (
        _is_tiny,
        f"of a face of fewer than {TINY_FACE} pixels",
        lambda face: f"{face.face_px:.0f} pixels",
    ),
    (_is_cut_off, "of a face that reaches beyond the photo", lambda face: "cut off"),
)
"""Whether a photo is of the kind, what it is then, and the figure of one photo."""


def notes_on_faces(faces: Sequence[FaceFacts]) -> list[str]:
    """A line for each kind of photo that whoever uses the faces should know of; nothing was left out.

    Those are photos that are turned, show several faces of about one size, or a face that is doubtful (a score below
    `LOW_SCORE`), smaller than `TINY_FACE` pixels, or cut off by the edge.

    Args:
        faces: What is known of the faces, as `EmbeddingReport.faces`.
    """
    lines = []
    for is_kind, what, figure in _KINDS:
        found = [face for face in faces if is_kind(face)]
        if found:
            shown = [
                f"{in_one_line(face.source)} ({figure(face)})" for face in found[:_NAMES_SHOWN]
            ]
            more = len(found) - len(shown)
            lines.append(
                f"{len(found)} of {len(faces)} photos {what}: {', '.join(shown)}"
                f"{f' and {more} more' if more else ''}"
            )
    return lines


def faces_to_tell(faces: Iterable[FaceFacts]) -> list[dict[str, Any]]:
    """The facts of the photos that `notes_on_faces` tells of, for JSON.

    Args:
        faces: What is known of the faces.
    """
    return [asdict(face) for face in faces if any(is_kind(face) for is_kind, _, _ in _KINDS)]
