"""What to say about fusers that are known and not here."""

from __future__ import annotations

from collections.abc import Sequence

from probefusion.types import EmbeddingSet
from probefusion.zoo.fusers import absent_fusers

__all__ = ["better_than", "how_to_get"]


def how_to_get(fingerprint: str) -> str:
    """What to do where the fuser of this fingerprint is not here."""
    name = fingerprint.split("@")[0]
    if any(entry.name == name for entry in absent_fusers()):
        return f"Get it with: probefusion models pull {name}"
    return "Give its folder: --fuser DIR"


def better_than(name: str, sets: Sequence[EmbeddingSet]) -> str:
    """A note that a fuser which would be taken for these sets is known but not here, or "".

    Args:
        name: The fuser that is taken.
        sets: What it fuses, all of one embedder; of several nothing is said.
    """
    embedders = {images.embedder for images in sets}
    if name not in ("mean", "universal") or len(embedders) != 1 or None in embedders:
        return ""
    known = [entry.name for entry in absent_fusers(embedders.pop())]
    for architecture in _taken_first(sets):
        for item in known:
            if item.startswith(f"{architecture}."):
                return f"; one made for this embedder is better: probefusion models pull {item}"
    return ""


def _taken_first(sets: Sequence[EmbeddingSet]) -> tuple[str, ...]:
    """Architectures whose needs all sets meet, the one that sees most first, as `suggest_fuser` takes them."""
    has_style = all(images.style is not None for images in sets)
    has_norms = all(images.norms_known for images in sets)
    needs = {"exact": has_style and has_norms, "exact-embedding": has_norms, "exact-unit": True}
    return tuple(architecture for architecture, is_met in needs.items() if is_met)
