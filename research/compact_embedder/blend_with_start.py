r"""Blends a state of relearn.py with the embedder that it began with, for one or several shares.

    python -m research.compact_embedder.blend_with_start WORK/state.pt --start compact_128d.onnx --work WORK \
        --share .2 --share .5 -o WORK/blends

Both see the second teacher's space: the start with its last layer fitted to it, as the training found it. Numbers are
blended one by one (Wortsman et al., Robust fine-tuning of zero-shot models, CVPR 2022); after that BatchNorms take
their means and variances anew from views of training crops. With `--refit` the last layer is fitted anew too, to the
teacher's embeddings of the clean crops.
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
from research.compact_embedder.relearn import PoorViews, as_pixels, begin, fit_last_layer
from research.compact_embedder.states import read_state

__all__ = ["blend_networks", "measure_norms"]

_STEPS = 40
_FIT_STEPS = 100


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


def _refit(network: CompactEmbedder, views: PoorViews, targets: torch.Tensor) -> None:
    seen = list(itertools.islice(views, _FIT_STEPS))
    rows = np.concatenate([part for _, part in seen])
    fit_last_layer(network, as_pixels(np.concatenate([part for part, _ in seen])), targets[rows])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", type=Path, metavar="STATE")
    parser.add_argument("--start", required=True, metavar="ONNX")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("--share", required=True, type=float, action="append", metavar="SHARE")
    parser.add_argument("--refit", action="store_true", help="fit the last layer anew")
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
    start = begin(options.start, crops, targets, seed=seed, config=config)
    options.output.mkdir(parents=True, exist_ok=True)
    for share in options.share:
        views = PoorViews(
            options.work / "crops.npy",
            views_per_step=64,
            seed=seed + 1,
            first_step=0,
            mild=options.mild,
        )
        network = blend_networks(start, trained, share)
        measure_norms(network, views)
        if options.refit:
            _refit(network, views, targets)
        blended = {"file": Path(options.start).name, "share": round(1 - share, 6)}
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
        name = f"{options.state.stem}-{share:g}{'-refit' if options.refit else ''}.pt"
        with replace_file(options.output / name, force=True) as file:
            torch.save(state, file)
        print(f"wrote {options.output / name}", flush=True)


if __name__ == "__main__":
    main()
