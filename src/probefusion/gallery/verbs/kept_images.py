"""Handing out what is kept of one person's images."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from probefusion.gallery.contributions.kept_parts import is_forgotten
from probefusion.gallery.contributions.models import serving
from probefusion.gallery.core import GalleryCore
from probefusion.types import EmbeddingSet

__all__ = ["KeptImages"]


class KeptImages(GalleryCore):
    """The part of `Gallery` that gives one person's images back."""

    def images_of(self, name: str) -> EmbeddingSet | None:
        """The images of a person as they are kept, by time: for another fuser, or to look at them.

        Args:
            name: Name or id of the person.

        Returns:
            The images that are in the template, their ids as sources; None if only states are kept. Not encrypted.

        Raises:
            UnknownNameError: If there is nobody of that name.
            ProbeFusionError: If what is kept cannot be opened.
        """
        sets = []
        with self._reading() as reader:
            person = self._person(reader, name)
            model = serving(reader.models())
            rows = sorted(reader.contributions(person.id), key=lambda row: (row.time, row.id))
            for row in rows:
                if model is None or is_forgotten(self._sealer, row.key_id):
                    continue
                kept = self._parts.kept(reader, row, model.embedder)
                images = [image for image in reader.images(row.id) if not image.left_out]
                if isinstance(kept, EmbeddingSet) and images:
                    chosen = kept[np.array([image.place for image in images])]
                    ids = np.array([image.id for image in images])
                    sets.append(replace(chosen, sources=ids, media_ids=None))
        return EmbeddingSet.concatenate(sets) if sets else None
