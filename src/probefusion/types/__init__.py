"""The value types that travel between the stages: embeddings, states, templates, and what can be expected of these.

All are frozen, validated once when built, and can be saved, loaded and passed on alone.
"""

from __future__ import annotations

from probefusion.types.embedding_set import UNIT_TOLERANCE, EmbeddingSet, FloatArray
from probefusion.types.fusion_state import FusionState
from probefusion.types.template import Template
from probefusion.types.template_set import TemplateSet
from probefusion.types.usability import Usability

__all__ = [
    "UNIT_TOLERANCE",
    "EmbeddingSet",
    "FloatArray",
    "FusionState",
    "Template",
    "TemplateSet",
    "Usability",
]
