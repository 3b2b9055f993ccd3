"""How much an aligned crop should count, judged by a network inside the package."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.embedders.embedder import Embedder
from probefusion.embedders.side_by_side import SideBySide
from probefusion.embedders.spec import EmbedderSpec
from probefusion.errors import DtypeError, IntegrityError, ShapeError
from probefusion.faces.images import scale_square
from probefusion.files import bundled_folder, check_file, sha256_of
from probefusion.sessions import run_outputs
from probefusion.types import EmbeddingSet, FloatArray

__all__ = ["CropQuality", "JudgedEmbedder", "embedding_key"]

_FILE = "quality.compact_128d-lfw112.r3/quality.onnx"
_SHA256 = "8c935008ad72a6ad1e01dd7085bdbefc08439342968897895b53f148e3360a65"
_SIDE = 112
_BATCH = 64


class CropQuality:
    """Judges crops by a network; the result serves any embedder.

    Args:
        model: ONNX file, crops (N, 112, 112, 3) uint8 RGB to log_weights (N,) float32. None takes the
            one inside the package.
        num_threads: Threads to use; None for one per core.
        device: "cpu", or "cuda" for the first NVIDIA GPU (needs the package onnxruntime-gpu).

    Attributes:
        fingerprint: Name and hash of the network.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If ONNX Runtime refuses it.
        IntegrityError: If the one inside the package is damaged.
        ConfigError: If a number is out of range, or there is no such device.
    """

    def __init__(
        self,
        model: str | Path | None = None,
        *,
        num_threads: int | None = None,
        device: str = "cpu",
    ) -> None:
        path = bundled_folder() / _FILE if model is None else Path(model)
        path = check_file(path, name="quality network")
        self._opened = (path.absolute(), num_threads, device)
        found = sha256_of(path)
        if model is None and found != _SHA256:
            raise IntegrityError(
                f"quality network {str(path)!r}: expected SHA-256 {_SHA256}, got {found}. The file is damaged; "
                f"install probefusion again."
            )
        self.fingerprint = f"{path.parent.name}@{found[:12]}"
        self._where = f" {path.name!r}"
        self._network = SideBySide(
            path.read_bytes(), num_threads=num_threads, device=device, where=self._where
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, also in another process, is opened anew from the file, which must be the same."""
        return _open_copy, (self.fingerprint, *self._opened)

    def judge(self, crops: npt.NDArray[np.uint8]) -> FloatArray:
        """The quality of aligned crops.

        Args:
            crops: (N, S, S, 3) uint8 RGB, aligned faces; other sizes than 112 are scaled. N = 0 gives
                an empty array.

        Returns:
            (N,) float32 logarithms of weights, within +-4: only differences mean something.

        Raises:
            DtypeError: If the crops are not uint8.
            ShapeError: If they are not (N, S, S, 3).
            FileFormatError: If the network fails on them.
            MissingExtraError: If they must be scaled and OpenCV is not installed.
        """
        crops = np.asarray(crops)
        if crops.dtype != np.uint8:
            raise DtypeError(
                f"crops: expected uint8 pixels 0 to 255 in RGB order, got {crops.dtype}."
            )
        if crops.ndim != 4 or crops.shape[1] != crops.shape[2] or crops.shape[3] != 3:
            raise ShapeError(f"crops: expected (N, S, S, 3), square faces, got {crops.shape}.")
        found = self._network.map(self._run, crops, batch_size=_BATCH)
        return np.concatenate(found) if found else np.zeros(0, np.float32)

    def _run(self, session: Any, crops: npt.NDArray[np.uint8]) -> FloatArray:
        feed = {"crops": _scaled(crops)}
        return run_outputs(session, ["log_weights"], feed, where=self._where)[0]


class JudgedEmbedder:
    """An embedder whose sets also carry the quality of their crops.

    Args:
        embedder: The embedder.
        quality: What judges the crops.
    """

    def __init__(self, embedder: Embedder, quality: CropQuality) -> None:
        self._embedder = embedder
        self.quality = quality

    @property
    def spec(self) -> EmbedderSpec:
        """The embedder's spec."""
        return self._embedder.spec

    @property
    def fingerprint(self) -> str:
        """The embedder's fingerprint: embeddings are what they were."""
        return self._embedder.fingerprint

    @property
    def own_fingerprint(self) -> str:
        """The embedder's own fingerprint."""
        return self._embedder.own_fingerprint

    @property
    def norms_known(self) -> bool:
        """Whether embeddings come with their own length."""
        return self._embedder.norms_known

    def embed(self, crops: npt.NDArray[np.uint8]) -> tuple[FloatArray, FloatArray | None]:
        """Embeddings and style, as the embedder gives them."""
        return self._embedder.embed(crops)

    def embed_set(
        self,
        crops: npt.NDArray[np.uint8],
        sources: Sequence[str] | None = None,
        media_ids: Sequence[int] | Sequence[str] | None = None,
    ) -> EmbeddingSet:
        """The embedder's set with the quality of each crop."""
        images = self._embedder.embed_set(crops, sources, media_ids)
        return replace(images, quality=self.quality.judge(crops))


def embedding_key(embedder: Embedder) -> str:
    """What the embedder's sets depend on, for the names of cached files."""
    key = embedder.own_fingerprint.split("@")[-1]
    if isinstance(embedder, JudgedEmbedder):
        key += f"-{embedder.quality.fingerprint.split('@')[-1]}"
    return key


def _open_copy(fingerprint: str, path: Path, num_threads: int | None, device: str) -> CropQuality:
    quality = CropQuality(path, num_threads=num_threads, device=device)
    if quality.fingerprint != fingerprint:
        raise IntegrityError(
            f"quality network {str(path)!r}: expected {fingerprint}, which was pickled, got "
            f"{quality.fingerprint}. Send it again."
        )
    return quality


def _scaled(crops: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    if crops.shape[1] == _SIDE:
        return crops
    return np.stack([scale_square(crop, _SIDE) for crop in crops])
