"""Training of the quality network: which images of others' embeddings deserve trust, seen by one's own."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor

from probefusion.errors import MismatchError, MissingStyleError
from probefusion.nn.embedder_quality import EmbedderQuality
from probefusion.training.embedder_export import store_halves
from probefusion.training.export import export_graph
from probefusion.training.variant_store import VariantStore

__all__ = ["combine_stores", "export_quality"]


def combine_stores(seen: VariantStore, fused: VariantStore) -> VariantStore:
    """A store of which a fuser sees what one embedder sees, and fuses what another gives.

    A network that judges images by style and length, trained on it, learns from one embedder which
    images spoil the templates of another.

    Args:
        seen: Gives style and length.
        fused: Gives the directions, and so the centres; of the same variants.

    Returns:
        The embeddings of `fused` with the lengths of `seen`, in memory, and the style of `seen`.

    Raises:
        MismatchError: If the two hold other images, or variants drawn in another way.
        MissingStyleError: If `seen` has no style.
    """
    if seen.style is None:
        raise MissingStyleError(f"seen: expected a store with style, {seen.embedder} gives none.")
    for name in ("sources", "recipe", "seed"):
        if seen.facts[name] != fused.facts[name]:
            raise MismatchError(
                f"fused: expected the {name} of `seen`, whose variants are those of {seen.embedder}, got "
                f"others. Embed the same images in the same way."
            )
    return replace(
        seen,
        embeddings=_with_lengths(fused.embeddings, of=seen.embeddings).astype(np.float16),
        clean=_with_lengths(fused.clean, of=seen.clean),
        embedder=fused.embedder,
        facts={**fused.facts, "seen_by": seen.embedder},
    )


def _with_lengths(vectors: npt.NDArray[Any], *, of: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    lengths = np.linalg.norm(np.asarray(of, np.float32), axis=-1, keepdims=True)
    wide = np.asarray(vectors, np.float32)
    found: npt.NDArray[np.float32] = wide * (lengths / np.linalg.norm(wide, axis=-1, keepdims=True))
    return found


def export_quality(network: EmbedderQuality, path: str | Path) -> None:
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
