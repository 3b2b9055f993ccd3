"""Who is this? Searching a gallery, and verifying against one person of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np

from probefusion.errors import ConfigError, ProbeFusionError
from probefusion.fusion import Fuser
from probefusion.fusion.card_decisions import CardDecision, decisions_of
from probefusion.fusion.decisions import Decision
from probefusion.fusion.decisions import Side as DecidedSide
from probefusion.gallery.contributions.material import Material
from probefusion.gallery.contributions.models import choose_model, embedder_name, serving
from probefusion.gallery.index.index_checks import DEFAULT_TOP_K
from probefusion.gallery.index.people_index import Found, Look, PeopleIndex
from probefusion.gallery.index.rounded_products import rounded_products
from probefusion.gallery.results import RankedPerson, SearchResult, Verification
from probefusion.gallery.stores.records import ModelRow
from probefusion.gallery.verbs.judging import Judging
from probefusion.gallery.verbs.named_rows import model_of
from probefusion.gallery.verbs.search_query import (
    Rates,
    SearchQuery,
    checked_queries,
    checked_rates,
)
from probefusion.screening.poor_faces import told_of_poor
from probefusion.types import EmbeddingSet, FloatArray, Template, Usability
from probefusion.zoo import judge_template

__all__ = ["Searching"]


class Searching(Judging):
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
        query = SearchQuery(
            what=what, top_k=top_k, fmr=fmr, fpir=fpir, threshold=threshold, model=model
        )
        (answer,) = self.search_together([query])
        if isinstance(answer, ProbeFusionError):
            raise answer
        return answer

    def search_together(
        self, queries: Sequence[SearchQuery]
    ) -> tuple[SearchResult | ProbeFusionError, ...]:
        """Several searches of one moment, by one product of the templates with all queries.

        Each costs a fraction of what `search` does, and answers the same, bit by bit.

        Args:
            queries: What each asks for.

        Returns:
            For each query what `search` would return, or the error that it would raise.

        Raises:
            DtypeError: If they are no `SearchQuery`.
            ProbeFusionError: If the store cannot be read.
        """
        asked = [self._asked(query) for query in checked_queries(queries)]
        with self._reading() as reader:
            rows = reader.models()
            revision = reader.revision
        answers: list[SearchResult | ProbeFusionError | None] = [None] * len(queries)
        by_model: dict[str, list[tuple[int, _Ready]]] = {}
        for place, each in enumerate(asked):
            if isinstance(each, ProbeFusionError):
                answers[place] = each
            elif serving(rows) is None:
                answers[place] = _empty(each.material.num_images, revision)
            else:
                try:
                    ready = self._ready(each, rows)
                except ProbeFusionError as error:
                    answers[place] = error
                else:
                    by_model.setdefault(ready.row.id, []).append((place, ready))
        for model_id, group in by_model.items():
            index = self._index(model_id)
            lacking = self._lacking(group[0][1].row, rows, index)
            looks = index.looks(
                [(ready.query.template.vector, ready.asked.top_k) for _, ready in group]
            )
            for (place, ready), look in zip(group, looks, strict=True):
                answers[place] = self._answer(ready, look, index, lacking)
        return tuple(answer for answer in answers if answer is not None)

    def _asked(self, query: SearchQuery) -> _Asked | ProbeFusionError:
        """What a query asks for, or why it cannot be asked."""
        try:
            return _Asked(
                rates=query.rates(),
                material=self._material(query.what),
                top_k=query.top_k,
                model=query.model,
            )
        except ProbeFusionError as error:
            return error

    def _ready(self, asked: _Asked, rows: Sequence[ModelRow]) -> _Ready:
        """Chooses the model and fuses.

        Raises:
            EmbedderMismatchError, FuserMismatchError, ShapeError: If the query is not of the gallery's models.
        """
        row = choose_model(
            rows if asked.model is None else _only(rows, asked.model), asked.material
        )
        fuser = self._fusers.of(row)
        return _Ready(asked=asked, row=row, fuser=fuser, query=self._fused(asked.material, fuser))

    def _fused(self, material: Material, fuser: Fuser) -> _Query:
        """The template of a query, and what can be expected of it.

        Raises:
            ProbeFusionError: If the fuser cannot fuse it.
        """
        if material.template is not None:
            return _Query(material.template, judge_template(material.template))
        kept = material.to_keep()
        if isinstance(kept, EmbeddingSet):
            fuser.check_fits(kept)
            kept = fuser.encode(kept)
        return _Query(fuser.finish(kept), self._judge(kept, fuser))

    def _lacking(
        self, row: ModelRow, rows: Sequence[ModelRow], index: PeopleIndex
    ) -> tuple[str, ...]:
        """Says of a model that does not serve that it knows fewer people, as while a gallery is moved to it."""
        first = serving(rows)
        if first is None or first.id == row.id:
            return ()
        size = len(self._index(first.id))
        if len(index) >= size:
            return ()
        return (
            f"searched by model {row.id} of {embedder_name(row.embedder)}, which knows {len(index)} of {size} people; "
            f"{embedder_name(first.embedder)} serves: search by that one, or fill the other: re_embed, re_fuse",
        )

    def _answer(
        self, ready: _Ready, look: Look, index: PeopleIndex, lacking: tuple[str, ...]
    ) -> SearchResult | ProbeFusionError:
        rates, query = ready.asked.rates, ready.query
        try:
            candidates, why = (
                self._ranked(query.template, look, ready.row, ready.fuser, rates)
                if look.found
                else ((), None)
            )
        except ProbeFusionError as error:
            return error
        is_measured = rates.is_measured and any(each.threshold is not None for each in candidates)
        return SearchResult(
            candidates=candidates,
            num_images=query.template.num_images,
            gallery_size=look.size,
            false_match_rate=rates.fmr if rates.fpir is None and rates.threshold is None else None,
            false_positive_rate=rates.fpir,
            why_none=why,
            model_id=ready.row.id,
            revision=index.revision,
            usability=query.usability,
            warnings=(
                *lacking,
                *told_of_poor("the query", query.usability, decides=is_measured),
                *(f"{row}; not searched" for row in index.damaged),
            ),
            num_damaged=len(index.damaged),
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
        rates = checked_rates(fmr, None, threshold)
        material = self._material(what)
        with self._reading() as reader:
            person = self._person(reader, name)
            row = choose_model(reader.models(), material)
            stored = reader.vector(row.id, person.id)
        if stored is None or stored.vector is None:
            raise ConfigError(
                f"{person.name!r} has no images that could be compared by model {row.id} of "
                f"{embedder_name(row.embedder)}. Add some: update; or re_embed and re_fuse."
            )
        fuser = self._fusers.of(row)
        query = self._fused(material, fuser)
        vector = self._sealer.open_vector(
            stored.vector, person.id, row.id, self._sealer.key(person.key_id)
        )
        similarity = float(rounded_products(vector[None], query.template.vector)[0])
        found = Found(person=person, num_images=stored.num_images, similarity=similarity)
        look = Look(found=(found,), vectors=vector[None], size=1)
        (ranked,), why = self._ranked(query.template, look, row, fuser, rates)
        is_measured = rates.is_measured and ranked.threshold is not None
        whose = ranked.usability or self._usability_of(found, vector, row, fuser)
        return Verification(
            person_id=person.id,
            name=person.name,
            similarity=similarity,
            num_images=(query.template.num_images, stored.num_images),
            usability=(query.usability, whose),
            threshold=ranked.threshold,
            false_match_rate=None if rates.threshold is not None else rates.fmr,
            is_match=ranked.is_match,
            why_none=why,
            warnings=(
                *ranked.warnings,
                *(() if ranked.usability else told_of_poor("the person", whose, decides=False)),
                *told_of_poor("the query", query.usability, decides=is_measured),
            ),
        )

    def _ranked(
        self,
        query: Template,
        look: Look,
        row: ModelRow,
        fuser: Fuser,
        rates: Rates,
    ) -> tuple[tuple[RankedPerson, ...], str | None]:
        found = look.found
        if rates.threshold is not None:
            limits: list[float | None] = [rates.threshold] * len(found)
            notes: list[tuple[str, ...]] = [()] * len(found)
            why = None
        else:
            decisions = self._decisions(query, look, fuser, rates)
            limits = [
                None if each.threshold is None else each.threshold.similarity for each in decisions
            ]
            notes = [each.warnings for each in decisions]
            why = next((each.why_none for each in decisions if each.why_none is not None), None)
        ranked = []
        for place, (each, limit, warnings) in enumerate(zip(found, limits, notes, strict=True)):
            is_match = None if limit is None else each.similarity >= limit
            usability = None
            if is_match and rates.is_measured:
                usability = self._usability_of(each, look.vectors[place], row, fuser)
                warnings += told_of_poor("the person", usability, decides=True)
            ranked.append(
                RankedPerson(
                    person_id=each.person.id,
                    name=each.person.name,
                    similarity=each.similarity,
                    num_images=each.num_images,
                    threshold=limit,
                    is_match=is_match,
                    is_ignored=each.person.ignored,
                    warnings=warnings,
                    usability=usability,
                )
            )
        return tuple(ranked), why

    def _usability_of(
        self, found: Found, vector: FloatArray, row: ModelRow, fuser: Fuser
    ) -> Usability:
        known = self._judged_before(vector, found.num_images, row, fuser)
        if known is not None:
            return known
        with self._reading() as reader:
            return self._judge_person(reader, found.person.id, vector, found.num_images, row, fuser)

    def _decisions(
        self,
        query: Template,
        look: Look,
        fuser: Fuser,
        rates: Rates,
    ) -> list[Decision] | list[CardDecision]:
        count = len(look.found)
        first = DecidedSide(
            name="the query",
            vectors=np.repeat(query.vector[None], count, axis=0),
            num_images=np.full(count, query.num_images),
        )
        second = DecidedSide(
            name="the person",
            vectors=look.vectors,
            num_images=np.array([each.num_images for each in look.found]),
        )
        return decisions_of(
            self._calibration,
            fuser,
            first,
            second,
            query,
            rates.fmr,
            rates.fpir,
            gallery_size=look.size,
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class _Asked:
    """A query that was read."""

    rates: Rates
    material: Material
    top_k: int
    model: str | None


@dataclass(frozen=True, kw_only=True, eq=False)
class _Ready:
    """A query that was fused by the model that it is searched by."""

    asked: _Asked
    row: ModelRow
    fuser: Fuser
    query: _Query


class _Query(NamedTuple):
    """A query, fused, and what can be expected of it."""

    template: Template
    usability: Usability


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
        usability=Usability.unknown("nobody is enrolled to compare it with"),
    )
