"""Who is this? Searching a gallery, and verifying against one person of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from probefusion.errors import ConfigError
from probefusion.fusion import Fuser
from probefusion.fusion.card_decisions import CardDecision, decisions_of
from probefusion.fusion.decisions import Decision
from probefusion.fusion.decisions import Side as DecidedSide
from probefusion.fusion.threshold import check_rate
from probefusion.gallery.argument_checks import check_count, check_id, check_number
from probefusion.gallery.contributions.material import Material
from probefusion.gallery.contributions.models import choose_model, serving
from probefusion.gallery.core import GalleryCore
from probefusion.gallery.index.index_checks import DEFAULT_TOP_K
from probefusion.gallery.index.people_index import Found
from probefusion.gallery.index.rounded_products import rounded_products
from probefusion.gallery.results import RankedPerson, SearchResult, Verification
from probefusion.gallery.stores.records import ModelRow
from probefusion.gallery.verbs.named_rows import model_of
from probefusion.types import EmbeddingSet, FloatArray, Template

__all__ = ["Searching"]

DEFAULT_RATE = 1e-3
"""Rate of false matches at which is decided where none is named."""


class Searching(GalleryCore):
    """The part of `Gallery` that finds."""

    def search(
        self,
        what: Any,
        *,
        top_k: int = DEFAULT_TOP_K,
        fmr: float | None = None,
        fpir: float | None = None,
        threshold: float | None = None,
        model: str | None = None,
    ) -> SearchResult:
        """The people who are most similar to a query. The search is exact, and sees every change made before.

        Args:
            what: Images of one person in any form that `enroll` takes, or a `Template`. All of them are fused first.
            top_k: How many people at most.
            fmr: Rate of false matches per comparison to decide at; 0.001 if nothing else is named.
            fpir: Or: the rate at which a search for somebody who is not in a gallery of this size finds a match.
            threshold: Or: the similarity to decide at.
            model: Id of a model to search by; None takes that which serves, or another that fits the query.

        Returns:
            The candidates, each with its threshold: it depends on the quality of both templates. Where there is no
            calibration for the rate, `why_none` says so and nobody is a match.

        Raises:
            ConfigError, DtypeError: If more than one of the rates and the threshold is named, or one is none.
            EmbedderMismatchError, FuserMismatchError, ShapeError: If the query is not of the gallery's models.
            ProbeFusionError: If the store cannot be read.
        """
        rates = _checked_rates(fmr, fpir, threshold)
        if model is not None:
            check_id(model, "model")
        top_k = check_count(top_k, "top_k", at_least=1)
        material = self._material(what)
        with self._reading() as reader:
            rows = reader.models()
            revision = reader.revision
        if serving(rows) is None:
            return _empty(material.num_images, revision)
        row = choose_model(rows if model is None else _only(rows, model), material)
        fuser = self._fusers.of(row)
        query = fuse_material(material, fuser)
        index = self._index(row.id)
        look = index.look(query.vector, top_k=top_k)
        candidates, why = (
            self._ranked(query, look.found, look.vectors, fuser, look.size, rates)
            if look.found
            else ((), None)
        )
        return SearchResult(
            candidates=candidates,
            num_images=query.num_images,
            gallery_size=look.size,
            false_match_rate=rates.fmr if rates.fpir is None and rates.threshold is None else None,
            false_positive_rate=rates.fpir,
            why_none=why,
            model_id=row.id,
            revision=index.revision,
            warnings=tuple(f"{row}; not searched" for row in index.damaged),
        )

    def verify(
        self, name: str, what: Any, *, fmr: float | None = None, threshold: float | None = None
    ) -> Verification:
        """Whether images are of a named person.

        Args:
            name: Name of the person.
            what: As for `search`.
            fmr: Rate of false matches to decide at; 0.001 if nothing else is named.
            threshold: Or: the similarity to decide at.

        Raises:
            UnknownNameError: If there is nobody of that name.
            ConfigError: If the person has no images.
            ProbeFusionError: As for `search`.
        """
        rates = _checked_rates(fmr, None, threshold)
        material = self._material(what)
        with self._reading() as reader:
            person = self._person(reader, name)
            row = choose_model(reader.models(), material)
            stored = reader.vector(row.id, person.id)
        if stored is None or stored.vector is None:
            raise ConfigError(
                f"{person.name!r} has no images that could be compared. Add some: update."
            )
        fuser = self._fusers.of(row)
        query = fuse_material(material, fuser)
        vector = self._sealer.open_vector(
            stored.vector, person.id, row.id, self._sealer.key(person.key_id)
        )
        similarity = float(rounded_products(vector[None], query.vector)[0])
        found = [Found(person=person, num_images=stored.num_images, similarity=similarity)]
        (ranked,), why = self._ranked(query, found, vector[None], fuser, 1, rates)
        return Verification(
            person_id=person.id,
            name=person.name,
            similarity=similarity,
            num_images=(query.num_images, stored.num_images),
            threshold=ranked.threshold,
            false_match_rate=None if rates.threshold is not None else rates.fmr,
            is_match=ranked.is_match,
            why_none=why,
            warnings=ranked.warnings,
        )

    def _ranked(
        self,
        query: Template,
        found: Sequence[Found],
        vectors: FloatArray,
        fuser: Fuser,
        size: int,
        rates: _Rates,
    ) -> tuple[tuple[RankedPerson, ...], str | None]:
        if rates.threshold is not None:
            limits: list[float | None] = [rates.threshold] * len(found)
            notes: list[tuple[str, ...]] = [()] * len(found)
            why = None
        else:
            decisions = self._decisions(query, found, vectors, fuser, size, rates)
            limits = [
                None if each.threshold is None else each.threshold.similarity for each in decisions
            ]
            notes = [each.warnings for each in decisions]
            why = next((each.why_none for each in decisions if each.why_none is not None), None)
        ranked = tuple(
            RankedPerson(
                person_id=each.person.id,
                name=each.person.name,
                similarity=each.similarity,
                num_images=each.num_images,
                threshold=limit,
                is_match=None if limit is None else each.similarity >= limit,
                is_ignored=each.person.ignored,
                warnings=warnings,
            )
            for each, limit, warnings in zip(found, limits, notes, strict=True)
        )
        return ranked, why

    def _decisions(
        self,
        query: Template,
        found: Sequence[Found],
        vectors: FloatArray,
        fuser: Fuser,
        size: int,
        rates: _Rates,
    ) -> list[Decision] | list[CardDecision]:
        count = len(found)
        first = DecidedSide(
            name="the query",
            vectors=np.repeat(query.vector[None], count, axis=0),
            num_images=np.full(count, query.num_images),
        )
        second = DecidedSide(
            name="the person",
            vectors=vectors,
            num_images=np.array([each.num_images for each in found]),
        )
        return decisions_of(
            self._calibration, fuser, first, second, query, rates.fmr, rates.fpir, gallery_size=size
        )


@dataclass(frozen=True)
class _Rates:
    """What was asked for."""

    fmr: float
    fpir: float | None
    threshold: float | None


def fuse_material(material: Material, fuser: Fuser) -> Template:
    """The template of a query.

    Raises:
        ProbeFusionError: If the fuser cannot fuse it.
    """
    if material.template is not None:
        return material.template
    kept = material.to_keep()
    if isinstance(kept, EmbeddingSet):
        fuser.check_fits(kept)
        return fuser.fuse(kept)
    return fuser.finish(kept)


def _checked_rates(fmr: float | None, fpir: float | None, threshold: float | None) -> _Rates:
    named = [
        name
        for name, value in (("fmr", fmr), ("fpir", fpir), ("threshold", threshold))
        if value is not None
    ]
    if len(named) > 1:
        raise ConfigError(
            f"{', '.join(named)}: expected one of them, got {len(named)}. Leave the others out."
        )
    if fmr is not None:
        check_rate(fmr, name="fmr")
    if fpir is not None:
        check_rate(fpir, name="fpir")
    if threshold is not None:
        check_number(threshold, "threshold")
    if threshold is not None and not -1 <= threshold <= 1:
        raise ConfigError(f"threshold: expected a cosine of -1 to 1, got {threshold!r}.")
    return _Rates(DEFAULT_RATE if fmr is None else fmr, fpir, threshold)


def _only(rows: Sequence[ModelRow], model: str) -> list[ModelRow]:
    return [replace(model_of(rows, model), status="serving")]


def _empty(num_images: int, revision: int) -> SearchResult:
    return SearchResult(
        candidates=(),
        num_images=num_images,
        gallery_size=0,
        false_match_rate=None,
        false_positive_rate=None,
        why_none="nobody is enrolled",
        model_id=None,
        revision=revision,
    )
