"""Learns an exact fuser's weights again, under half of its correction, on sets of two families.

    python -m research.real_faces.refit --variants WORK/NAME --start FUSER_FOLDER -o STATE.safetensors

What is measured on real films says: weights learned on poor images of some people hold for others, the
correction holds by half. So the correction of the start stays as it is, half of it counts, and only the
layer that gives an image its weight is learned again.
"""

from __future__ import annotations

import argparse
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from probefusion.degradations.broadcast import BROADCAST_VERSION
from probefusion.degradations.degrade import DEGRADATION_VERSION
from probefusion.nn.architectures import build_network
from probefusion.nn.exact import ExactFuser
from probefusion.nn.imagewise import ImageTerms
from probefusion.training.losses import cosine_similarity
from probefusion.training.starting_point import StartingPoint, read_starting_point
from research.real_faces.sets import PersonSets, SetBatch
from research.real_faces.variants import NUM_MILD, NUM_SEVERE, Variants

__all__ = ["halved", "refit", "settings_of", "with_share", "without_correction"]

CORRECTION_SHARE = 0.5
PREFIXES = (1, 2, 4, 8, 16)
_SCALE, _MARGIN = 24.0, 0.1
_LEARNING_RATE = 1e-3
_WARM_UP = 30
STEPS, PEOPLE = 300, 96


def halved(start: StartingPoint) -> ExactFuser:
    """The start's network with half of its correction; its weight layer alone learns."""
    network = with_share(start, CORRECTION_SHARE)
    learns_only(network, ("weight",))
    return network.eval()


def with_share(start: StartingPoint, share: float) -> ExactFuser:
    """The start's network with this share of its correction; 0 leaves the correction out of the file."""
    if share == 0:
        return without_correction(start)
    settings = {**start.card.config, "correction_share": share}
    network = build_network(start.card.architecture, settings)
    assert isinstance(network, ExactFuser)  # noqa: S101 - what --start is for
    start.load_into(network)
    return network.eval()


def without_correction(start: StartingPoint) -> ExactFuser:
    """The start's network with its weights and gains alone, which is what a share of nothing gives."""
    settings = {**start.card.config, "corrects": False, "refines": False}
    network = build_network(start.card.architecture, settings)
    assert isinstance(network, ExactFuser)  # noqa: S101 - what --start is for
    kept = network.state_dict().keys()
    weights = {name: tensor for name, tensor in start.weights.items() if name in kept}
    replace(start, weights=weights).load_into(network)
    return network.eval()


def learns_only(network: nn.Module, parts: tuple[str, ...]) -> None:
    """Freezes all parameters but those of the named layers."""
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name.split(".")[0] in parts)


def refit(
    network: ExactFuser,
    variants: Variants,
    *,
    steps: int = STEPS,
    size: int = PEOPLE,
    seed: int = 0,
) -> list[float]:
    """Trains what may learn, in evaluation mode; gives the loss of each step.

    The loss is what a search does: templates of 1 to 16 poor images against the fused single image of
    everybody in the batch, and against their class centres, as a margin softmax; plus the centre loss.
    """
    torch.manual_seed(seed)
    sets = PersonSets(variants, np.random.default_rng(seed))
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=_LEARNING_RATE, weight_decay=0.0)
    losses = []
    for step in range(steps):
        rate = min(1, (step + 1) / _WARM_UP)
        rate *= 0.01 + 0.99 * 0.5 * (1 + math.cos(math.pi * step / steps))
        for group in optimizer.param_groups:
            group["lr"] = _LEARNING_RATE * rate
        loss = step_loss(network, variants, sets.draw(size))
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
        if (step + 1) % 50 == 0:
            print(f"step {step + 1} of {steps}: {np.mean(losses[-50:]):.4f}", flush=True)
    return losses


def settings_of() -> dict[str, Any]:
    """What a run of `main` with its defaults does, for the card of a fuser."""
    return {
        "steps": STEPS,
        "people_a_step": PEOPLE,
        "prefixes": PREFIXES,
        "learning_rate": _LEARNING_RATE,
        "warm_up": _WARM_UP,
        "scale": _SCALE,
        "margin": _MARGIN,
        "seed": 0,
        "correction_share": CORRECTION_SHARE,
        "learned": ["weight"],
        "variants_of_an_image": {"mild": NUM_MILD, "severe": NUM_SEVERE},
        "degradations": [DEGRADATION_VERSION, BROADCAST_VERSION],
    }


def step_loss(network: ExactFuser, variants: Variants, batch: SetBatch) -> Tensor:
    """Mean over set sizes of centre loss and margin softmax."""
    probes = network.terms(*_tensors(variants, batch.probes))
    gallery = network(*_tensors(variants, batch.gallery[:, None]))
    centres = torch.from_numpy(
        np.stack([_centre(variants.embeddings[rows, -2]) for rows in batch.clean])
    )
    total = gallery.new_zeros(())
    for size in PREFIXES:
        fused = _fused(network, probes, size)
        total = total + (1 - cosine_similarity(fused, centres)).mean()
        found = _cosines(fused, gallery)
        both = 0.5 * (_margin_softmax(found) + _margin_softmax(found.T))
        total = total + 0.5 * (both + _margin_softmax(_cosines(fused, centres)))
    return total / len(PREFIXES)


def _fused(network: ExactFuser, terms: ImageTerms, size: int) -> Tensor:
    shares = terms.shares[:, :size].transpose(1, 2)
    sums = (shares @ part[:, :size] for part in (terms.values, terms.style_tokens))
    return network.read_out(shares.sum(dim=2), *sums)[0]


def _cosines(first: Tensor, second: Tensor) -> Tensor:
    return cosine_similarity(first[:, None], second[None])


def _margin_softmax(cosines: Tensor) -> Tensor:
    logits = _SCALE * (cosines - _MARGIN * torch.eye(len(cosines)))
    return nn.functional.cross_entropy(logits, torch.arange(len(cosines)))


def _tensors(variants: Variants, rows: npt.NDArray[np.int64]) -> tuple[Tensor, Tensor]:
    at = rows[..., 0], rows[..., 1]
    return (
        torch.from_numpy(variants.embeddings[at].astype(np.float32)),
        torch.from_numpy(variants.style[at].astype(np.float32)),
    )


def _centre(embeddings: npt.NDArray[np.float16]) -> npt.NDArray[np.float32]:
    wide = embeddings.astype(np.float32)
    mean = (wide / np.linalg.norm(wide, axis=1, keepdims=True)).mean(axis=0)
    centre: npt.NDArray[np.float32] = mean / np.linalg.norm(mean)
    return centre


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--variants", required=True, type=Path, metavar="WORK")
    parser.add_argument("--start", required=True, type=Path, metavar="FUSER_FOLDER")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="STATE")
    options = parser.parse_args()
    torch.set_num_threads(1)
    variants = Variants.open(options.variants)
    start = read_starting_point(options.start)
    start.check_embedder(variants.embedder)
    if start.card.style_channels == 0:
        variants = variants.without_style()
    network = halved(start)
    refit(network, variants, steps=options.steps, seed=options.seed)
    tensors = {name: value.contiguous() for name, value in network.state_dict().items()}
    save_file(tensors, options.output)


if __name__ == "__main__":
    main()
