"""What can be expected of templates that are made, stored or decided about."""

from __future__ import annotations

import os
from pathlib import Path

from probefusion.errors import ProbeFusionError
from probefusion.fusion import Fuser
from probefusion.gallery.contributions.features import Kept
from probefusion.gallery.contributions.sums import add_up
from probefusion.gallery.core import GalleryCore
from probefusion.gallery.stores.records import ModelRow
from probefusion.gallery.stores.store import Reader
from probefusion.screening.usability_record import UsabilityRecord
from probefusion.types import EmbeddingSet, FloatArray, FusionState, Usability
from probefusion.zoo import judge_usability, usability_or_why

__all__ = ["Judging"]


class Judging(GalleryCore):
    """The part of `Gallery` that estimates usability, beside the decision and from the state."""

    @property
    def _calibration_file(self) -> Path | None:
        given = self._calibration
        return Path(given) if isinstance(given, str | os.PathLike) else None

    def _judge(self, kept: Kept | None, fuser: Fuser) -> Usability:
        """What can be expected of the template of images or of a state; why nothing is known, where nothing is."""
        try:
            state = fuser.encode(kept) if isinstance(kept, EmbeddingSet) else kept
            if isinstance(state, FusionState) and not state.num_images:
                return Usability.unknown("no image of it counts")
            return judge_usability(fuser, state, calibration=self._calibration_file)
        except ProbeFusionError as error:  # ends no search
            return Usability.unknown(str(error))

    def _judged_before(
        self, vector: FloatArray, num_images: int, row: ModelRow, fuser: Fuser
    ) -> Usability | None:
        """What is remembered of a person's template, by the record that holds now; arguments as for `_judge_person`."""
        record = self._record_of(row, fuser)
        return self._parts.judged.find(row.id, vector, num_images, record)

    def _record_of(self, row: ModelRow, fuser: Fuser) -> UsabilityRecord | None:
        return usability_or_why(fuser, row.embedder, calibration=self._calibration_file)[0]

    def _judge_person(
        self,
        reader: Reader,
        person_id: str,
        vector: FloatArray,
        num_images: int,
        row: ModelRow,
        fuser: Fuser,
    ) -> Usability:
        """What can be expected of a person's template.

        Args:
            reader: Of the collection.
            person_id: Who.
            vector: (D,) the person's template.
            num_images: Images in it.
            row: The model that it is by.
            fuser: Of the model.
        """
        known = self._judged_before(vector, num_images, row, fuser)
        if known is not None:
            return known
        record = self._record_of(row, fuser)
        try:
            state = add_up(self._parts.of_person(reader, person_id, row, fuser).parts)
        except ProbeFusionError as error:  # damaged, or forgotten since
            return Usability.unknown(str(error))
        if state is None or state.num_images != num_images:
            return Usability.unknown("it was changed since")
        found = self._judge(state, fuser)
        self._parts.judged.keep(row.id, vector, num_images, record, found)
        return found
