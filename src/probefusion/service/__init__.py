"""An HTTP service over a gallery: one route per use case, limits, keys, and a page to look at."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from probefusion.service.settings import ServiceSettings

if TYPE_CHECKING:
    from probefusion.service.app import create_app

__all__ = ["ServiceSettings", "create_app"]


def __getattr__(name: str) -> Any:
    """Loads the web framework when it is first asked for."""
    if name != "create_app":
        raise AttributeError(f"module 'probefusion.service' has no attribute {name!r}")
    return importlib.import_module("probefusion.service.app").create_app
