"""How alike two people of a gallery, or images and a person, are: what one may look at before and after a decision."""

from __future__ import annotations

from probefusion.errors import InvalidInputError
from probefusion.fusion import Fuser
from probefusion.gallery.index.rounded_products import rounded_products
from probefusion.gallery.results import Likeness
from probefusion.gallery.verbs.guard import unlikeness
from probefusion.types import FusionState

__all__ = ["likeness_of"]


def likeness_of(
    first: FusionState | None, second: FusionState | None, fuser: Fuser
) -> Likeness | None:
    """How alike the templates of two states are.

    Args:
        first: Of one person, or of images; None where no image counts.
        second: Of another.
        fuser: Made both.

    Returns:
        The similarity, beside what is usual for one person where that was measured for the fuser; None where one of
        the two has no template.
    """
    if first is None or second is None:
        return None
    try:
        one, other = fuser.finish(first).vector, fuser.finish(second).vector
    except InvalidInputError:  # its images cancel each other: there is no template
        return None
    similarity = float(rounded_products(one[None], other)[0])
    found = unlikeness(first, second, similarity, fuser)
    return Likeness(
        similarity=similarity,
        usual=None if found is None else found[1],
        odds_for_two=None if found is None else found[0],
    )
