"""Galleries: named people with a template each, and searching among them."""

from __future__ import annotations

from probefusion.gallery.batched_search import BatchedSearch
from probefusion.gallery.hits import Hits
from probefusion.gallery.index import SearchIndex
from probefusion.gallery.stills import Candidate, Match, Stills, read_stills, search_stills

__all__ = [
    "BatchedSearch",
    "Candidate",
    "Hits",
    "Match",
    "SearchIndex",
    "Stills",
    "read_stills",
    "search_stills",
]
