"""Galleries: named people with a template each, and searching among them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from probefusion.gallery.stills import Candidate, Match, Stills, read_stills, search_stills

if TYPE_CHECKING:
    from probefusion.gallery.gallery import Gallery
    from probefusion.gallery.index.batched_search import BatchedSearch
    from probefusion.gallery.index.hits import Hits
    from probefusion.gallery.index.search_index import SearchIndex
    from probefusion.gallery.keys.master_key import MasterKey, read_master_key, write_master_key

__all__ = [
    "BatchedSearch",
    "Candidate",
    "Gallery",
    "Hits",
    "MasterKey",
    "Match",
    "SearchIndex",
    "Stills",
    "read_master_key",
    "read_stills",
    "search_stills",
    "write_master_key",
]

_LAZY = {
    "BatchedSearch": "index.batched_search",
    "Gallery": "gallery",
    "Hits": "index.hits",
    "MasterKey": "keys.master_key",
    "SearchIndex": "index.search_index",
    "read_master_key": "keys.master_key",
    "write_master_key": "keys.master_key",
}


def __getattr__(name: str) -> Any:
    """Loads what needs more than NumPy when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'probefusion.gallery' has no attribute {name!r}")
    return getattr(importlib.import_module(f"probefusion.gallery.{_LAZY[name]}"), name)
