r"""Gives a compact embedder one last layer for two teachers: what it knows of both, in as many numbers as before.

    python -m research.compact_embedder.two_teachers compact_128d.onnx --work WORK --share .4 -o JOINED.pt

WORK holds what research/compact_embedder/targets.py made of a second teacher. The body stays. A second last layer is
fitted to the second teacher's embeddings of the training crops (ridge regression); then both layers are joined:
stacked, weighted by the share, and cut to the old number of dimensions along the principal axes of the unit embeddings
of the training crops. The similarity of two faces becomes, as nearly as that allows, the weighted mean of both.
"""

from __future__ import annotations

import argparse
import copy
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from probefusion.errors import ConfigError, ShapeError
from probefusion.files import replace_file
from research.compact_embedder.network import CompactEmbedder
from research.compact_embedder.relearn import as_pixels
from research.compact_embedder.warm_start import open_compact_embedder

__all__ = ["features_of", "fitted_layer", "joined_layer"]

_START_CROPS = 512
_BATCH = 128
_RIDGE = 1e-3

Layer = tuple[Tensor, Tensor]
"""Weight (D, F) and bias (D,), float64."""


def features_of(network: CompactEmbedder, crops: npt.NDArray[np.uint8]) -> Tensor:
    """(N, F) float64 input of the last layer for (N, 112, 112, 3) crops."""
    network.eval()
    found = []
    with torch.no_grad():
        for first in range(0, len(crops), _BATCH):
            pixels = as_pixels(np.array(crops[first : first + _BATCH]))
            found.append(network.places(network.maps(pixels)[-1]).flatten(1).double())
    return torch.cat(found)


def fitted_layer(features: Tensor, targets: Tensor, *, ridge: float = _RIDGE) -> Layer:
    """The least-squares layer from features to targets.

    Args:
        features: (N, F) float64.
        targets: (N, D) unit embeddings.
        ridge: Penalty of large weights, as a share of the mean square of a feature.
    """
    inputs = torch.cat([features, torch.ones(len(features), 1, dtype=torch.float64)], dim=1)
    gram = inputs.T @ inputs
    gram += ridge * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
    solution = torch.linalg.solve(gram, inputs.T @ targets.double())
    return solution[:-1].T.contiguous(), solution[-1].contiguous()


def joined_layer(first: Layer, second: Layer, features: Tensor, *, share: float) -> Layer:
    """One layer of as many numbers as `first` for both.

    Args:
        first: Layer (D, F).
        second: Layer (E, F).
        features: (N, F) float64 of training crops, N at least D.
        share: Weight of `second`, from 0 to 1.

    Raises:
        ConfigError: If the share is not in [0, 1].
        ShapeError: If there are too few features.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"share: expected a number from 0 to 1, got {share}.")
    if len(features) < len(first[1]):
        raise ShapeError(f"features: expected at least {len(first[1])} rows, got {len(features)}.")
    scales = (1 - share) ** 0.5, share**0.5
    weight = torch.cat([scales[0] * first[0].double(), scales[1] * second[0].double()])
    bias = torch.cat([scales[0] * first[1].double(), scales[1] * second[1].double()])
    unit = torch.nn.functional.normalize(features @ weight.T + bias, dim=1)
    axes = torch.linalg.eigh(unit.T @ unit).eigenvectors.flip(1)[:, : len(first[1])].T
    return axes @ weight, axes @ bias


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("embedder", metavar="ONNX")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("--share", required=True, type=float, help="of the second teacher")
    parser.add_argument("--crops", type=int, help="look at so many of them (default: all)")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=5)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="STATE")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    crops = np.load(options.work / "crops.npy", mmap_mode="r")
    order = np.random.default_rng(options.seed).permutation(len(crops))
    rows = np.sort(order[: options.crops])
    targets = torch.from_numpy(np.load(options.work / "targets.npy")[rows])
    network = open_compact_embedder(
        options.embedder, as_pixels(np.array(crops[rows[:_START_CROPS]]))
    )
    features = features_of(network, crops[rows])
    joined = with_layer(network, features, targets, share=options.share)
    stage = {
        "from_step": 0,
        "start": Path(options.embedder).name,
        "share": options.share,
        "crops": len(rows),
        "ridge": _RIDGE,
        "seed": options.seed,
    }
    state = {
        "config": asdict(joined.config),
        "network": joined.state_dict(),
        "comparisons": {},
        "optimizer": {},
        "step": 0,
        "stages": [stage],
    }
    with replace_file(options.output, force=options.force) as file:
        torch.save(state, file)


def with_layer(
    network: CompactEmbedder, features: Tensor, targets: Tensor, *, share: float
) -> CompactEmbedder:
    """A copy of a network with its last layer joined to one for the targets.

    Args:
        network: Not changed.
        features: (N, F) float64 of training crops, as `features_of` gives them.
        targets: (N, E) unit embeddings of the same crops by the second teacher.
        share: Weight of the second teacher.
    """
    layer = network.embedding
    own = layer.weight.detach().double(), layer.bias.detach().double()
    second = fitted_layer(features, targets)
    weight, bias = joined_layer(own, second, features, share=share)
    changed = copy.deepcopy(network)
    with torch.no_grad():
        changed.embedding.weight.copy_(weight)
        changed.embedding.bias.copy_(bias)
    return changed


if __name__ == "__main__":
    main()
