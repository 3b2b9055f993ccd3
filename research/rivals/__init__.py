"""Fusers that ours is compared with, each trained by the same loop on the same data.

Importing this package makes them known to the training loop. They run in PyTorch only.
"""

from __future__ import annotations

from probefusion.nn.architectures import Architecture, register_architecture
from research.rivals.cascaded_attention import CascadedAttention
from research.rivals.config import RivalConfig
from research.rivals.context_attention import ContextAttention
from research.rivals.dimension_quality import ComponentWise, PrecisionWeighted
from research.rivals.recurrent import Recurrent
from research.rivals.scalar_quality import ScalarQuality
from research.rivals.set_attention import SetAttention
from research.rivals.sparse_experts import SparseExperts

__all__ = [
    "RIVALS",
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

RIVALS = {
    "scalar-quality": (ScalarQuality, "imagewise"),
    "component-wise": (ComponentWise, "imagewise"),
    "precision-weighted": (PrecisionWeighted, "imagewise"),
    "cascaded-attention": (CascadedAttention, "whole-set"),
    "context-attention": (ContextAttention, "whole-set"),
    "sparse-experts": (SparseExperts, "whole-set"),
    "set-attention": (SetAttention, "whole-set"),
    "recurrent": (Recurrent, "whole-set"),
}
"""Network and kind of each, by name."""

for _name, (_network, _kind) in RIVALS.items():
    register_architecture(_name, Architecture(config=RivalConfig, network=_network, kind=_kind))
