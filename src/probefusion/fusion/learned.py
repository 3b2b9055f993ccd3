"""Trained fusers, run by ONNX Runtime from their folder; no PyTorch."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, IntegrityError
from probefusion.fusion.folder import FuserCard, read_card
from probefusion.fusion.fuser import Contributions, Finished, Fuser
from probefusion.fusion.imagewise import ImageTerms, ImagewiseFuser
from probefusion.types import EmbeddingSet, FloatArray

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["LearnedFuser", "LearnedImagewiseFuser", "LearnedSetwiseFuser", "open_fuser"]

_BATCH_IMAGES = 4096
"""Images in one run of a setwise graph, unless a single set is larger."""


class LearnedFuser(Fuser):
    """What the trained fusers share: the card and the two ONNX sessions."""

    def __init__(self, folder: Path, card: FuserCard, *, num_threads: int | None = None) -> None:
        self.card = card
        self.folder = folder
        self.name = card.name
        self.fingerprint = card.fingerprint
        self.embedder = card.embedder
        self.dim = card.dim
        self.style_channels = card.style_channels
        self.num_clusters = card.num_clusters
        self.needs_norms = card.needs_norms
        self._encode_graph = _open_session(folder / "encode.onnx", num_threads)
        self._finish_graph = _open_session(folder / "finish.onnx", num_threads)

    def _finish(
        self,
        mass: npt.NDArray[np.float64],
        sums: npt.NDArray[np.float64],
        style_sums: npt.NDArray[np.float64],
    ) -> Finished:
        fused, cluster_weights = self._finish_graph.run(
            ["fused", "cluster_weights"], {"mass": mass, "sums": sums, "style_sums": style_sums}
        )
        return Finished(fused=fused, cluster_weights=cluster_weights)

    def check_graphs(self) -> None:
        """Refuses graphs whose inputs and outputs are not those of the card.

        Raises:
            FileFormatError: If they are not.
        """
        card = self.card
        style = ["style"] if card.style_channels else []
        outputs = {
            "imagewise": ["shares", "values", "style_tokens"],
            "setwise": ["mass", "sums", "style_sums", "shares"],
        }[card.kind]
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
        vector = self.fuse(images).vector
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

    def _terms(
        self, embeddings: FloatArray, norms: FloatArray, style: FloatArray | None
    ) -> ImageTerms:
        del norms
        count = len(embeddings)
        if (
            count == 1
        ):  # one-row products take another path; two rows keep every result the same bits
            embeddings = np.repeat(embeddings, 2, axis=0)
            style = None if style is None else np.repeat(style, 2, axis=0)
        inputs = {"embeddings": embeddings}
        if self.style_channels and style is not None:
            inputs["style"] = style
        shares, values, tokens = self._encode_graph.run(
            ["shares", "values", "style_tokens"], inputs
        )
        return ImageTerms(shares=shares[:count], values=values[:count], style=tokens[:count])


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
        result: list[Any] = self._encode_graph.run(["mass", "sums", "style_sums", "shares"], inputs)
        return result

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
    ) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64], npt.NDArray[np.float64]]:
        num_sets = len(offsets) - 1
        mass: npt.NDArray[np.float64] | None = None
        for owners, rows in _equal_batches(offsets, chunk_size):
            style = None if images.style is None else images.style[rows]
            part_mass, part_sums, part_styles, _ = self._run(images.embeddings[rows], style)
            if mass is None:
                mass = np.zeros((num_sets, *part_mass.shape[1:]))
                sums = np.zeros((num_sets, *part_sums.shape[1:]))
                style_sums = np.zeros((num_sets, *part_styles.shape[1:]))
            np.add.at(mass, owners, part_mass)
            np.add.at(sums, owners, part_sums)
            np.add.at(style_sums, owners, part_styles)
        if mass is None:
            raise ValueError("offsets hold at least one set")
        return mass, sums, style_sums


def _equal_batches(
    offsets: npt.NDArray[np.int64], chunk_size: int | None
) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]]:
    """Chunks of equal length, batched: (sets they belong to (b,), rows of their images (b, n))."""
    owners, starts, lengths = [], [], []
    for index, (start, stop) in enumerate(itertools.pairwise(offsets)):
        begins = np.arange(start, stop, chunk_size or stop - start)
        owners.append(np.full(len(begins), index))
        starts.append(begins)
        lengths.append(np.diff(np.append(begins, stop)))
    owner, begin, length = (np.concatenate(column) for column in (owners, starts, lengths))
    for size in np.unique(length):
        members = np.flatnonzero(length == size)
        per_run = max(1, _BATCH_IMAGES // int(size))
        for first in range(0, len(members), per_run):
            chosen = members[first : first + per_run]
            yield owner[chosen], begin[chosen, None] + np.arange(size)


def open_fuser(
    folder: str | Path, *, num_threads: int | None = None, verify: bool = True
) -> LearnedFuser:
    """Opens a fuser folder.

    Args:
        folder: The folder with `fuser.json`.
        num_threads: Threads for ONNX Runtime; None takes its default (all cores).
        verify: Whether to check the files' SHA-256.

    Raises:
        MissingFileError, FileFormatError, IntegrityError: As `read_card`.
    """
    folder = Path(folder)
    card = read_card(folder, verify=verify)
    kinds = {"imagewise": LearnedImagewiseFuser, "setwise": LearnedSetwiseFuser}
    fuser = kinds[card.kind](folder, card, num_threads=num_threads)
    fuser.check_graphs()
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


def _open_session(path: Path, num_threads: int | None) -> Any:
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    if num_threads is not None:
        options.intra_op_num_threads = num_threads
    try:
        return onnxruntime.InferenceSession(
            str(path), sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime's errors have no common base but this
        if type(error).__module__.split(".")[0] != "onnxruntime":
            raise
        raise FileFormatError(f"{path}: ONNX Runtime cannot load it ({error}).") from error
