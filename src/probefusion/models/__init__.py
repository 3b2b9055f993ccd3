"""Known models by name, getting them, and ready embedders and detectors from names and files."""

from __future__ import annotations

from probefusion.models.bundled import DEFAULT_EMBEDDER
from probefusion.models.cache import find_entry, find_file, locate, search_file
from probefusion.models.detectors import load_detector, resolve_detector
from probefusion.models.download import Patience, download_file
from probefusion.models.embedders import ARCFACE_PREPROCESSING, load_embedder, resolve_embedder
from probefusion.models.manifest import (
    KnownModel,
    find_by_sha256,
    forget_model,
    known_models,
    models_folder,
    remember_model,
)
from probefusion.models.pull import Pulled, Verified, pull_model, verify_models
from probefusion.models.quantize import Quantization, quantize_embedder

__all__ = [
    "ARCFACE_PREPROCESSING",
    "DEFAULT_EMBEDDER",
    "KnownModel",
    "Patience",
    "Pulled",
    "Quantization",
    "Verified",
    "download_file",
    "find_by_sha256",
    "find_entry",
    "find_file",
    "forget_model",
    "known_models",
    "load_detector",
    "load_embedder",
    "locate",
    "models_folder",
    "pull_model",
    "quantize_embedder",
    "remember_model",
    "resolve_detector",
    "resolve_embedder",
    "search_file",
    "verify_models",
]
