"""Working out the templates of people anew within one change."""

from __future__ import annotations

from collections.abc import Sequence

from probefusion.errors import (
    FileFormatError,
    FuserMismatchError,
    IntegrityError,
    InvalidInputError,
    MissingKeyError,
    MissingNormsError,
    MissingQualityError,
    MissingStyleError,
    SealError,
)
from probefusion.fusion import Fuser
from probefusion.gallery.contributions.kept_parts import KeptParts, is_forgotten
from probefusion.gallery.contributions.models import Fusers
from probefusion.gallery.contributions.sums import template_of
from probefusion.gallery.keys.sealing import Sealer
from probefusion.gallery.stores.records import ModelRow, VectorRow
from probefusion.gallery.stores.store import Writer
from probefusion.types import Template

__all__ = ["TemplateRenewal"]

_NOT_WORKED_OUT = (
    FileFormatError,
    IntegrityError,
    InvalidInputError,
    MissingKeyError,
    MissingNormsError,
    MissingQualityError,
    MissingStyleError,
    SealError,
)
"""Why a template cannot be worked out: what is kept cancels, lacks what the fuser needs, is damaged, or its key is
not there."""


class TemplateRenewal:
    """Works out templates and writes them.

    Args:
        writer: Of the collection.
        sealer: Of the collection.
        fusers: Of the gallery.
        parts: Of the gallery.
    """

    def __init__(self, writer: Writer, sealer: Sealer, fusers: Fusers, parts: KeptParts) -> None:
        self._writer, self._sealer, self._fusers, self._parts = writer, sealer, fusers, parts

    def renew(self, model: ModelRow, people: Sequence[str], *, may_lack: bool) -> None:
        """Works out the templates of some people by one model.

        Args:
            model: The model.
            people: Ids of the people.
            may_lack: Whether templates that cannot be worked out are taken away, as where the fuser is not here or
                cannot fuse what is kept, or something is damaged.

        Raises:
            ProbeFusionError: If one cannot be worked out and may not lack.
        """
        if not people:
            return
        fuser = self._fuser_of(model, people, may_lack=may_lack)
        for person_id in people:
            try:
                self._renew(model, fuser, person_id, may_lack=may_lack)
            except IntegrityError:  # the person's own row was damaged
                if not may_lack:
                    raise
                self._put(model, person_id, None, None)

    def _fuser_of(self, model: ModelRow, people: Sequence[str], *, may_lack: bool) -> Fuser | None:
        try:
            return self._fusers.of(model)
        except FuserMismatchError:
            found = (self._writer.person(who) for who in people if not may_lack)
            if any(who is not None and who.shown for who in found):
                raise
            return None

    def _renew(
        self, model: ModelRow, fuser: Fuser | None, person_id: str, *, may_lack: bool
    ) -> None:
        person = self._writer.person(person_id)
        if person is None:  # erased: the store has marked its templates
            return
        template = None
        if person.shown and fuser is not None:
            try:
                found = self._parts.of_person(self._writer, person_id, model, fuser)
                template = template_of(found.parts, fuser)
            except _NOT_WORKED_OUT:
                if not may_lack:
                    raise
        if template is None:
            self._put(model, person_id, None, None)
            return
        try:
            key = self._sealer.key(person.key_id)
        except MissingKeyError:
            if not is_forgotten(self._sealer, person.key_id):
                raise
            self._put(model, person_id, None, None)  # a restored database brought the person back
            return
        sealed = self._sealer.seal_vector(template.vector, person_id, model.id, key)
        self._put(model, person_id, template, sealed)

    def _put(
        self, model: ModelRow, person_id: str, template: Template | None, sealed: bytes | None
    ) -> None:
        self._writer.put_vector(
            VectorRow(
                person_id=person_id,
                model_id=model.id,
                vector=sealed,
                num_images=0 if template is None else template.num_images,
                revision=self._writer.revision,
            )
        )
