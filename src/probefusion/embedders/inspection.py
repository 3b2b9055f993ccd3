"""What can be learned from an embedder's file alone."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from probefusion.embedders.norm_output import find_norm_output
from probefusion.embedders.onnx_graph import (
    image_input,
    opset_version,
    read_model,
)
from probefusion.embedders.style_taps import find_style_taps
from probefusion.sessions import run_outputs, start_session

if TYPE_CHECKING:
    import onnx

__all__ = ["EmbedderFacts", "inspect_embedder"]


@dataclass(frozen=True, kw_only=True)
class EmbedderFacts:
    """What an ONNX file tells about itself; channel order and normalisation it cannot tell.

    Args:
        sha256: SHA-256 of the file.
        input_name: Name of the image input.
        input_size: Height and width in pixels that the file states, or None.
        channels_last: Whether the input is (N, H, W, 3).
        fixed_batch: Batch size written into the file, or None.
        opset: Operator set version.
        outputs: Shape by name of each output, for a batch of one.
        dims: Sizes of those outputs that could be the embedding.
        style_taps: Proposed taps, see `find_style_taps`, or ().
        norm_output: Output that holds the length of an embedding which the network normalises, proved by
            the graph (see `find_norm_output`) or stated; None where there is none.
        norm_candidates: Outputs of one number an image beside such an embedding that are perhaps its length;
            whoever knows must say it.
    """

    sha256: str
    input_name: str
    input_size: int | None
    channels_last: bool
    fixed_batch: int | None
    opset: int
    outputs: dict[str, tuple[int, ...]]
    dims: tuple[int, ...]
    style_taps: tuple[str, ...]
    norm_output: str | None = None
    norm_candidates: tuple[str, ...] = ()


def inspect_embedder(
    path: str | Path, *, input_size: int | None = None, search_taps: bool = True
) -> EmbedderFacts:
    """Reads a network and runs it once on a black image to see its shapes.

    Args:
        path: The `.onnx` file.
        input_size: Pixels per side to run with where the file leaves that free (default 112).
        search_taps: Whether to look for style taps; False leaves `style_taps` empty.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is no network of one image input, or cannot be run.
        MissingExtraError: If `onnx` is not installed.
    """
    model, sha256 = read_model(path)
    where = f" of {Path(path).name!r}"
    facts = image_input(model, where=where)
    size = facts.size or input_size or 112
    outputs = _output_shapes(model, size, where)
    batch = facts.fixed_batch or 1
    dims = tuple(
        shape[1]
        for shape in outputs.values()
        if len(shape) in (2, 4) and shape[0] == batch and shape[1] > 1 and set(shape[2:]) <= {1}
    )
    norm_output, possible = find_norm_output(model, outputs, input_size=size)
    return EmbedderFacts(
        sha256=sha256,
        input_name=facts.name,
        input_size=facts.size,
        channels_last=facts.channels_last,
        fixed_batch=facts.fixed_batch,
        opset=opset_version(model),
        outputs=outputs,
        dims=dims,
        style_taps=find_style_taps(model, input_size=size) if search_taps else (),
        norm_output=norm_output,
        norm_candidates=() if norm_output is not None else possible,
    )


def _output_shapes(model: onnx.ModelProto, size: int, where: str) -> dict[str, tuple[int, ...]]:
    facts = image_input(model, where=where)
    batch = facts.fixed_batch or 1
    shape = (batch, size, size, 3) if facts.channels_last else (batch, 3, size, size)
    names = [entry.name for entry in model.graph.output]
    session = start_session(model, num_threads=1, where=where)
    arrays = run_outputs(session, names, {facts.name: np.zeros(shape, facts.dtype)}, where=where)
    return {name: np.shape(array) for name, array in zip(names, arrays, strict=True)}
