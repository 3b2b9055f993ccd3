"""The two sides of every comparison: ours, and the official architecture run the official way."""

from __future__ import annotations

import contextlib
import os
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
import torch

from probefusion.fusion import Fuser
from probefusion.fusion.learned import open_fuser
from probefusion.nn.architectures import build_network
from probefusion.nn.caface import CAFace
from probefusion.training.export.fuser_folder import export_fuser
from probefusion.types import EmbeddingSet

CLOCK_NAME = os.environ.get("SPEED_CLOCK", "wall")
clock = time.process_time if CLOCK_NAME == "cpu" else time.perf_counter

DIM, CHANNELS = 512, 384
THREADS = int(os.environ.get("SPEED_THREADS", "2"))
"""Threads of both sides."""

_PATTERN_ROWS = 65_536


def export_ours(folder: str | Path, architecture: str = "exact") -> Path:
    """Writes an exact fuser, of the default or the fast size, with random weights."""
    network = build_network(architecture, {"dim": DIM, "style_channels": CHANNELS})
    _shake(network)
    export_fuser(
        network,
        Path(folder) / architecture,
        name=f"{architecture}.benchmark-random.r1",
        architecture=architecture,
        embedder=None,
        licence="random weights",
        training={},
    )
    return Path(folder) / architecture


def our_fuser(architecture: str = "exact") -> Fuser:
    """The same, opened: it runs through ONNX Runtime."""
    with tempfile.TemporaryDirectory() as folder:
        return open_fuser(export_ours(folder, architecture), num_threads=THREADS)


def _shake(network: torch.nn.Module) -> None:
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn(parameter.shape, generator=generator)


class Official:
    """The faithful network in PyTorch, called as the published evaluation calls it.

    Attention is computed as in the published code, with the whole matrix of scores; `fused=True`
    takes PyTorch's fused attention instead, which the published code does not use.
    """

    def __init__(self, *, fused: bool = False) -> None:
        torch.set_num_threads(THREADS)
        self.network = CAFace().eval()
        self.fused = fused

    def fuse(self, embeddings: np.ndarray, style: np.ndarray, chunk: int | None = None):
        """One template: all images in one call, or in sequential chunks."""
        with torch.inference_mode(), self._attention():
            given = torch.from_numpy(embeddings)[None], torch.from_numpy(style)[None]
            state = None
            size = chunk or len(embeddings)
            for start in range(0, len(embeddings), size):
                part = slice(start, start + size)
                state = self.network.update(
                    state, self.network.encode(given[0][:, part], given[1][:, part])
                )
            fused = self.network.finish(state)[0]
            return torch.nn.functional.normalize(fused)[0].numpy()

    @contextlib.contextmanager
    def _attention(self) -> Iterator[None]:
        if self.fused:
            yield
            return
        from torch.nn.attention import SDPBackend, sdpa_kernel

        with sdpa_kernel(SDPBackend.MATH):
            yield


def make_arrays(num_images: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, 512) and (N, 384, 2) float32; a pattern of 65,536 rows over and over."""
    rng = np.random.default_rng(0)
    rows = min(num_images, _PATTERN_ROWS)
    pattern = rng.standard_normal((rows, DIM), dtype=np.float32) * 20
    style_pattern = np.abs(rng.standard_normal((rows, CHANNELS, 2), dtype=np.float32))
    if rows == num_images:
        return pattern, style_pattern
    embeddings = np.empty((num_images, DIM), np.float32)
    style = np.empty((num_images, CHANNELS, 2), np.float32)
    for start in range(0, num_images, rows):
        part = slice(start, min(start + rows, num_images))
        embeddings[part] = pattern[: part.stop - start]
        style[part] = style_pattern[: part.stop - start]
    return embeddings, style


def make_set(num_images: int) -> EmbeddingSet:
    embeddings, style = make_arrays(num_images)
    return EmbeddingSet(embeddings=embeddings, style=style)


def paired_seconds(
    functions: Sequence[Callable[[], object]],
    *,
    budget: float = 4.0,
    most: int = 200,
    warm_up: float = 0.0,
) -> list[float]:
    """Seconds of several functions, called in turn so that other load hits all alike.

    The lower quartile of the calls: the time without the worst of what else ran. `warm_up` seconds of calls
    go before each timed burst: after other work a scheduler may need a tenth of a second to give the threads
    a core each.
    """
    samples: list[list[float]] = [[] for _ in functions]
    bursts = []
    for function in functions:
        function()
        start = time.perf_counter()
        function()
        bursts.append(max(1, int(0.02 / (time.perf_counter() - start))))
    begin = time.perf_counter()
    while len(samples[0]) < 2 or (time.perf_counter() - begin < budget and len(samples[0]) < most):
        for function, burst, kept in zip(functions, bursts, samples, strict=True):
            start = time.perf_counter()
            while time.perf_counter() - start < warm_up:
                function()
            start = clock()
            for _ in range(burst):  # calls so short that one alone would meet a cold cache
                function()
            kept.append((clock() - start) / burst)
    return [float(np.quantile(kept, 0.25)) for kept in samples]


def peak_above(function: Callable[[], object]) -> int:
    """Bytes by which the process grows above what it holds before the call, at most (Linux)."""
    Path("/proc/self/clear_refs").write_text("5")
    before = _status("self", "VmRSS")
    function()
    return max(0, process_peak("self") - before)


def process_peak(process: int | str) -> int:
    """Bytes a running process has held at most; 0 for one that has just ended (Linux)."""
    return _status(process, "VmHWM")


def _status(process: int | str, key: str) -> int:
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = [int(line.split()[1]) for line in lines if line.startswith(key + ":")]
    return found[0] * 1024 if found else 0
