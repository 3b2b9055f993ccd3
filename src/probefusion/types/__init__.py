"""The value types that travel between the stages: `EmbeddingSet` and `Template`.

Both are frozen, validated once when built, and can be saved, loaded and passed on alone. The third
noun of the pipeline, `FusionState`, lives with the fusers in `probefusion.fusion`.
"""

from __future__ import annotations

from probefusion.types.embedding_set import UNIT_TOLERANCE, EmbeddingSet, FloatArray
from probefusion.types.template import Template

__all__ = ["UNIT_TOLERANCE", "EmbeddingSet", "FloatArray", "Template"]
