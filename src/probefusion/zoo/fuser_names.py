"""What may be given as a fuser, each with one line; light, for the help texts of commands."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

__all__ = ["fuser_choices"]

_CHOICES = MappingProxyType(
    {
        "auto": "the best one that fits the images; told on standard error",
        "mean": "mean of the unit embeddings, for any embedder",
        "norm-weighted": "weighted by the length of the embeddings, for any embedder that keeps it",
        "universal": "weighted by the look of the crops, for any embedder",
        "exact": "trained, judges style, length and embedding; exact in any order and split",
        "exact-fast": "the small size of it: judges style and length",
        "exact-embedding": "trained, for embeddings without style",
        "exact-unit": "trained, for embeddings without style and length",
        "official": "trained, the published Cluster and Aggregate network; depends on the batches",
        "NAME": "full name of a trained fuser, see: probefusion models list",
        "DIR": "a fuser folder, as probefusion train makes it",
    }
)


def fuser_choices() -> Mapping[str, str]:
    """Every kind of name that a fuser may be given by, with one line each.

    All but "auto" are what `load_fuser` takes; "auto" is what `suggest_fuser` answers.
    """
    return _CHOICES
