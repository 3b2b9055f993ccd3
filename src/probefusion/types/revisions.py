"""Revisions of an embedder: networks of one name that differ in their fingerprints, and what to do where two meet."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["FORMER", "are_revisions", "name_to_load", "remedy", "remedy_for_pair"]

FORMER: Mapping[str, str] = MappingProxyType({"compact_128d@e586df908cc6": "compact_128d.r3"})
"""Former revisions of the embedder inside the package: by fingerprint the name that loads them."""


def name_to_load(fingerprint: str) -> str:
    """The name that is to be given for an embedder.

    Args:
        fingerprint: Its fingerprint.

    Example:
        >>> name_to_load("my_net@3900346931a7")
        'my_net'
    """
    return FORMER.get(fingerprint, fingerprint.partition("@")[0])


def are_revisions(first: str | None, second: str | None) -> bool:
    """Whether two fingerprints are of different networks that have one name."""
    if first is None or second is None or first == second:
        return False
    return first.partition("@")[0] == second.partition("@")[0]


def remedy(
    made_by: str | None, now: str | None, otherwise: str, *, anew: str = "embed the images anew"
) -> str:
    """What to do where something that is kept is of another embedder than what it meets.

    Args:
        made_by: Fingerprint of the embedder of what is kept.
        now: That of what it meets: the embedder that is loaded, or the fuser's.
        otherwise: What to do where the two are not revisions of one embedder.
        anew: What else can be done where they are.

    Example:
        >>> remedy("net@1", "other@2", "Embed anew.")
        'Embed anew.'
        >>> remedy("net@1", "net@2", "Embed anew.").partition(": ")[0]
        'They are revisions of net and do not mix'
    """
    if made_by is None or now is None or not are_revisions(made_by, now):
        return otherwise
    name = name_to_load(made_by)
    told = f"They are revisions of {made_by.partition('@')[0]} and do not mix: "
    if name == name_to_load(now):
        return f"{told}give the file of the one that made it (--embedder FILE.onnx), or {anew}."
    return f"{told}go on with --embedder {name} (embedder={name!r}{_got_with(made_by)}), or {anew}."


def remedy_for_pair(first: str | None, second: str | None, otherwise: str) -> str:
    """What to do where two things of different embedders meet and nothing says which of them is to stay.

    Args:
        first: Fingerprint of the embedder of the one.
        second: That of the other.
        otherwise: What to do where the two are not revisions of one embedder.
    """
    if first is None or second is None or not are_revisions(first, second):
        return otherwise
    former = next((print_ for print_ in (first, second) if print_ in FORMER), None)
    name = first.partition("@")[0]
    if former is None:
        return f"They are revisions of {name} and do not mix: embed all images with one of them."
    return (
        f"They are revisions of {name} and do not mix: embed all images with one of them. The former, {former}, is "
        f"--embedder {FORMER[former]} (embedder={FORMER[former]!r}{_got_with(former)})."
    )


def _got_with(fingerprint: str) -> str:
    name = FORMER.get(fingerprint)
    return "" if name is None else f"; got with: probefusion models pull {name}"
