"""Fixtures of the parity tests: golden arrays, the tolerance table, one way to compare."""

from __future__ import annotations

import gzip
import importlib.util
import json
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

GOLDEN_FOLDER = Path(__file__).parents[1] / "golden"

LARGEST: list[tuple[float, str]] = []
"""Largest deviation of each comparison, for the summary."""


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Prints how near the parity tests came, not only that they passed."""
    if LARGEST:
        terminalreporter.section("largest deviation max|a-b| / max|b| of each golden comparison")
        for value, name in LARGEST:
            terminalreporter.line(f"{value:.1e}  {name}")


Arrays = dict[str, np.ndarray]


@pytest.fixture(scope="package", autouse=True)
def one_thread() -> Iterator[None]:
    """Small networks on one thread: several are slower, by far so on a busy machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def tolerances() -> ModuleType:
    """tolerances.py of this folder (test modules cannot import each other)."""
    spec = importlib.util.spec_from_file_location(
        "parity_tolerances", Path(__file__).with_name("tolerances.py")
    )
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="session")
def golden_path() -> Callable[[str], Path]:
    """Path of a golden file; fails, never skips, where it is missing."""

    def path(name: str) -> Path:
        file = GOLDEN_FOLDER / name
        if not file.is_file():
            pytest.fail(f"golden file {name} is missing from tests/golden: restore it.")
        return file

    return path


@pytest.fixture(scope="session")
def golden(golden_path: Callable[[str], Path]) -> Callable[[str], Arrays]:
    """Arrays of a golden file, by its name without suffix."""
    return lambda name: load_file(golden_path(f"{name}.safetensors"))


@pytest.fixture(scope="session")
def deviation(tolerances: ModuleType) -> Callable[[np.ndarray, np.ndarray], float]:
    """max|a - b| / max|b|; where b is zero in theory 0 if a is too, else infinity."""

    def measure(actual: np.ndarray, expected: np.ndarray) -> float:
        assert actual.shape == expected.shape, (actual.shape, expected.shape)
        actual, expected = actual.astype(np.float64), expected.astype(np.float64)
        assert np.isfinite(expected).all()
        if not np.isfinite(actual).all():
            return float("inf")
        largest = float(np.abs(expected).max())
        if largest < tolerances.ZERO:
            return 0.0 if float(np.abs(actual).max()) < tolerances.ZERO else float("inf")
        return float(np.abs(actual - expected).max()) / largest

    return measure


@pytest.fixture(scope="session")
def assert_all_match(
    deviation: Callable[[np.ndarray, np.ndarray], float],
) -> Callable[[Mapping[str, np.ndarray], Mapping[str, np.ndarray], Callable[[str], float]], None]:
    """Every expected array is there, nothing else is, and each is within its tolerance."""

    def compare(
        actual: Mapping[str, np.ndarray],
        expected: Mapping[str, np.ndarray],
        tolerance_of: Callable[[str], float],
    ) -> None:
        assert expected, "no golden array selected"
        assert sorted(actual) == sorted(expected), "arrays left uncompared or unknown"
        measured = {name: deviation(actual[name], expected[name]) for name in expected}
        LARGEST.append((max(measured.values()), max(measured, key=measured.__getitem__)))
        beyond = {name: value for name, value in measured.items() if value > tolerance_of(name)}
        assert not beyond, f"beyond tolerance: {beyond}"

    return compare


def made_weight(key, shape):
    """The weight that stands behind a key in the golden run."""
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, dtype=np.int64)
    noise = np.random.default_rng(zlib.crc32(key.encode())).standard_normal(shape)
    noise = noise.astype(np.float32)
    if key.endswith("running_var"):
        return 1 + 0.1 * np.abs(noise)
    if key.endswith("running_mean"):
        return 0.05 * noise
    if len(shape) >= 2:
        return (noise / np.sqrt(np.prod(shape[1:]))).astype(np.float32)
    if key.endswith("bias"):
        return 0.05 * noise
    is_slope = "prelu" in key.lower() or key.endswith("res_layer.3.weight")
    if is_slope or key == "input_layer.2.weight":
        return 0.25 + 0.02 * noise
    return 1 + 0.1 * noise


@pytest.fixture(scope="session")
def key_shapes(golden_path: Callable[[str], Path]) -> dict[str, dict[str, list[int]]]:
    """Every key of the embedder networks with its shape."""
    with gzip.open(golden_path("backbone_keys.json.gz"), "rt") as file:
        content: dict[str, dict[str, list[int]]] = json.load(file)
    return content


@pytest.fixture(scope="session")
def made_state(
    key_shapes: dict[str, dict[str, list[int]]],
) -> Callable[[str], dict[str, torch.Tensor]]:
    """The state dict of an embedder network with the weights of the golden run."""

    def make(name: str) -> dict[str, torch.Tensor]:
        return {
            key: torch.from_numpy(np.asarray(made_weight(key, tuple(shape))))
            for key, shape in key_shapes[name].items()
        }

    return make
