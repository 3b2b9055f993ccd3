"""The person of a video that is fused with the other inputs."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

import numpy as np

from probefusion.pipeline.merge import SeenPerson

if TYPE_CHECKING:
    from probefusion.video import Clip

__all__ = ["seen_most"]

_log = logging.getLogger("probefusion")

_COUNTS_SHOWN = 10


def seen_most(clip: Clip) -> SeenPerson:
    """The person with the most images of a clip; others are told in the log."""
    person = clip.people[0]
    name = clip.facts.source
    if len(clip.people) > 1:
        counts = ", ".join(str(other.num_images) for other in clip.people[:_COUNTS_SHOWN])
        _log.warning(
            "%s: %d tracks, each of one person (%s images); taken is the one with the most images. All of "
            "them: probefusion video %s -o DIR --detector MODEL",
            name,
            len(clip.people),
            counts,
            name,
        )
    rows = [rows.copy() for rows, _ in person.blocks()]
    times = np.concatenate([part["time"] for part in rows])
    return SeenPerson(
        state=person.state,
        shares=np.concatenate([part["shares"] for part in rows]),
        alone=np.concatenate([part["own_template"] for part in rows]).astype(np.float32),
        sources=tuple(f"{name}#t={moment:.3f}" for moment in times),
        sample=person.sample(name),
        images=person.images,
    )
