"""Pipeline: the use cases, each one call. What the commands do is done here.

The verbs stand at the root of the package (`probefusion.fuse`, `probefusion.evaluate`, ...) and in a
module of their own here; this package gives their nouns, each loaded when it is first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probefusion.pipeline.comparison import Comparison
    from probefusion.pipeline.doctor import Diagnosis, Finding, diagnose
    from probefusion.pipeline.person_sets import EmbeddedPerson, PersonSets
    from probefusion.pipeline.pipeline import Pipeline
    from probefusion.pipeline.results import (
        FaceChoice,
        FoundFace,
        Fused,
        FusedPeople,
        ImageWeight,
    )
    from probefusion.pipeline.strangers import Strangers
    from probefusion.pipeline.videos import Extract

__all__ = [
    "Comparison",
    "Diagnosis",
    "EmbeddedPerson",
    "Extract",
    "FaceChoice",
    "Finding",
    "FoundFace",
    "Fused",
    "FusedPeople",
    "ImageWeight",
    "PersonSets",
    "Pipeline",
    "Strangers",
    "diagnose",
]

_LAZY = {
    "Comparison": "probefusion.pipeline.comparison",
    "Diagnosis": "probefusion.pipeline.doctor",
    "EmbeddedPerson": "probefusion.pipeline.person_sets",
    "Extract": "probefusion.pipeline.videos",
    "FaceChoice": "probefusion.pipeline.results",
    "Finding": "probefusion.pipeline.doctor",
    "FoundFace": "probefusion.pipeline.results",
    "Fused": "probefusion.pipeline.results",
    "FusedPeople": "probefusion.pipeline.results",
    "ImageWeight": "probefusion.pipeline.results",
    "PersonSets": "probefusion.pipeline.person_sets",
    "Pipeline": "probefusion.pipeline.pipeline",
    "Strangers": "probefusion.pipeline.strangers",
    "diagnose": "probefusion.pipeline.doctor",
}


def __getattr__(name: str) -> Any:
    """Loads a public name when it is first asked for."""
    if name not in _LAZY:
        raise AttributeError(f"module 'probefusion.pipeline' has no attribute {name!r}")
    value = getattr(importlib.import_module(_LAZY[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)
