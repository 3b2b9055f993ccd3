"""Who of the people that are known is a person of a video? Stills and galleries, searched alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from probefusion.embedders import Embedder
from probefusion.errors import ConfigError, UnknownNameError
from probefusion.fusion import Fuser
from probefusion.gallery import Candidate, Match, Stills, search_stills
from probefusion.types import FloatArray, Template

if TYPE_CHECKING:
    from probefusion.gallery import Gallery

__all__ = ["KnownPeople", "best_vectors", "check_known", "searcher"]

KnownPeople: TypeAlias = "Stills | Gallery"
"""Stills that were read for this video, or a gallery that is kept."""


def check_known(known: KnownPeople | None, embedder: Embedder, fuser: Fuser) -> None:
    """Refuses a gallery of another embedder or fuser, before a video is begun. Stills were made by both.

    Raises:
        EmbedderMismatchError, FuserMismatchError, ShapeError: If the gallery is of another.
        ProbeFusionError: If it cannot be read.
    """
    if known is None or isinstance(known, Stills):
        return
    vector = np.zeros(embedder.spec.dim, dtype=np.float32)
    vector[0] = 1
    known.check_fits(
        Template(
            vector=vector,
            num_images=1,
            fuser=fuser.fingerprint,
            embedder=embedder.fingerprint,
        )
    )


def searcher(
    known: KnownPeople,
    fuser: Fuser,
    *,
    false_match_rate: float = 1e-3,
    false_positive_rate: float | None = None,
    threshold: float | None = None,
) -> Callable[[Template], Match]:
    """What searches for the person of a template by this fuser.

    Args:
        known: Stills, or a gallery; each search of a gallery sees all who are known at that time.
        fuser: The fuser of the video.
        false_match_rate: Rate per comparison to decide at: by the fuser's threshold for stills, by the threshold
            for the two templates in a gallery.
        false_positive_rate: Or: the rate at which a search of a gallery of its size for somebody who is not there finds
            a match (FPIR), or None. Not for stills.
        threshold: A similarity to decide at instead, or None.

    Raises:
        ConfigError: If a rate of searches is asked of stills, or is named beside a threshold.
    """
    if false_positive_rate is not None and isinstance(known, Stills):
        raise ConfigError(
            "false_positive_rate: is for a gallery that is kept, got stills. Enroll them in one, or name a "
            "false_match_rate."
        )
    if false_positive_rate is not None and threshold is not None:
        raise ConfigError("false_positive_rate, threshold: expected one of the two, got both.")

    def search(template: Template) -> Match:
        if isinstance(known, Stills):
            return search_stills(
                template, known, fuser, false_match_rate=false_match_rate, threshold=threshold
            )
        return _search_gallery(template, known, false_match_rate, false_positive_rate, threshold)

    return search


def best_vectors(known: KnownPeople, match: Match) -> tuple[FloatArray, FloatArray] | None:
    """Unit vectors (D,) of the best candidate, by the fuser and by the plain mean.

    A gallery keeps no plain mean: there both are the template. None if there is no candidate any more.
    """
    if match.best is None:
        return None
    if isinstance(known, Stills):
        entry = known.names.index(match.best.name)
        return known.vectors[entry], known.mean_vectors[entry]
    if match.result is None:
        return None
    try:
        found = known.template(
            match.result.candidates[match.place].person_id, model=match.result.model_id
        )
    except UnknownNameError:  # removed since the search
        return None
    return None if found is None else (found.vector, found.vector)


def _search_gallery(
    template: Template,
    gallery: Gallery,
    fmr: float,
    fpir: float | None,
    threshold: float | None,
) -> Match:
    rate = fmr if threshold is None and fpir is None else None
    result = gallery.search(template, top_k=10, fmr=rate, fpir=fpir, threshold=threshold)
    ranked = result.candidates
    place = next((place for place, person in enumerate(ranked) if person.is_match), 0)
    best = ranked[place] if ranked else None
    limit = None if best is None else best.threshold
    return Match(
        candidates=tuple(
            Candidate(name=person.name, similarity=person.similarity) for person in ranked
        ),
        threshold=limit,
        false_match_rate=None if limit is None else result.false_match_rate,
        is_match=None if best is None else best.is_match,
        place=place,
        result=result,
        warnings=(*result.warnings, *(ranked[place].warnings if ranked else ())),
    )
