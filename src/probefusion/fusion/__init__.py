"""Fusion: sets to states to templates, through a state that adds and subtracts."""

from __future__ import annotations

from probefusion.fusion.fuser import Fuser
from probefusion.fusion.pooling import MeanFuser, NormWeightedFuser

__all__ = ["Fuser", "MeanFuser", "NormWeightedFuser"]
