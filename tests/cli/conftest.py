"""A tiny real embedder, pictures of made-up people, and the command run in this process."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.cli import main

onnx = pytest.importorskip("onnx")
cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="session")
def tiny_embedder(tmp_path_factory):
    """A network with maps of 28 and 14 pixels: (N, 3, 112, 112) to (N, 16), 6 style channels."""
    helper, numpy_helper = onnx.helper, onnx.numpy_helper
    matrix = np.random.default_rng(0).standard_normal((147, 16)).astype(np.float32)

    def pool(source, target, size):
        return helper.make_node(
            "AveragePool", [source], [target], kernel_shape=[size] * 2, strides=[size] * 2
        )

    nodes = [
        pool("image", "stage2", 4),
        pool("stage2", "stage3", 2),
        pool("stage3", "stage4", 2),
        helper.make_node("Flatten", ["stage4"], ["flat"], axis=1),
        helper.make_node("MatMul", ["flat", "matrix"], ["embedding"]),
    ]
    kind = onnx.TensorProto.FLOAT
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("image", kind, ["N", 3, 112, 112])],
        [helper.make_tensor_value_info("embedding", kind, ["N", 16])],
        [numpy_helper.from_array(matrix, "matrix")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)])
    model.ir_version = 8
    folder = tmp_path_factory.mktemp("embedder")
    onnx.save(model, str(folder / "tiny.onnx"))
    settings = {"name": "tiny", "preprocessing": "arcface", "style_taps": ["stage2", "stage3"]}
    (folder / "tiny.json").write_text(json.dumps(settings))
    return folder / "tiny.onnx"


@pytest.fixture(scope="session")
def people_folder(tmp_path_factory):
    """30 people with 1 to 4 crops each: blurred noise that is alike within a person."""
    root = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(3)
    for person in range(30):
        base = cv2.resize(rng.integers(0, 256, (6, 6, 3)).astype(np.uint8), (112, 112))
        folder = root / f"person_{person:02d}"
        folder.mkdir()
        for number in range(1 + person % 4):
            noise = rng.integers(-15, 16, base.shape)
            crop = np.clip(base + noise, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), crop)
    return root


@pytest.fixture
def command(capsys):
    """Runs a command; gives exit code, standard output and standard error."""

    def run(*arguments):
        code = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run
