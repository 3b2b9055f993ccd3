"""One face template from many poor images.

    >>> import numpy as np, probefusion
    >>> probefusion.fuse(np.eye(4, 512)).shape
    (512,)

Importing the package is light, and loads not even NumPy: each name is loaded when first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from probefusion.version import __version__

if TYPE_CHECKING:
    from probefusion.errors import (
        ConfigError,
        EmbedderMismatchError,
        EmptySetError,
        FileFormatError,
        FuserMismatchError,
        InvalidInputError,
        MissingExtraError,
        MissingFileError,
        OutputExistsError,
        ProbeFusionError,
        UnknownNameError,
    )
    from probefusion.fusion import Fuser
    from probefusion.gallery.gallery import Gallery
    from probefusion.io import read_embeddings
    from probefusion.pipeline import Pipeline
    from probefusion.pipeline.calibrate import calibrate
    from probefusion.pipeline.evaluate import evaluate
    from probefusion.pipeline.fuse import fuse
    from probefusion.pipeline.screen import screen
    from probefusion.pipeline.train import train
    from probefusion.screening import Screening
    from probefusion.types import EmbeddingSet, FusionState, Template, TemplateSet
    from probefusion.zoo import load_detector, load_embedder, load_fuser

__all__ = [
    "ConfigError",
    "EmbedderMismatchError",
    "EmbeddingSet",
    "EmptySetError",
    "FileFormatError",
    "Fuser",
    "FuserMismatchError",
    "FusionState",
    "Gallery",
    "InvalidInputError",
    "MissingExtraError",
    "MissingFileError",
    "OutputExistsError",
    "Pipeline",
    "ProbeFusionError",
    "Screening",
    "Template",
    "TemplateSet",
    "UnknownNameError",
    "__version__",
    "calibrate",
    "evaluate",
    "fuse",
    "load_detector",
    "load_embedder",
    "load_fuser",
    "read_embeddings",
    "screen",
    "train",
]

_PLACES = {
    "probefusion.errors": (
        "ConfigError",
        "EmbedderMismatchError",
        "EmptySetError",
        "FileFormatError",
        "FuserMismatchError",
        "InvalidInputError",
        "MissingExtraError",
        "MissingFileError",
        "OutputExistsError",
        "ProbeFusionError",
        "UnknownNameError",
    ),
    "probefusion.types": ("EmbeddingSet", "FusionState", "Template", "TemplateSet"),
    "probefusion.fusion": ("Fuser",),
    "probefusion.gallery.gallery": ("Gallery",),
    "probefusion.pipeline": ("Pipeline",),
    "probefusion.pipeline.fuse": ("fuse",),
    "probefusion.pipeline.screen": ("screen",),
    "probefusion.pipeline.evaluate": ("evaluate",),
    "probefusion.pipeline.calibrate": ("calibrate",),
    "probefusion.pipeline.train": ("train",),
    "probefusion.screening": ("Screening",),
    "probefusion.io": ("read_embeddings",),
    "probefusion.zoo": ("load_detector", "load_embedder", "load_fuser"),
}
_LAZY = {name: place for place, names in _PLACES.items() for name in names}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'probefusion' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
