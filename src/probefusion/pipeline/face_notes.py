"""What is to be known of the faces that were taken from photos, told in the log."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from probefusion.faces import FaceFacts

__all__ = ["tell_notes"]

_log = logging.getLogger("probefusion")


def tell_notes(faces: Sequence[FaceFacts]) -> None:
    """Notes in the log `probefusion`, as warnings, what `notes_on_faces` says of the photos that were used.

    Args:
        faces: What is known of their faces.
    """
    if not faces:
        return
    from probefusion.faces import notes_on_faces

    for note in notes_on_faces(faces):
        _log.warning("%s", note)
