"""What to say about fusers that are known and not here."""

from __future__ import annotations

from probefusion.zoo.fusers import absent_fusers

__all__ = ["better_than", "how_to_get"]


def how_to_get(fingerprint: str) -> str:
    """What to do where the fuser of this fingerprint is not here."""
    name = fingerprint.split("@")[0]
    if any(entry.name == name for entry in absent_fusers()):
        return f"Get it with: probefusion models pull {name}"
    return "Give its folder: --fuser DIR"


def better_than(name: str, embedder: str | None) -> str:
    """A note that a fuser made for this embedder is known but not here, or ""."""
    is_asked = embedder is not None and name in ("mean", "universal")
    known = [entry.name for entry in absent_fusers(embedder)] if is_asked else []
    if not known:
        return ""
    best = next((item for item in known if item.startswith("exact.")), known[0])
    return f"; one made for this embedder is better: probefusion models pull {best}"
