"""Zoo: known embedders, detectors and fusers by name; getting them, and keeping those of the user."""

from __future__ import annotations

from probefusion.zoo.bundled import DEFAULT_EMBEDDER
from probefusion.zoo.cache import find_entry, find_file, locate, search_file
from probefusion.zoo.detectors import load_detector, resolve_detector
from probefusion.zoo.download import Patience, download_file
from probefusion.zoo.embedders import ARCFACE_PREPROCESSING, load_embedder, resolve_embedder
from probefusion.zoo.fusers import fuser_names, load_fuser, suggest_fuser
from probefusion.zoo.manifest import (
    KnownModel,
    find_by_sha256,
    forget_model,
    known_models,
    models_folder,
    remember_model,
)
from probefusion.zoo.pull import Pulled, Verified, pull_model, verify_models
from probefusion.zoo.quantize import Quantization, quantize_embedder

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
    "fuser_names",
    "known_models",
    "load_detector",
    "load_embedder",
    "load_fuser",
    "locate",
    "models_folder",
    "pull_model",
    "quantize_embedder",
    "remember_model",
    "resolve_detector",
    "resolve_embedder",
    "search_file",
    "suggest_fuser",
    "verify_models",
]
