"""PyTorch definitions: the boxes of the CAFace paper, one per file, and the face embedders.

style_input           Style Input Maker (SIM): style and norm -> 128 numbers per image
cluster_network       Cluster Network (CN): N images -> M cluster sums
aggregation_network   Aggregation Network (AGN): M clusters -> one embedding
caface                the three together, and the sequential update
official              parameters under their official names
interface             what the training loop expects of any fuser
backbone              ir_adaface and iresnet_arcface share it
"""

# ruff: noqa: E402
from __future__ import annotations

from probefusion.extras import import_extra

import_extra("torch", extra="train", purpose="probefusion.nn")

from probefusion.nn.backbone import BackboneOutput
from probefusion.nn.caface import CAFace, CAFaceConfig, ClusterState
from probefusion.nn.cluster_network import BatchSummary
from probefusion.nn.interface import DEFAULT_PREFIXES, TrainableFuser, TrainingPass
from probefusion.nn.ir_adaface import IRNetwork, ir_18, ir_50, ir_101
from probefusion.nn.iresnet_arcface import IResNet, iresnet18, iresnet50, iresnet100
from probefusion.nn.official import config_of_official_state_dict, load_official_state_dict

__all__ = [
    "BACKBONES",
    "DEFAULT_PREFIXES",
    "BackboneOutput",
    "BatchSummary",
    "CAFace",
    "CAFaceConfig",
    "ClusterState",
    "IRNetwork",
    "IResNet",
    "TrainableFuser",
    "TrainingPass",
    "config_of_official_state_dict",
    "ir_18",
    "ir_50",
    "ir_101",
    "iresnet18",
    "iresnet50",
    "iresnet100",
    "load_official_state_dict",
]

BACKBONES = {
    "ir_18": ir_18,
    "ir_50": ir_50,
    "ir_101": ir_101,
    "iresnet18": iresnet18,
    "iresnet50": iresnet50,
    "iresnet100": iresnet100,
}
"""Constructors of the face embedders by their official names."""
