r"""Blends a state of relearn.py with the embedder that it began with, for one or several shares.

    python -m research.compact_embedder.blend_with_start WORK/state.pt --start compact_128d.onnx --work WORK \
        --share .2 --share .5 -o WORK/blends

With `--space teacher` both are in the second teacher's space: the start with its last layer fitted to it, as the
training found it. With `--space start` the start stays as it is, and what the trained one gives is turned (no more
than that) toward the start's space. Numbers are blended one by one (Wortsman et al., Robust fine-tuning of zero-shot
models, CVPR 2022); after that BatchNorms take their means and variances anew from views of training crops.
"""

from __future__ import annotations

import argparse
import copy
import itertools
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from probefusion.errors import ConfigError, MismatchError
from probefusion.files import replace_file
from research.compact_embedder.network import CompactEmbedder, CompactEmbedderConfig
from research.compact_embedder.relearn import KINDS, PoorViews, as_pixels, begin
from research.compact_embedder.states import read_state
from research.compact_embedder.warm_start import open_compact_embedder

__all__ = ["blend_networks", "measure_norms", "turn_toward"]

_STEPS = 20
_FIT_CROPS, _START_CROPS = 2000, 512


def blend_networks(
    start: CompactEmbedder, trained: CompactEmbedder, share: float
) -> CompactEmbedder:
    """A weighted mean of two networks, number by number.

    Args:
        start: Not changed.
        trained: Of the same size; not changed.
        share: Weight of `trained`, from 0 to 1.

    Raises:
        ConfigError: If the share is not in [0, 1].
        MismatchError: If the networks differ in size.
    """
    if not 0 <= share <= 1:
        raise ConfigError(f"share: expected a number from 0 to 1, got {share}.")
    if start.config != trained.config:
        raise MismatchError(f"trained: expected {start.config}, got {trained.config}.")
    blended = copy.deepcopy(trained)
    first = start.state_dict()
    blended.load_state_dict(
        {
            key: torch.lerp(first[key], part, share) if part.is_floating_point() else part
            for key, part in trained.state_dict().items()
        }
    )
    return blended


def measure_norms(network: CompactEmbedder, views: PoorViews, *, steps: int = _STEPS) -> None:
    """Gives BatchNorms the means and variances of what comes into them (in place).

    Args:
        network: Left in evaluation mode.
        views: Of training crops.
        steps: How many steps' views are looked at.
    """
    norms = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None
    network.train()
    with torch.no_grad():
        for crops, _ in itertools.islice(views, steps):
            network(as_pixels(crops))
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()


def turn_toward(network: CompactEmbedder, other: CompactEmbedder, pixels: torch.Tensor) -> None:
    """Turns what a network gives toward what another gives of the same faces (in place).

    Args:
        network: Its last layer is multiplied by the orthogonal matrix that fits best (Procrustes).
        other: Not changed.
        pixels: (N, 3, 112, 112) crops; some thousand.
    """
    network.eval()
    other.eval()
    with torch.no_grad():
        gram = sum(
            nn.functional.normalize(other(part)).double().T
            @ nn.functional.normalize(network(part)).double()
            for part in pixels.split(128)
        )
        left, _, right = torch.linalg.svd(torch.as_tensor(gram))
        turn = (left @ right).float()
        network.embedding.weight.copy_(turn @ network.embedding.weight)
        network.embedding.bias.copy_(turn @ network.embedding.bias)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path, metavar="STATE")
    parser.add_argument("--start", required=True, metavar="ONNX")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("--share", required=True, type=float, action="append", metavar="SHARE")
    parser.add_argument("--space", choices=("teacher", "start"), default="start")
    parser.add_argument("--mild", type=float, default=0.35, help="share of mild views")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    options = parser.parse_args()
    torch.set_num_threads(1)
    saved: dict[str, Any] = read_state(options.state)
    config = CompactEmbedderConfig(**saved["config"])
    trained = CompactEmbedder(config)
    trained.load_state_dict(saved["network"])
    seed = int(saved["stages"][-1]["seed"])
    crops = np.load(options.work / "crops.npy", mmap_mode="r")
    targets = torch.from_numpy(np.load(options.work / "targets.npy"))
    if options.space == "teacher":
        start = begin(options.start, crops, targets, seed=seed, config=config)
    else:
        rows = np.sort(np.random.default_rng([seed, 13]).permutation(len(crops))[:_FIT_CROPS])
        pixels = as_pixels(crops[rows])
        start = open_compact_embedder(options.start, pixels[:_START_CROPS], config=config)
        turn_toward(trained, start, pixels)
    options.output.mkdir(parents=True, exist_ok=True)
    for share in options.share:
        views = PoorViews(
            options.work / "crops.npy",
            views_per_step=64,
            seed=seed + 1,
            first_step=0,
            mild=dict.fromkeys(KINDS, options.mild),
        )
        network = blend_networks(start, trained, share)
        measure_norms(network, views)
        blended = {
            "file": Path(options.start).name,
            "share": round(1 - share, 6),
            "space": options.space,
        }
        stage = {
            **saved["stages"][-1],
            "from_step": int(saved["step"]),
            "blended_with_start": blended,
        }
        state = {
            **saved,
            "network": network.state_dict(),
            "optimizer": {},
            "stages": [*saved["stages"], stage],
        }
        name = f"{options.state.stem}-{options.space}-{share:g}.pt"
        with replace_file(options.output / name, force=True) as file:
            torch.save(state, file)
        print(f"wrote {options.output / name}", flush=True)


if __name__ == "__main__":
    main()
