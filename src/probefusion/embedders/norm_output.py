"""The second output of a network that normalises its embedding and gives the length beside it.

AdaFace's networks, exported as they are, end so: output (N, D) of length 1, output (N, 1) with the length
that was divided out. Such a length is proved, not taken by its name: somewhere before the embedding the
graph computes the embedding times that number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import row_norms
from probefusion.embedders.onnx_graph import copy_model, image_input, import_onnx
from probefusion.sessions import run_outputs, start_session
from probefusion.types import UNIT_TOLERANCE

if TYPE_CHECKING:
    import onnx

__all__ = ["find_norm_output", "lengths_of"]

_NODES_BACK = 16
"""How far before the embedding the undivided one is looked for."""
_TOLERANCE = 1e-2
"""Relative; enough for 16-bit and 8-bit networks, and far below any other number's chance."""


def find_norm_output(
    model: onnx.ModelProto, shapes: Mapping[str, tuple[int, ...]], *, input_size: int = 112
) -> tuple[str | None, tuple[str, ...]]:
    """Looks for the output that holds the length of the embedding.

    Args:
        model: The network; not changed.
        shapes: Shape by name of each output for a batch of the size written into the graph, or of one.
        input_size: Height and width of its input in pixels, where the graph leaves them free.

    Returns:
        Name of the output whose length is proved, or None; and the outputs of one positive number an image
        beside an embedding of length 1, which may be it or not.

    Raises:
        FileFormatError: If the network cannot be run.
    """
    batch = image_input(model).fixed_batch or 1
    single = [name for name, shape in shapes.items() if _is_single(shape, batch)]
    vectors = [
        name
        for name, shape in shapes.items()
        if name not in single and shape[:1] == (batch,) and np.prod(shape[1:]) > 1
    ]
    if not single or not vectors:
        return None, ()
    before = {name: _computed_before(model, name) for name in vectors}
    arrays = _run(
        model, {*single, *vectors, *(one for many in before.values() for one in many)}, input_size
    )
    possible: list[str] = []
    for vector in vectors:
        unit = _rows(arrays[vector])
        if np.abs(row_norms(unit) - 1).max() > UNIT_TOLERANCE:
            continue
        for name in single:
            norms = arrays[name].reshape(-1, 1).astype(np.float32)
            if not (np.isfinite(norms).all() and norms.min() > 0):
                continue
            if any(_is_product(arrays.get(one), unit, norms) for one in before[vector]):
                return name, (name,)
            possible.append(name)
    return None, tuple(dict.fromkeys(possible))


def lengths_of(output: npt.NDArray[Any], count: int) -> npt.NDArray[np.float32] | None:
    """One length per image as (N, 1), or None if the output does not hold them."""
    if output.size != count or output.dtype.kind != "f":
        return None
    lengths: npt.NDArray[np.float32] = output.reshape(count, 1).astype(np.float32)
    return None if (lengths < 0).any() else lengths


def _is_single(shape: tuple[int, ...], batch: int) -> bool:
    return shape[:1] == (batch,) and set(shape[1:]) <= {1}


def _computed_before(model: onnx.ModelProto, name: str) -> list[str]:
    """Tensors from which the graph computes another, the nearest first."""
    maker = {output: node for node in model.graph.node for output in node.output}
    found: list[str] = []
    waiting = [name]
    for _ in range(_NODES_BACK):
        node = next((maker[one] for one in waiting if one in maker), None)
        if node is None:
            break
        waiting = [one for one in waiting if maker.get(one) is not node]
        new = [one for one in node.input if one in maker and one not in found]
        found += new
        waiting += new
    return found


def _run(model: onnx.ModelProto, names: set[str], input_size: int) -> dict[str, npt.NDArray[Any]]:
    """What the graph computes for an image of noise."""
    onnx = import_onnx()
    probe = copy_model(model)
    already = {entry.name for entry in probe.graph.output}
    for name in sorted(names - already):
        probe.graph.output.append(onnx.helper.make_empty_tensor_value_info(name))
    facts = image_input(model)
    batch, size = facts.fixed_batch or 1, facts.size or input_size
    shape = (batch, size, size, 3) if facts.channels_last else (batch, 3, size, size)
    image = np.random.default_rng(0).uniform(-1, 1, shape).astype(facts.dtype)
    ordered = sorted(names)
    session = start_session(probe, num_threads=1)
    arrays = run_outputs(session, ordered, {facts.name: image})
    return dict(zip(ordered, arrays, strict=True))


def _rows(array: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    return array.reshape(len(array), -1).astype(np.float32)


def _is_product(
    array: npt.NDArray[Any] | None, unit: npt.NDArray[np.float32], norms: npt.NDArray[np.float32]
) -> bool:
    """Whether an array is the embedding times the number; where that is 1 everything would be."""
    if array is None or array.dtype.kind != "f" or array.size != unit.size:
        return False
    raw = array.reshape(unit.shape).astype(np.float32)
    return bool(
        np.abs(norms - 1).min() > _TOLERANCE
        and np.abs(raw - unit * norms).max() <= _TOLERANCE * np.abs(raw).max()
    )
