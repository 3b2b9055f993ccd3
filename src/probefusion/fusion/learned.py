"""Trained fusers, run by ONNX Runtime from their folder; no PyTorch."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_threads
from probefusion.errors import FileFormatError, FuserMismatchError, IntegrityError
from probefusion.fusion.contributions import Contributions, Finished, Sums
from probefusion.fusion.folder import GRAPHS, FuserCard, encode_outputs, read_card
from probefusion.fusion.fuser import Fuser
from probefusion.fusion.imagewise import ImageTerms, ImagewiseFuser
from probefusion.fusion.threshold import Threshold
from probefusion.sessions import run_outputs, start_session
from probefusion.types import EmbeddingSet, FloatArray
from probefusion.workers import available_threads, map_in_order

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LearnedFuser", "LearnedImagewiseFuser", "LearnedSetwiseFuser", "open_fuser"]

_FINISHED_AT_ONCE = 64
"""Sets read out in one run of a graph."""

_BATCH_IMAGES = 4096
"""Images in one run of a setwise graph, unless a single set is larger."""


class LearnedFuser(Fuser):
    """What the trained fusers share: the card and the two ONNX sessions.

    Args:
        folder: The fuser folder.
        card: Its card.
        num_threads: Threads to compute with; None takes all cores.
        device: "cpu", or "cuda" for the first NVIDIA GPU.

    Raises:
        ConfigError: If there is no such device, or this installation cannot use it.
        FileFormatError: If ONNX Runtime refuses a graph.
    """

    def __init__(
        self,
        folder: Path,
        card: FuserCard,
        *,
        num_threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        self.card = card
        self.folder = folder.absolute()
        self._opened = (num_threads, device)
        self.name = card.name
        self.fingerprint = card.fingerprint
        self.embedder = card.embedder
        self.dim = card.dim
        self.style_channels = card.style_channels
        self.num_clusters = card.num_clusters
        self.needs_norms = card.needs_norms
        self._encode_graph, self._finish_graph = (
            start_session(folder / name, num_threads=num_threads, device=device) for name in GRAPHS
        )
        shapes = {entry.name: entry.shape for entry in self._finish_graph.get_inputs()}
        width = shapes.get("style_sums", [None])[-1]
        self.style_width = width if isinstance(width, int) else None
        self.adds_directions = card.values == "unit"
        limit = card.config.get("max_log_weight")
        if card.kind == "imagewise" and isinstance(limit, int | float):
            self.max_weight = math.exp(min(limit, 500)) * (1 + 1e-3)  # computed in float32

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, also in another process, is opened anew from the folder, which must be the same."""
        return _open_copy, (self.folder, self.fingerprint, *self._opened)

    def threshold_for(self, false_match_rate: float, num_images: int) -> Threshold | None:
        """The threshold of the card, see `Fuser.threshold_for`."""
        return self.card.threshold_for(false_match_rate, num_images)

    def _finish(
        self,
        mass: npt.NDArray[np.float64],
        sums: npt.NDArray[np.float64],
        style_sums: npt.NDArray[np.float64],
    ) -> Finished:
        fused, cluster_weights = run_outputs(
            self._finish_graph,
            ["fused", "cluster_weights"],
            {"mass": mass, "sums": sums, "style_sums": style_sums},
            where=f" {self.name}/finish.onnx",
        )
        return Finished(fused=fused, cluster_weights=cluster_weights)

    def _run_encode(
        self, names: tuple[str, ...], inputs: dict[str, FloatArray]
    ) -> list[npt.NDArray[Any]]:
        return run_outputs(self._encode_graph, names, inputs, where=f" {self.name}/encode.onnx")

    def check_graphs(self) -> None:
        """Refuses graphs whose inputs and outputs are not those of the card.

        Raises:
            FileFormatError: If they are not.
        """
        card = self.card
        style = ["style"] if card.style_channels else []
        outputs = list(encode_outputs(card.kind, card.values))
        sums = ["mass", "sums", "style_sums"]
        for name, session, wanted in (
            ("encode.onnx", self._encode_graph, (["embeddings", *style], outputs)),
            ("finish.onnx", self._finish_graph, (sums, ["fused", "cluster_weights"])),
        ):
            shapes = {entry.name: entry.shape for entry in session.get_inputs()}
            names = (list(shapes), [entry.name for entry in session.get_outputs()])
            if names != wanted:
                raise FileFormatError(
                    f"{self.folder / name}: expected inputs and outputs {wanted}, got {names}."
                )
            have = shapes.get("embeddings", shapes.get("sums", []))[-1]
            if have != card.dim or shapes.get("mass", [card.num_clusters])[-1] != card.num_clusters:
                raise FileFormatError(
                    f"{self.folder / name}: expected dimension {card.dim} and {card.num_clusters} "
                    f"clusters as the card says, got input shapes {shapes}."
                )

    def self_test(self) -> float:
        """Fuses the synthetic set of the card and gives the largest deviation from its answer.

        Raises:
            IntegrityError: If it deviates by more than 1e-4: this machine computes something else.
        """
        test = self.card.self_test
        images = synthetic_set(
            seed=int(test["seed"]),
            num_images=int(test["num_images"]),
            dim=self.card.dim,
            style_channels=self.card.style_channels,
        )
        vector = self.fuse(replace(images, embedder=self.embedder)).vector
        deviation = float(np.abs(vector - np.asarray(test["output"], dtype=np.float32)).max())
        if not deviation <= 1e-4:
            raise IntegrityError(
                f"fuser {self.name!r} gives another answer here than where it was made (deviation "
                f"{deviation:.3g}, allowed 1e-4). Check the ONNX Runtime installation."
            )
        return deviation


class LearnedImagewiseFuser(LearnedFuser, ImagewiseFuser):
    """An exact fuser: each image's terms come from that image alone."""

    is_exact = True
    length_offset = 1e-5  # part of the format, see probefusion.fusion.folder

    def __init__(
        self,
        folder: Path,
        card: FuserCard,
        *,
        num_threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        # Blocks run side by side, each in one thread: nothing waits for other threads inside an
        # operation, and the smallest sets pay for none.
        super().__init__(folder, card, num_threads=1, device=device)
        self._opened = (num_threads, device)
        self.num_threads = (
            (check_threads(num_threads) or available_threads()) if device == "cpu" else 1
        )
        self._outputs = encode_outputs(card.kind, card.values)

    def _terms(
        self, embeddings: FloatArray, norms: FloatArray, style: FloatArray | None
    ) -> ImageTerms:
        del norms
        count = len(embeddings)
        if count == 1:
            # One-row products take another path; two rows keep every result the same bits.
            embeddings = np.concatenate([embeddings, embeddings])
            style = None if style is None else np.concatenate([style, style])
        inputs = {"embeddings": embeddings}
        if self.style_channels and style is not None:
            inputs["style"] = style
        found = self._run_encode(self._outputs, inputs)
        terms = {name: part[:count] for name, part in zip(self._outputs, found, strict=True)}
        return ImageTerms(
            shares=terms["shares"], values=terms.get("values"), style=terms["style_tokens"]
        )

    def _finish(
        self,
        mass: npt.NDArray[np.float64],
        sums: npt.NDArray[np.float64],
        style_sums: npt.NDArray[np.float64],
    ) -> Finished:
        if len(mass) <= _FINISHED_AT_ONCE:
            return super()._finish(mass, sums, style_sums)

        def compute(start: int) -> Finished:
            part = slice(start, start + _FINISHED_AT_ONCE)
            return super(LearnedImagewiseFuser, self)._finish(
                mass[part], sums[part], style_sums[part]
            )

        starts = range(0, len(mass), _FINISHED_AT_ONCE)
        parts = list(map_in_order(compute, starts, self.num_threads))
        return Finished(
            fused=np.concatenate([part.fused for part in parts]),
            cluster_weights=np.concatenate([part.cluster_weights for part in parts]),
        )


class LearnedSetwiseFuser(LearnedFuser):
    """An official Cluster-and-Aggregate fuser: the images of a batch attend to each other.

    The template depends on how the images are split into batches, not on the batches' order.
    Cost is quadratic in the size of a batch.

    Source: Kim et al. 2022, sec. 3.
    """

    is_exact = False

    def _run(self, embeddings: FloatArray, style: FloatArray | None) -> list[Any]:
        inputs = {"embeddings": embeddings}
        if self.style_channels and style is not None:
            inputs["style"] = style
        return self._run_encode(encode_outputs("setwise", self.card.values), inputs)

    def _contribute(self, images: EmbeddingSet) -> Contributions:
        style = None if images.style is None else images.style[None]
        mass, sums, style_sums, shares = self._run(images.embeddings[None], style)
        return Contributions(
            mass=mass[0].astype(np.float64),
            sums=sums[0].astype(np.float64),
            style_sums=style_sums[0].astype(np.float64),
            shares=shares[0],
        )

    def _encode_many(
        self, images: EmbeddingSet, offsets: npt.NDArray[np.int64], chunk_size: int | None
    ) -> Sums:
        total: Sums | None = None
        for owners, rows in _equal_batches(offsets, chunk_size):
            style = None if images.style is None else images.style[rows]
            mass, sums, style_sums, _ = self._run(images.embeddings[rows], style)
            part = Sums(mass, sums, style_sums)
            if total is None:
                total = Sums.zeros_like(part, len(offsets) - 1)
            for whole, added in zip(total, part, strict=True):
                np.add.at(whole, owners, added)
        if total is None:
            raise ValueError("offsets hold at least one set")
        return total


def _equal_batches(
    offsets: npt.NDArray[np.int64], chunk_size: int | None
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Chunks of equal length, batched: (sets they belong to (b,), rows of their images (b, n))."""
    sizes = np.diff(offsets)
    limit = chunk_size or int(sizes.max())
    counts = -(-sizes // limit)
    owner = np.repeat(np.arange(len(sizes)), counts)
    place = np.arange(len(owner)) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = offsets[owner] + place * limit
    length = np.minimum(begin + limit, offsets[owner + 1]) - begin
    for size in np.unique(length):
        members = np.flatnonzero(length == size)
        per_run = max(1, _BATCH_IMAGES // int(size))
        for first in range(0, len(members), per_run):
            chosen = members[first : first + per_run]
            yield owner[chosen], begin[chosen, None] + np.arange(size)


def open_fuser(
    folder: str | Path,
    *,
    num_threads: int | None = None,
    device: str = "cpu",
    verify: bool = True,
) -> LearnedFuser:
    """Opens a fuser folder.

    Args:
        folder: The folder with `fuser.json`.
        num_threads: Threads to compute with; None takes all cores.
        device: "cpu", or "cuda" for the first NVIDIA GPU (needs the package onnxruntime-gpu).
        verify: Whether to check the files' SHA-256.

    Raises:
        MissingFileError, FileFormatError, IntegrityError: As `read_card`.
        ConfigError: If there is no such device, or this installation cannot use it.
    """
    folder = Path(folder)
    card = read_card(folder, verify=verify)
    kinds = {"imagewise": LearnedImagewiseFuser, "setwise": LearnedSetwiseFuser}
    fuser = kinds[card.kind](folder, card, num_threads=num_threads, device=device)
    fuser.check_graphs()
    return fuser


def _open_copy(
    folder: Path, fingerprint: str, num_threads: int | None, device: str
) -> LearnedFuser:
    """What a pickled fuser becomes.

    Raises:
        MissingFileError, FileFormatError, IntegrityError: As for `open_fuser`.
        FuserMismatchError: If the folder holds another fuser by now.
    """
    fuser = open_fuser(folder, num_threads=num_threads, device=device)
    if fuser.fingerprint != fingerprint:
        raise FuserMismatchError(
            f"fuser folder {str(folder)!r}: expected {fingerprint}, which was pickled, got "
            f"{fuser.fingerprint}. Send the fuser again."
        )
    return fuser


def synthetic_set(*, seed: int, num_images: int, dim: int, style_channels: int) -> EmbeddingSet:
    """A made-up set that is the same on every machine: standard normal rows, style around (0, 1).

    Args:
        seed: Seed of a PCG64 generator.
        num_images: N.
        dim: D.
        style_channels: C, 0 for no style.
    """
    rng = np.random.Generator(np.random.PCG64(seed))
    embeddings = rng.standard_normal((num_images, dim)).astype(np.float32)
    style = None
    if style_channels:
        style = rng.standard_normal((num_images, style_channels, 2)).astype(np.float32)
        style[..., 1] = np.abs(style[..., 1]) + 0.5
    return EmbeddingSet(embeddings=embeddings, style=style)
