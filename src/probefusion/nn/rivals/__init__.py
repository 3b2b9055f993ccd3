"""Fusers that ours is compared with, each trained by the same loop on the same data."""

from probefusion.nn.rivals.cascaded_attention import CascadedAttention
from probefusion.nn.rivals.config import RivalConfig
from probefusion.nn.rivals.context_attention import ContextAttention
from probefusion.nn.rivals.dimension_quality import ComponentWise, PrecisionWeighted
from probefusion.nn.rivals.recurrent import Recurrent
from probefusion.nn.rivals.scalar_quality import ScalarQuality
from probefusion.nn.rivals.set_attention import SetAttention
from probefusion.nn.rivals.sparse_experts import SparseExperts

__all__ = [
    "CascadedAttention",
    "ComponentWise",
    "ContextAttention",
    "PrecisionWeighted",
    "Recurrent",
    "RivalConfig",
    "ScalarQuality",
    "SetAttention",
    "SparseExperts",
]
