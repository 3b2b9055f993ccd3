"""What was measured of one person's images, by view; made by `python -m research.screening.measure --constants`."""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

from probefusion.screening.expectation import Expectation
from probefusion.screening.known import CAUTIOUS as CAUTIOUS_OF_TEMPLATES

__all__ = ["CAUTIOUS", "NORMS", "expectation_of_images", "network_of"]

NORMS = {"mobilefacenet_128d": 13.4, "compact_128d": 0.77}
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

_FILE = "expectations.json"


def network_of(embedder: str | None) -> str | None:
    """The measured network that an embedder is, by its fingerprint; None for any other."""
    name = (embedder or "").lower()
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
    return _known().get(view if network is None else f"{view} of {network}")


@cache
def _known() -> dict[str, Expectation]:
    text = (files("probefusion.screening") / _FILE).read_text(encoding="utf-8")
    return {view: _expectation(facts) for view, facts in json.loads(text).items()}


def _expectation(facts: dict[str, Any]) -> Expectation:
    masses, counts = facts["limits"]
    return Expectation(
        cosine=tuple(facts["cosine"]),
        log_spread=tuple(facts["log_spread"]),
        limits=((masses[0], masses[1]), (counts[0], counts[1])),
        threshold=facts["threshold"],
        measured_on=facts["measured_on"],
        sharpness=facts["sharpness"],
    )
