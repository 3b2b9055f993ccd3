"""What users name by an id: the row, or one error for all verbs."""

from __future__ import annotations

from collections.abc import Sequence

from probefusion.errors import UnknownNameError
from probefusion.gallery.argument_checks import check_id
from probefusion.gallery.contributions.models import serving
from probefusion.gallery.stores.records import ContributionRow, ImageRow, ModelRow
from probefusion.gallery.stores.store import Reader

__all__ = ["contribution_of", "image_of", "model_of", "model_or_serving"]


def contribution_of(
    reader: Reader, item: str, *, name: str = "contribution", owner: str | None = None
) -> ContributionRow:
    """The contribution of an id.

    Args:
        reader: The collection.
        item: The id.
        name: The argument, for messages.
        owner: Id of the person who must have it; None for anybody.

    Raises:
        DtypeError: If it is no text.
        UnknownNameError: If there is none, or somebody else has it.
    """
    row = reader.contribution(check_id(item, name))
    if row is None:
        raise UnknownNameError(
            "contribution", item, (), step="person(NAME) and held() tell the ids of contributions."
        )
    if owner is not None and row.person_id != owner:
        raise UnknownNameError(
            "contribution of the person", item, [each.id for each in reader.contributions(owner)]
        )
    return row


def image_of(reader: Reader, item: str, *, name: str = "image") -> ImageRow:
    """The image of an id.

    Raises:
        DtypeError: If it is no text.
        UnknownNameError: If there is none.
    """
    row = reader.image(check_id(item, name))
    if row is None:
        raise UnknownNameError(
            "image", item, (), step="person(NAME) tells the ids of images; states have none."
        )
    return row


def model_of(rows: Sequence[ModelRow], model: str) -> ModelRow:
    """The model of an id.

    Raises:
        DtypeError: If it is no text.
        UnknownNameError: If there is none.
    """
    wanted = check_id(model, "model")
    found = next((row for row in rows if row.id == wanted), None)
    if found is None:
        raise UnknownNameError("model", wanted, [row.id for row in rows])
    return found


def model_or_serving(rows: Sequence[ModelRow], model: str | None) -> ModelRow | None:
    """The model of an id; of None the one that serves, or None where nobody was enrolled yet.

    Raises:
        DtypeError, UnknownNameError: As for `model_of`.
    """
    return serving(rows) if model is None else model_of(rows, model)
