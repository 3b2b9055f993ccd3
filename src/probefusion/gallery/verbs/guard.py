"""Do images belong to the person they are said to be of? Doubts, with reasons."""

from __future__ import annotations

import math

import numpy as np

from probefusion.errors import ProbeFusionError
from probefusion.fusion import Fuser
from probefusion.gallery.contributions.features import Kept
from probefusion.gallery.index.people_index import Found, PeopleIndex
from probefusion.gallery.index.rounded_products import rounded_products
from probefusion.gallery.results import Doubt, DoubtKind
from probefusion.screening import screen
from probefusion.screening.expectation import Halves
from probefusion.screening.known import expectation_for
from probefusion.types import EmbeddingSet, FusionState

__all__ = [
    "UNLIKE",
    "doubt_not_compared",
    "doubt_of_new",
    "doubt_of_nobody",
    "doubts_about",
    "doubts_within",
    "unlikeness",
]

UNLIKE = 2.0
"""Score, a logarithm of odds for two people, from which on images are unlike the person: of right visits of 1 to 8 poor
images at most 1 in 100 reached it (`python -m research.screening.visits`)."""


def doubts_within(kept: Kept, fuser: Fuser) -> tuple[Doubt, ...]:
    """Whether the images themselves seem to be of several people."""
    if not isinstance(kept, EmbeddingSet):
        return ()
    found = screen(kept, fuser)
    return (Doubt(kind="several people", reason=str(found)),) if found.falls_apart else ()


def doubts_about(
    state: FusionState, person: FusionState | None, person_id: str, fuser: Fuser, index: PeopleIndex
) -> tuple[Doubt, ...]:
    """Whether images are unlike the person, or closer to another one.

    Args:
        state: Of the new images.
        person: State of the person without them; None if the person has no image.
        person_id: Who it is.
        fuser: Made both states.
        index: All people by the same fuser.
    """
    if person is None:
        return ()
    new, known = fuser.finish(state).vector, fuser.finish(person).vector
    own = float(rounded_products(known[None], new)[0])
    doubts = []
    others = [found for found in index.look(new, top_k=2).found if found.person.id != person_id]
    if others and others[0].similarity > own:
        other = others[0]
        words = f"closer to {{other}} (similarity {other.similarity:.3f}) than to this person ({own:.3f})"
        doubts.append(_doubt("closer to another person", words, other))
    unlike = _unlike(state, person, own, fuser)
    if unlike is not None:
        doubts.append(unlike)
    return tuple(doubts)


def doubt_of_nobody(
    state: FusionState, other: FusionState, found: Found, fuser: Fuser
) -> tuple[Doubt, ...]:
    """Whether images for a person who has none, as all were taken out, are rather those of somebody else.

    Args:
        state: Of the new images.
        other: State of the person of the gallery who is closest to them.
        found: That person.
        fuser: Made both states; without known expectations there is no doubt.
    """
    like = unlikeness(state, other, found.similarity, fuser)
    if like is None or like[0] > 0:
        return ()
    words = (
        f"this person has no image to compare with, and they are rather of {{other}} (similarity "
        f"{found.similarity:.3f}, where {like[1]:.2f} is usual)"
    )
    return (_doubt("closer to another person", words, found),)


def doubt_of_new(
    state: FusionState, other: FusionState, found: Found, fuser: Fuser, *, size: int
) -> tuple[Doubt, ...]:
    """Whether images of somebody who is said to be new are those of a person who is there under another name.

    Among many people somebody is alike by chance; so the odds for one person must be larger than their number, by as
    much as the odds for two people before a visit is held.

    Args:
        state: Of the images.
        other: State of the person of the gallery who is closest to them.
        found: That person.
        fuser: Made both states; without known expectations there is no doubt.
        size: How many people there are.
    """
    like = unlikeness(state, other, found.similarity, fuser)
    if like is None or like[0] > -UNLIKE - math.log(max(size, 1)):
        return ()
    words = (
        f"{{other}} seems to be the same person (similarity {found.similarity:.3f}, where {like[1]:.2f} is "
        f"usual). If so: merge them"
    )
    return (_doubt("there under another name", words, found),)


def doubt_not_compared(found: Found, error: ProbeFusionError) -> Doubt:
    """That images could not be compared with the most similar person, of whom something was damaged.

    Args:
        found: That person.
        error: What was damaged.
    """
    words = f"they are most similar to {{other}}, with whom they could not be compared: {error}"
    return _doubt("not compared", words, found)


def unlikeness(
    state: FusionState, person: FusionState, similarity: float, fuser: Fuser
) -> tuple[float, float] | None:
    """How much the similarity of images to a person speaks for two people.

    Args:
        state: Of the images.
        person: Of the person.
        similarity: Cosine between their templates.
        fuser: Made both.

    Returns:
        The score, a logarithm of odds, and the similarity that is usual for one person with images so good; None for
        fusers of which it was not measured what to expect.
    """
    expected = expectation_for(fuser.fingerprint)
    if expected is None:
        return None
    whole = state + person
    weight, rest = (float(fuser.weigh(whole, part.mass[None])[0]) for part in (state, person))
    halves = Halves(
        part_masses=np.array([state.mass.sum()]),
        other_masses=np.array([person.mass.sum()]),
        part_counts=np.array([state.num_images]),
        other_counts=np.array([person.num_images]),
        part_weights=np.array([weight / (weight + rest) if weight + rest > 0 else 0.0]),
    )
    score = float(expected.scores(np.array([similarity]), halves)[0])
    return score, float(expected.of(halves)[0][0])


def _doubt(kind: DoubtKind, words: str, found: Found) -> Doubt:
    """A doubt that names another person."""
    reason = words.replace("{other}", found.person.name)
    return Doubt(kind=kind, reason=reason, other=found.person.id, words=words)


def _unlike(state: FusionState, person: FusionState, own: float, fuser: Fuser) -> Doubt | None:
    """Whether the images are less alike than those of one person with so much weight are."""
    found = unlikeness(state, person, own, fuser)
    if found is None or found[0] <= UNLIKE:
        return None
    score, usual = found
    return Doubt(
        kind="unlike the person",
        reason=(
            f"similarity {own:.3f} to this person, where {usual:.2f} is usual with images so good (score {score:.1f}, "
            f"at most {UNLIKE:g})"
        ),
    )
