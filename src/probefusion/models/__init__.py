"""Known models by name, and ready embedders and detectors from names and files."""

from __future__ import annotations

from probefusion.models.detectors import load_detector, resolve_detector
from probefusion.models.embedders import ARCFACE_PREPROCESSING, load_embedder, resolve_embedder
from probefusion.models.manifest import (
    KnownModel,
    find_by_sha256,
    find_file,
    known_models,
    models_folder,
)

__all__ = [
    "ARCFACE_PREPROCESSING",
    "KnownModel",
    "find_by_sha256",
    "find_file",
    "known_models",
    "load_detector",
    "load_embedder",
    "models_folder",
    "resolve_detector",
    "resolve_embedder",
]
