"""What was measured of one person's images, by view; made by `python -m research.screening.measure --constants`."""

from __future__ import annotations

from probefusion.screening.expectation import Expectation
from probefusion.screening.known import CAUTIOUS as CAUTIOUS_OF_TEMPLATES
from probefusion.screening.records import recorded
from probefusion.types.revisions import FORMER

__all__ = ["CAUTIOUS", "NORMS", "expectation_of_images", "network_of"]

NORMS = {"mobilefacenet_128d": 13.4, "compact_128d": 0.73, "compact_128d.r3": 0.77}
"""Usual length of an embedding, of embedders of which it says how good the image is."""

CAUTIOUS = CAUTIOUS_OF_TEMPLATES
"""For images of which nothing is known but their embeddings, by any embedder; clear cases count, so the worst split."""

_NETWORKS = {
    "mobilefacenet_128d@": "mobilefacenet_128d",
    "compact_128d@": "compact_128d",
    "edgeface_xs": "edgeface_xs",
    "opencv_sface": "opencv_sface",
}
"""Beginnings of the names of embedders that were measured; SFace in 8 bits gives what SFace gives."""


def network_of(embedder: str | None) -> str | None:
    """The measured network that an embedder is, by its fingerprint; None for any other.

    A former revision of an embedder is a network of its own, under the name that loads it.
    """
    name = (embedder or "").lower()
    if name in FORMER:
        return FORMER[name]
    found = [network for start, network in _NETWORKS.items() if name.startswith(start)]
    return found[0] if found else None


def expectation_of_images(view: str, network: str | None = None) -> Expectation | None:
    """What to expect by a view.

    Args:
        view: The fingerprint of a fuser, or "norms of" an embedder.
        network: For fusers that take any embedder: which network's images, as `network_of` gives it; None for any.

    Returns:
        None if it was not measured.
    """
    return recorded(view if network is None else f"{view} of {network}")
