"""ONNX graphs with the outputs of SCRFD, made for tests, and their decoding in plain loops."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

STRIDES = (8, 16, 32)


def empty_maps(height: int, width: int) -> dict[tuple[int, int], np.ndarray]:
    """Maps of zeros by (stride, columns) for an input of this size: no face anywhere."""
    return {
        (stride, columns): np.zeros((height // stride * (width // stride) * 2, columns), np.float32)
        for columns in (1, 4, 10)
        for stride in STRIDES
    }


def put_face(
    maps: dict[tuple[int, int], np.ndarray],
    *,
    width: int,
    stride: int,
    place: tuple[int, int],
    anchor: int,
    score: float,
    box: tuple[float, float, float, float],
    landmarks: Any,
) -> None:
    """Writes a face into maps: `box` is left, top, right, bottom, in pixels of an input of this width."""
    column, row = place
    number = (row * (width // stride) + column) * 2 + anchor
    x, y = column * stride, row * stride
    maps[stride, 1][number] = score
    left, top, right, bottom = box
    maps[stride, 4][number] = np.array([x - left, y - top, right - x, bottom - y]) / stride
    maps[stride, 10][number] = ((np.asarray(landmarks, float) - [x, y]) / stride).ravel()


def write_maps(
    path: Path,
    maps: dict[tuple[int, int], np.ndarray],
    *,
    height: int,
    width: int,
    is_batched: bool = False,
    dtype: Any = np.float32,
) -> Path:
    """A network that gives the same maps for every image of this size."""
    import onnx

    helper = onnx.helper
    kind = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    constants, nodes, outputs = [], [], []
    for (stride, columns), values in maps.items():
        values = values[None] if is_batched else values
        name = f"{columns}_at_{stride}"
        constants.append(onnx.numpy_helper.from_array(values.astype(dtype), f"c{name}"))
        nodes.append(helper.make_node("Identity", [f"c{name}"], [name]))
        outputs.append(helper.make_tensor_value_info(name, kind, values.shape))
    image = helper.make_tensor_value_info("input.1", kind, [1, 3, height, width])
    return _save(path, nodes, [image], outputs, constants)


def write_seeing(path: Path, *, is_batched: bool = False, names: Any = None, seed: int = 1) -> Path:
    """A network of free input size whose maps depend on every pixel: one convolution for each output."""
    import onnx

    helper, from_array = onnx.helper, onnx.numpy_helper.from_array
    rng = np.random.default_rng(seed)
    constants, nodes, outputs = [], [], []
    for columns in (1, 4, 10):
        for stride in STRIDES:
            name = f"out{len(outputs)}"
            channels = 2 * columns
            scale = (2 if columns == 1 else 1) / stride
            weight = rng.normal(0, scale, (channels, 3, stride, stride)).astype(np.float32)
            bias = np.full(channels, {1: -1.0, 4: 1.5, 10: 0.5}[columns], np.float32)
            shape = np.array([1, -1, columns] if is_batched else [-1, columns], np.int64)
            constants += [
                from_array(weight, f"w{name}"),
                from_array(bias, f"b{name}"),
                from_array(shape, f"s{name}"),
            ]
            nodes += [
                helper.make_node(
                    "Conv", ["image", f"w{name}", f"b{name}"], [f"m{name}"], strides=[stride] * 2
                ),
                helper.make_node("Transpose", [f"m{name}"], [f"t{name}"], perm=[0, 2, 3, 1]),
                helper.make_node("Reshape", [f"t{name}", f"s{name}"], [f"r{name}"]),
                helper.make_node("Sigmoid" if columns == 1 else "Identity", [f"r{name}"], [name]),
            ]
            sides = [1, "rows", columns] if is_batched else ["rows", columns]
            outputs.append(helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, sides))
    image = helper.make_tensor_value_info("image", onnx.TensorProto.FLOAT, [1, 3, "h", "w"])
    return _save(path, nodes, [image], outputs, constants)


def _save(path: Path, nodes: Any, inputs: Any, outputs: Any, constants: Any) -> Path:
    import onnx

    graph = onnx.helper.make_graph(nodes, "scrfd", inputs, outputs, constants)
    opset = [onnx.helper.make_opsetid("", 13)]
    onnx.save(onnx.helper.make_model(graph, opset_imports=opset, ir_version=8), path)
    return path


def decode_plainly(
    maps: dict[tuple[int, int], np.ndarray],
    *,
    height: int,
    width: int,
    threshold: float,
    nms: float = 0.4,
) -> list[tuple[float, list[float], list[float]]]:
    """Score, box (left, top, right, bottom) and landmarks of each face, the best first."""
    found = []
    for stride in STRIDES:
        number = 0
        for row in range(height // stride):
            for column in range(width // stride):
                for _ in range(2):
                    score = float(maps[stride, 1][number][0])
                    far = [float(value) * stride for value in maps[stride, 4][number]]
                    marks = [float(value) * stride for value in maps[stride, 10][number]]
                    number += 1
                    if score < threshold:
                        continue
                    x, y = column * stride, row * stride
                    box = [x - far[0], y - far[1], x + far[2], y + far[3]]
                    if box[2] <= box[0] or box[3] <= box[1]:
                        continue
                    points = [value + (x, y)[place % 2] for place, value in enumerate(marks)]
                    found.append((score, box, points))
    found.sort(key=lambda face: -face[0])
    kept: list[tuple[float, list[float], list[float]]] = []
    for face in found:
        if all(_shared(face[1], other[1]) <= nms for other in kept):
            kept.append(face)
    return kept


def _shared(one: list[float], other: list[float]) -> float:
    across = min(one[2], other[2]) - max(one[0], other[0])
    down = min(one[3], other[3]) - max(one[1], other[1])
    if across <= 0 or down <= 0:
        return 0.0
    area = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1])
    return across * down / (area - across * down)
