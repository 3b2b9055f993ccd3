"""Zoo: known embedders, detectors and fusers by name; getting them, and keeping those of the user.

Importing the room is light: each name is loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probefusion.zoo.bundled import DEFAULT_EMBEDDER
    from probefusion.zoo.cache import find_entry, find_file, locate, search_file
    from probefusion.zoo.detectors import load_detector, resolve_detector
    from probefusion.zoo.download import Patience, download_file
    from probefusion.zoo.embedders import ARCFACE_PREPROCESSING, load_embedder, resolve_embedder
    from probefusion.zoo.fuser_names import fuser_choices
    from probefusion.zoo.fusers import (
        absent_fusers,
        find_fuser_folder,
        has_fuser_for,
        load_fuser,
        suggest_fuser,
        trained_fusers,
    )
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
    from probefusion.zoo.usability import (
        find_usability,
        finish_judged,
        judge_template,
        judge_usability,
        usability_or_why,
    )

__all__ = [
    "ARCFACE_PREPROCESSING",
    "DEFAULT_EMBEDDER",
    "KnownModel",
    "Patience",
    "Pulled",
    "Quantization",
    "Verified",
    "absent_fusers",
    "download_file",
    "find_by_sha256",
    "find_entry",
    "find_file",
    "find_fuser_folder",
    "find_usability",
    "finish_judged",
    "forget_model",
    "fuser_choices",
    "has_fuser_for",
    "judge_template",
    "judge_usability",
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
    "trained_fusers",
    "usability_or_why",
    "verify_models",
]

_ROOMS = {
    "bundled": ("DEFAULT_EMBEDDER",),
    "cache": ("find_entry", "find_file", "locate", "search_file"),
    "detectors": ("load_detector", "resolve_detector"),
    "download": ("Patience", "download_file"),
    "embedders": ("ARCFACE_PREPROCESSING", "load_embedder", "resolve_embedder"),
    "fuser_names": ("fuser_choices",),
    "fusers": (
        "absent_fusers", "find_fuser_folder", "has_fuser_for", "load_fuser", "suggest_fuser",
        "trained_fusers",
    ),
    "manifest": (
        "KnownModel", "find_by_sha256", "forget_model", "known_models", "models_folder",
        "remember_model",
    ),
    "pull": ("Pulled", "Verified", "pull_model", "verify_models"),
    "quantize": ("Quantization", "quantize_embedder"),
    "usability": (
        "find_usability",
        "finish_judged",
        "judge_template",
        "judge_usability",
        "usability_or_why",
    ),
}  # fmt: skip
_LAZY = {name: f"probefusion.zoo.{room}" for room, names in _ROOMS.items() for name in names}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'probefusion.zoo' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
