"""Small pictures of the faces of a contribution's images: sealed like the rest, and gone with the image."""

from __future__ import annotations

from collections.abc import Sequence

from probefusion.gallery.contributions.features import Kept
from probefusion.gallery.keys.encryption import DataKey
from probefusion.gallery.keys.sealing import Sealer
from probefusion.gallery.stores.records import ImageRow
from probefusion.gallery.stores.store import Reader, Writer
from probefusion.types import EmbeddingSet

__all__ = ["chips_of", "open_chip", "put_chips", "sealed_chips"]


def put_chips(
    writer: Writer, sealer: Sealer, images: Sequence[ImageRow], labels: Kept, key: DataKey | None
) -> None:
    """Keeps the pictures that a set carries, if it carries any; arguments as for `sealed_chips`."""
    for image_id, chip in sealed_chips(sealer, images, labels, key):
        writer.put_chip(image_id, chip)


def sealed_chips(
    sealer: Sealer, images: Sequence[ImageRow], labels: Kept, key: DataKey | None
) -> tuple[tuple[str, bytes], ...]:
    """The pictures that a set carries, sealed, with the ids of their images.

    Args:
        sealer: Of the collection.
        images: Rows of the images, in the order of the set.
        labels: The set, or a state, which carries none.
        key: Of the contribution.
    """
    if not isinstance(labels, EmbeddingSet) or labels.chips is None:
        return ()
    return tuple(
        (image.id, sealer.seal_chip(chip, image.id, key))
        for image, chip in zip(images, labels.chips, strict=True)
        if chip is not None
    )


def open_chip(reader: Reader, sealer: Sealer, image_id: str, key: DataKey | None) -> bytes | None:
    """The picture of an image, JPEG bytes; None if there is none."""
    sealed = reader.chip(image_id)
    return None if sealed is None else sealer.open_chip(sealed, image_id, key)


def chips_of(
    reader: Reader, sealer: Sealer, images: Sequence[ImageRow], key_id: str | None
) -> list[bytes | None] | None:
    """The pictures of some images of one contribution, None where an image has none; None if no image has one."""
    key = sealer.key(key_id)
    chips = [open_chip(reader, sealer, image.id, key) for image in images]
    return chips if any(chip is not None for chip in chips) else None
