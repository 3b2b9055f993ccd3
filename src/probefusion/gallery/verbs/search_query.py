"""What a search asks for: the query, how many people, and where a match begins."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from probefusion.errors import ConfigError, DtypeError
from probefusion.files.paths import brief
from probefusion.fusion.threshold import check_rate
from probefusion.gallery.argument_checks import check_count, check_id, check_number
from probefusion.gallery.index.index_checks import DEFAULT_TOP_K

__all__ = ["DEFAULT_RATE", "Rates", "SearchQuery", "checked_queries", "checked_rates"]

DEFAULT_RATE = 1e-3
"""Rate of false matches at which is decided where none is named."""


@dataclass(frozen=True, kw_only=True, eq=False)
class SearchQuery:
    """One of several searches that are made together: the arguments of `Gallery.search`.

    Args:
        what: Images of one person in any form that `enroll` takes, or a `Template`.
        top_k: How many people at most.
        fmr: Rate of false matches per comparison to decide at.
        fpir: Or: rate at which a search for somebody who is not there finds a match.
        threshold: Or: the similarity to decide at.
        model: Id of a model to search by, or None.
    """

    what: Any
    top_k: int = DEFAULT_TOP_K
    fmr: float | None = None
    fpir: float | None = None
    threshold: float | None = None
    model: str | None = None

    def rates(self) -> Rates:
        """Where a match begins.

        Raises:
            ConfigError, DtypeError: If top_k, a rate, the threshold or the model is none, or more than one is named.
        """
        found = checked_rates(self.fmr, self.fpir, self.threshold)
        if self.model is not None:
            check_id(self.model, "model")
        check_count(self.top_k, "top_k", at_least=1)
        return found


@dataclass(frozen=True)
class Rates:
    """Where a match begins."""

    fmr: float
    fpir: float | None
    threshold: float | None

    @property
    def is_measured(self) -> bool:
        """Whether a calibration decides, and not the user's own threshold."""
        return self.threshold is None


def checked_rates(fmr: float | None, fpir: float | None, threshold: float | None) -> Rates:
    """Rates that were asked for.

    Raises:
        ConfigError, DtypeError: If more than one is named, or one is out of range.
    """
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
    return Rates(DEFAULT_RATE if fmr is None else fmr, fpir, threshold)


def checked_queries(queries: object) -> Sequence[SearchQuery]:
    """Searches that are to be made together.

    Raises:
        DtypeError: If it is no list of them.
    """
    if not isinstance(queries, list | tuple):
        raise DtypeError(f"queries: expected a list of SearchQuery, got {brief(queries)}.")
    wrong = next((each for each in queries if not isinstance(each, SearchQuery)), None)
    if wrong is not None or any(each is None for each in queries):
        raise DtypeError(f"queries: expected a list of SearchQuery, got one with {brief(wrong)}.")
    return queries
