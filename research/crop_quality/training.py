"""Training of the quality network: which images of others' embeddings deserve trust, seen by one's own."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
import torch
from torch import Tensor

from probefusion.checks import MIN_NORM
from probefusion.errors import (
    MismatchError,
    MissingStyleError,
    ProbeFusionError,
    ZeroLengthError,
)
from probefusion.files import replace_file
from probefusion.sessions import run_outputs, start_session
from probefusion.training.export.graphs import export_graph
from probefusion.training.variant_store import VariantStore
from research.compact_embedder.export import store_halves
from research.compact_embedder.network import CROP_SIZE
from research.crop_quality.network import EmbedderQuality

__all__ = ["combine_stores", "export_quality"]

_TOLERANCE = 1e-3


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
        MismatchError: If the two hold other images or people, or variants drawn in another way.
        MissingStyleError: If `seen` has no style.
        ZeroLengthError: If an embedding of `fused` has no direction.
    """
    if seen.style is None:
        raise MissingStyleError(
            f"seen: expected a store with style, {seen.embedder} gives none. Take an embedder with "
            f"style taps."
        )
    for name in ("sources", "subjects", "subject_ids", "recipe", "seed", "content"):
        if seen.facts[name] != fused.facts[name]:
            raise MismatchError(
                f"fused: expected the {name} of `seen`, whose variants are those of {seen.embedder}, got "
                f"others. Embed the same images in the same way."
            )
    if seen.num_variants != fused.num_variants:
        raise MismatchError(
            f"fused: expected {seen.num_variants} variants an image, got {fused.num_variants}."
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
    own = np.linalg.norm(wide, axis=-1, keepdims=True)
    if not own.min() >= MIN_NORM:
        raise ZeroLengthError(
            "fused: an embedding has no length, so no direction. Leave its image out."
        )
    found: npt.NDArray[np.float32] = wide * (lengths / own)
    return found


def export_quality(
    network: EmbedderQuality,
    path: str | Path,
    *,
    facts: Mapping[str, str] | None = None,
    force: bool = False,
) -> None:
    """Writes the network as ONNX: crops (N, 112, 112, 3) uint8 to log_weights (N,) float32.

    Matrices that were rounded to 16 bits are stored so.

    Args:
        network: The trained network.
        path: The file.
        facts: How it was trained; kept in the file's metadata.
        force: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: If the file exists and `force` is False.
        MissingFileError: If its folder does not exist.
        ProbeFusionError: If the file would not answer as the network does.
    """
    images = torch.export.Dim("images")
    sample: Tensor = torch.zeros(3, CROP_SIZE, CROP_SIZE, 3, dtype=torch.uint8)
    with tempfile.TemporaryDirectory() as folder:
        draft = Path(folder) / "quality.onnx"
        export_graph(network, (sample,), {"crops": {0: images}}, ["crops"], ["log_weights"], draft)
        model = onnx.load(draft)
    store_halves(model)
    onnx.helper.set_model_props(model, dict(facts or {}))
    _compare(model, network)
    with replace_file(path, force=force) as stream:
        stream.write(model.SerializeToString())


def _compare(model: onnx.ModelProto, network: EmbedderQuality) -> None:
    """Refuses a graph that does not answer as the network, for one crop and for several."""
    shape = (5, CROP_SIZE, CROP_SIZE, 3)
    crops = np.random.default_rng(0).integers(0, 256, shape).astype(np.uint8)
    with torch.no_grad():
        expected = network(torch.from_numpy(crops)).numpy()
    session = start_session(model, num_threads=1)
    for count in (1, len(crops)):
        (found,) = run_outputs(session, ["log_weights"], {"crops": crops[:count]})
        deviation = float(np.abs(found - expected[:count]).max())
        if not deviation <= _TOLERANCE:
            raise ProbeFusionError(
                f"export: ONNX Runtime and PyTorch differ by {deviation:.3g} in the logarithm of a weight "
                f"(allowed {_TOLERANCE:g}). This is a defect of the export; please report it with the "
                f"versions of both."
            )
