"""Training of the quality network: it learns, from pixels, the weights of a trained fuser."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor

from probefusion.errors import ConfigError, ShapeError
from probefusion.nn.embedder_quality import EmbedderQuality
from probefusion.nn.imagewise import ImagewiseNetwork
from probefusion.nn.quality_network import QualityNetwork
from probefusion.training.embedder_export import store_halves
from probefusion.training.export import export_graph
from probefusion.training.variant_store import VariantStore, variant_generator

__all__ = [
    "QualityTraining",
    "draw_grey_variants",
    "export_quality",
    "image_log_weights",
    "train_quality",
]

Grey = npt.NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class QualityTraining:
    """Settings of the training.

    Args:
        steps: Optimiser steps.
        batch_size: Crops in a step.
        learning_rate: Highest learning rate of AdamW; one cycle.
        weight_decay: Of AdamW.
        seed: Of parameters and draws.
    """

    steps: int = 400
    batch_size: int = 192
    learning_rate: float = 4e-3
    weight_decay: float = 1e-2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.steps < 2 or self.batch_size < 2:
            raise ConfigError(
                f"steps, batch_size: expected at least 2, got {self.steps} and {self.batch_size}."
            )


def draw_grey_variants(
    sources: Sequence[str],
    read_image: Callable[[str], npt.NDArray[np.uint8]],
    draw: Callable[[npt.NDArray[np.uint8], np.random.Generator], npt.NDArray[np.uint8]],
    path: str | Path,
    *,
    num_variants: int,
    seed: int = 0,
    progress: Callable[[int, int], None] | None = None,
) -> Grey:
    """Draws the very variants that a variant store embedded, as grey crops on disk.

    Args:
        sources: Names of the images, as in the store.
        read_image: Gives an image by name.
        draw: The store's recipe.
        path: File to write, (I, V, 112, 112) uint8 `.npy`.
        num_variants: V.
        seed: The store's seed.
        progress: Called with (images done, in all).

    Returns:
        The crops, memory-mapped.
    """
    shape = (len(sources), num_variants, 112, 112)
    crops = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    luma = np.array([0.299, 0.587, 0.114], dtype=np.float32)
    for index, source in enumerate(sources):
        variants = draw(read_image(source), variant_generator(seed, source))
        crops[index] = np.rint(variants.astype(np.float32) @ luma).astype(np.uint8)
        if progress is not None:
            progress(index + 1, len(sources))
    crops.flush()
    return np.load(path, mmap_mode="r")


def image_log_weights(network: ImagewiseNetwork, store: VariantStore) -> npt.NDArray[np.float32]:
    """(I, V) logarithm of the weight that a trained fuser gives each variant, mean 0.

    Args:
        network: A fuser whose shares sum to an image's weight.
        store: The variants, with style if the network needs it.
    """
    found = []
    with torch.no_grad():
        for start in range(0, len(store.sources), 200):
            embeddings = torch.from_numpy(store.embeddings[start : start + 200].astype(np.float32))
            style = torch.zeros(*embeddings.shape[:2], 0, 2)
            if store.style is not None:
                style = torch.from_numpy(store.style[start : start + 200].astype(np.float32))
            shares = network.terms(embeddings, style).shares
            found.append(shares.sum(dim=-1).log().numpy())
    weights = np.concatenate(found)
    centred: npt.NDArray[np.float32] = weights - weights.mean(dtype=np.float64).astype(np.float32)
    return centred


def train_quality(
    crops: Grey,
    log_weights: npt.NDArray[np.float32],
    settings: QualityTraining,
    *,
    rows: npt.NDArray[np.int64] | None = None,
    on_step: Callable[[int, float], None] | None = None,
) -> QualityNetwork:
    """Trains a quality network to give the logarithm of a fuser's weights.

    Args:
        crops: (I, V, 112, 112) grey crops.
        log_weights: (I, V) what it is to give; (R, V) with `rows`.
        settings: Steps and rates.
        rows: (R,) the images to train on, for crops that hold others too; None takes all.
        on_step: Called with the step, from 1, and its loss.

    Returns:
        The network in evaluation mode.

    Raises:
        ShapeError: If crops and weights do not fit.
    """
    rows = np.arange(len(crops)) if rows is None else rows
    if (len(rows), crops.shape[1]) != log_weights.shape:
        raise ShapeError(
            f"log_weights: expected one per crop {(len(rows), crops.shape[1])}, got "
            f"{log_weights.shape}."
        )
    network = QualityNetwork(rng=np.random.default_rng([settings.seed, 3])).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, settings.learning_rate, total_steps=settings.steps
    )
    rng = np.random.default_rng([settings.seed, 4])
    for step in range(1, settings.steps + 1):
        images = rng.integers(0, len(rows), settings.batch_size)
        variants = rng.integers(0, crops.shape[1], settings.batch_size)
        batch = torch.from_numpy(crops[rows[images], variants])
        wanted = torch.from_numpy(log_weights[images, variants])
        loss = torch.nn.functional.smooth_l1_loss(network(batch), wanted)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        schedule.step()
        if on_step is not None:
            on_step(step, float(loss.detach()))
    return network.eval()


def export_quality(network: QualityNetwork | EmbedderQuality, path: str | Path) -> None:
    """Writes the network as ONNX: crops (N, 112, 112, 3) uint8 to log_weights (N,) float32.

    Matrices that were rounded to 16 bits are stored so.

    Args:
        network: The trained network.
        path: The file.
    """
    images = torch.export.Dim("images")
    sample: Tensor = torch.zeros(3, 112, 112, 3, dtype=torch.uint8)
    export_graph(network, (sample,), {"crops": {0: images}}, ["crops"], ["log_weights"], Path(path))
    model = onnx.load(path)
    store_halves(model)
    onnx.save(model, path)
