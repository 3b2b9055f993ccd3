"""Fusing: many embeddings in, one template out, through a state that adds and subtracts."""

from __future__ import annotations

from probefusion.fusion.fuser import Fuser
from probefusion.fusion.pooling import MeanFuser, NormWeightedFuser
from probefusion.fusion.registry import fuser_names, load_fuser, suggest_fuser
from probefusion.fusion.state import FusionState

__all__ = [
    "Fuser",
    "FusionState",
    "MeanFuser",
    "NormWeightedFuser",
    "fuser_names",
    "load_fuser",
    "suggest_fuser",
]
