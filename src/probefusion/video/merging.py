"""Merging tracks of the same person after the fact, by their states."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from probefusion.errors import ConfigError
from probefusion.fusion import Fuser
from probefusion.video.clip import Clip, Person

__all__ = ["merge_clip", "merge_people"]

_REFUSALS_TOLD = 200
"""Refused pairs that are told at most, the most similar ones."""


def merge_clip(clip: Clip, threshold: float) -> None:
    """Merges the people of a clip as `merge_people` does, and notes the decisions in it.

    Args:
        clip: The clip; its people and decisions are changed.
        threshold: Least cosine of two templates.

    Raises:
        ConfigError: If `threshold` is no cosine.
    """
    clip.people, decisions = merge_people(clip.people, clip.fuser, threshold)
    clip.decisions += decisions


def merge_people(
    people: Sequence[Person], fuser: Fuser, threshold: float
) -> tuple[list[Person], list[dict[str, Any]]]:
    """Merges the most similar two people again and again while they are similar enough.

    The state of two people merged is the sum of their states, so the result is that of one person who
    had been tracked without a break. Two who were seen in one frame are never merged.

    Args:
        people: The people of one video.
        fuser: The fuser that made their states.
        threshold: Least cosine of two templates.

    Returns:
        The people left, most images first; and the decisions: every merge in order, then the pairs
        that were refused although similar enough (seen together), and for each person left the most
        similar other one that stayed below the threshold.

    Raises:
        ConfigError: If `threshold` is no cosine.
    """
    if not -1 <= threshold <= 1:
        raise ConfigError(f"threshold: expected a similarity from -1 to 1, got {threshold}.")
    left = list(people)
    if len(left) < 2:
        return left, []
    vectors = np.stack([person.template.vector for person in left]).astype(np.float64)
    apart = np.array([[one is two or one.meets(two) for two in left] for one in left])
    decisions: list[dict[str, Any]] = []
    while len(left) > 1:
        similarities = np.where(apart, -2.0, vectors @ vectors.T)
        first, second = np.unravel_index(int(similarities.argmax()), similarities.shape)
        if similarities[first, second] < threshold:
            break
        kept, gone = sorted((int(first), int(second)), key=lambda place: left[place].number)
        decisions.append(
            _decision(
                left[kept], left[gone], float(similarities[first, second]), threshold, "merge"
            )
        )
        tracks = [*left[kept].tracks, *left[gone].tracks]
        merged = Person(tracks, fuser, left[kept].source, calibration=left[kept].calibration)
        left[kept] = merged
        vectors[kept] = merged.template.vector
        apart[kept] |= apart[gone]
        apart[:, kept] |= apart[:, gone]
        del left[gone]
        vectors = np.delete(vectors, gone, axis=0)
        apart = np.delete(np.delete(apart, gone, axis=0), gone, axis=1)
    decisions += _refusals(left, vectors, apart, threshold)
    return sorted(left, key=lambda person: (-person.num_images, person.number)), decisions


def _refusals(
    left: list[Person], vectors: np.ndarray[Any, Any], apart: np.ndarray[Any, Any], threshold: float
) -> list[dict[str, Any]]:
    similarities = vectors @ vectors.T
    np.fill_diagonal(similarities, -2.0)
    pairs: dict[tuple[int, int], str] = {}
    for first, second in zip(*np.nonzero(apart & (similarities >= threshold)), strict=True):
        pairs[min(first, second), max(first, second)] = "refused: seen in the same frame"
    open_pairs = np.where(apart, -2.0, similarities)
    for first in range(len(left)):
        second = int(open_pairs[first].argmax())
        if open_pairs[first, second] > -2.0:
            pairs.setdefault(
                (min(first, second), max(first, second)), "refused: below the threshold"
            )
    ordered = sorted(pairs, key=lambda pair: -similarities[pair])[:_REFUSALS_TOLD]
    return [
        _decision(left[a], left[b], float(similarities[a, b]), threshold, pairs[a, b])
        for a, b in ordered
    ]


def _decision(
    one: Person, two: Person, similarity: float, threshold: float, kind: str
) -> dict[str, Any]:
    return {
        "kind": kind,
        "track": one.number,
        "other_track": two.number,
        "num_images": [one.num_images, two.num_images],
        "similarity": similarity,
        "threshold": threshold,
    }
