"""Galleries: named people with a template each, and searching among them."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from probefusion.gallery.stills import Candidate, Match, Stills, read_stills, search_stills

if TYPE_CHECKING:
    from probefusion.gallery.gallery import Gallery

__all__ = ["Candidate", "Gallery", "Match", "Stills", "read_stills", "search_stills"]


def __getattr__(name: str) -> Any:
    """Loads `Gallery` when it is first asked for."""
    if name != "Gallery":
        raise AttributeError(f"module 'probefusion.gallery' has no attribute {name!r}")
    return importlib.import_module("probefusion.gallery.gallery").Gallery
