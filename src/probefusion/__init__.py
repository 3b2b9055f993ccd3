"""One face template from many poor images.

    >>> import numpy as np, probefusion
    >>> probefusion.fuse(np.eye(4, 512)).shape
    (512,)

Importing the package is light, and loads not even NumPy: each name is loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from probefusion.errors import ProbeFusionError
from probefusion.version import __version__

if TYPE_CHECKING:
    from probefusion.api import fuse
    from probefusion.fusion import Fuser
    from probefusion.io import read_embeddings
    from probefusion.types import EmbeddingSet, FusionState, Template
    from probefusion.zoo import load_fuser

__all__ = [
    "EmbeddingSet",
    "Fuser",
    "FusionState",
    "ProbeFusionError",
    "Template",
    "__version__",
    "fuse",
    "load_fuser",
    "read_embeddings",
]

_LAZY = {
    "fuse": "probefusion.api",
    "EmbeddingSet": "probefusion.types",
    "Fuser": "probefusion.fusion",
    "FusionState": "probefusion.types",
    "load_fuser": "probefusion.zoo",
    "read_embeddings": "probefusion.io",
    "Template": "probefusion.types",
}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'probefusion' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
