"""Small pictures of faces, for the eye."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from probefusion.errors import ConfigError
from probefusion.gallery.contributions.chips import open_chip
from probefusion.gallery.contributions.material import Material
from probefusion.gallery.core import GalleryCore
from probefusion.gallery.stores.records import Keep
from probefusion.gallery.verbs.named_rows import contribution_of, image_of
from probefusion.types import EmbeddingSet

__all__ = ["Chips", "with_chips"]


class Chips(GalleryCore):
    """The part of `Gallery` that shows faces."""

    def chip(self, image: str) -> bytes | None:
        """The small picture of an image: JPEG bytes, or None if none was given with it.

        A chip is personal data that everybody recognises. It is sealed like the features, and goes when the image,
        its contribution or its person is forgotten, or compacted.

        Args:
            image: Id of the image, as `person` tells it.

        Raises:
            UnknownNameError: If there is no such image.
            MissingKeyError, SealError: If it cannot be opened.
            ProbeFusionError: If the store cannot be read.
        """
        with self._reading() as reader:
            row = image_of(reader, image)
            key_id = contribution_of(reader, row.contribution_id).key_id
            return open_chip(reader, self._sealer, row.id, self._sealer.key(key_id))


def with_chips(material: Material, chips: Sequence[bytes | None] | None, *, keep: Keep) -> Material:
    """Material with the pictures that were given, or those that it carries.

    Args:
        material: Images or a state.
        chips: JPEG bytes or None for each image; None takes those of the set, if it has any.
        keep: What the gallery keeps.

    Raises:
        ConfigError: If there are pictures and no images are kept to which they could belong.
        DtypeError, ShapeError, InvalidInputError: As for `EmbeddingSet`.
    """
    kept = material.to_keep()
    if isinstance(kept, EmbeddingSet) and chips is not None:
        kept = replace(kept, chips=chips)
        material = replace(material, kept=kept)
    has_chips = chips is not None or (isinstance(kept, EmbeddingSet) and kept.chips is not None)
    if has_chips and (keep == "state" or not isinstance(kept, EmbeddingSet)):
        what = "a gallery that keeps states" if keep == "state" else "a state"
        raise ConfigError(
            f"chips: expected none, as {what} has no images that they could belong to. Leave them out (chips=None, "
            f"keep_chips=False), or keep features and give images."
        )
    return material
