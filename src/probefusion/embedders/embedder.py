"""From aligned crops to embeddings and style, with any ArcFace-style ONNX network."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_not_empty, row_norms
from probefusion.embedders.norm_output import lengths_of
from probefusion.embedders.onnx_graph import free_batch_axis, image_input, read_model
from probefusion.embedders.side_by_side import SideBySide
from probefusion.embedders.spec import EmbedderSpec
from probefusion.embedders.style_taps import STYLE_OUTPUT, add_style_output
from probefusion.errors import ConfigError, DtypeError, FileFormatError, ShapeError
from probefusion.sessions import run_outputs
from probefusion.types import UNIT_TOLERANCE, EmbeddingSet, FloatArray

if TYPE_CHECKING:
    import onnx

__all__ = ["BATCH_TOLERANCE", "Embedder", "OnnxEmbedder"]

BATCH_TOLERANCE = 1e-4
"""How far (max|a-b| / max|b|) a batch may be from single runs before batching is given up."""

_NORMALISED = 1e-2
"""How far from 1 the length of a normalised embedding may be, of 16-bit networks too."""

_Outputs = tuple[FloatArray, "FloatArray | None"]


class Embedder(Protocol):
    """What the rest of the package needs of an embedder."""

    @property
    def spec(self) -> EmbedderSpec:
        """What is known of the network."""

    @property
    def fingerprint(self) -> str:
        """The spec's fingerprint."""

    @property
    def own_fingerprint(self) -> str:
        """The spec's own fingerprint."""

    @property
    def norms_known(self) -> bool:
        """Whether embeddings come with their own length."""

    def embed(self, crops: npt.NDArray[np.uint8]) -> _Outputs:
        """Embeddings (N, D) and style (N, C, 2) or None of aligned crops."""

    def embed_set(
        self,
        crops: npt.NDArray[np.uint8],
        sources: Sequence[str] | None = None,
        media_ids: Sequence[int] | Sequence[str] | None = None,
    ) -> EmbeddingSet:
        """The same as an `EmbeddingSet`."""


class OnnxEmbedder:
    """A face-recognition network in an ONNX file, run by ONNX Runtime.

    Works with any network of one image input, (N, 3, S, S) or (N, S, S, 3), and an output (N, D) or
    (N, D, 1, 1). A batch size written into the file is freed by rewriting the graph in memory. When
    it is loaded, a batch of two images is compared with single runs of the file as it is; where
    they differ by more than `BATCH_TOLERANCE`, images are run in batches of the size written into
    the file (1 where it is free), and `is_batched` says so.

    Args:
        model_path: The `.onnx` file.
        spec: What is known of it; its hash must be that of the file.
        num_threads: Threads to use; None for one per core. Networks of up to 64 MB are kept twice and
            run small batches side by side, one in each thread.
        batch_size: Images per run at most.
        device: "cpu", or "cuda" for the first NVIDIA GPU (needs the package onnxruntime-gpu).

    Raises:
        MissingFileError: If there is no such file.
        IntegrityError: If the file's hash is not `spec.sha256`.
        FileFormatError: If it is no usable ONNX network.
        UnknownNameError: If it has no tensor of a style tap's name.
        ConfigError: If the spec does not fit the network, or an argument is out of range.
        MissingExtraError: If `onnx` is not installed.
    """

    def __init__(
        self,
        model_path: str | Path,
        spec: EmbedderSpec,
        *,
        num_threads: int | None = None,
        batch_size: int = 32,
        device: str = "cpu",
    ) -> None:
        if batch_size < 1:
            raise ConfigError(f"batch_size: expected at least 1, got {batch_size}.")
        self._spec = spec
        self._settings = {"num_threads": num_threads, "batch_size": batch_size, "device": device}
        self._path = Path(model_path).absolute()
        self._where = f" {Path(model_path).name!r}"
        model, _ = read_model(model_path, sha256=spec.sha256)
        self._input = image_input(model, where=f" of{self._where}")
        if self._input.size not in (None, spec.input_size):
            raise ConfigError(
                f"input_size of {spec.name}: the network takes {self._input.size} pixels, "
                f"got {spec.input_size}."
            )
        self._scale, self._shift = _affine(spec)
        self._threads = num_threads
        self._device = device
        self._batch_size, self._is_batched, outputs = self._choose_batching(model, batch_size)
        lengths = np.linalg.norm(outputs[0].astype(np.float64), axis=1)
        self._norms_known = spec.norm_output is not None or bool(
            np.abs(lengths - 1).max() > UNIT_TOLERANCE
        )

    def __reduce__(self) -> tuple[Any, ...]:
        """A copy, also in another process, is opened anew from the file, whose hash must be the same."""
        return _open_copy, (self._path, self._spec, self._settings)

    @property
    def spec(self) -> EmbedderSpec:
        """What is known of the network."""
        return self._spec

    @property
    def fingerprint(self) -> str:
        """The spec's fingerprint, as every set and template of this embedder carries it."""
        return self._spec.fingerprint

    @property
    def own_fingerprint(self) -> str:
        """The fingerprint of this very file, which differs from the other for an 8-bit form."""
        return self._spec.own_fingerprint

    @property
    def is_batched(self) -> bool:
        """Whether batches of any size are run; False where the file allows only its own size."""
        return self._is_batched

    @property
    def norms_known(self) -> bool:
        """Whether embeddings come with their own length; False if the network normalises them."""
        return self._norms_known

    def embed(self, crops: npt.NDArray[np.uint8]) -> _Outputs:
        """Embeds aligned crops.

        Each image's result depends on that image alone, up to the rounding of float32.

        Args:
            crops: (N, S, S, 3) uint8, RGB, S = `spec.input_size`. N = 0 gives empty arrays.

        Returns:
            Embeddings (N, D) float32, length kept, and style (N, C, 2) float32, or None if the
            spec names no taps.

        Raises:
            DtypeError: If the crops are not uint8.
            ShapeError: If they are not (N, S, S, 3).
        """
        crops = self.check_crops(crops)
        parts = self._network.map(
            self._run, crops, batch_size=self._batch_size, may_shrink=not self._fixed
        )
        if not parts:
            empty = np.zeros((0, self._spec.dim), np.float32)
            return empty, None if self._channels is None else np.zeros(
                (0, self._channels, 2), np.float32
            )
        return _join(parts)

    def check_crops(self, crops: npt.ArrayLike) -> npt.NDArray[np.uint8]:
        """Gives crops as the array that `embed` takes.

        Raises:
            DtypeError, ShapeError: As for `embed`.
        """
        size = self._spec.input_size
        checked: npt.NDArray[np.uint8] = np.asarray(crops)
        if checked.dtype != np.uint8:
            raise DtypeError(
                f"crops: expected uint8 pixels 0 to 255 in RGB order, got {checked.dtype}."
            )
        if checked.ndim != 4 or checked.shape[1:] != (size, size, 3):
            hint = " For a single image use crop[None]." if checked.ndim == 3 else ""
            raise ShapeError(f"crops: expected (N, {size}, {size}, 3), got {checked.shape}.{hint}")
        return checked

    def embed_set(
        self,
        crops: npt.NDArray[np.uint8],
        sources: Sequence[str] | None = None,
        media_ids: Sequence[int] | Sequence[str] | None = None,
    ) -> EmbeddingSet:
        """Embeds aligned crops of one person into a set that carries this embedder's fingerprint.

        Args:
            crops: (N, S, S, 3) uint8, RGB, N >= 1.
            sources: N names of the images, or None.
            media_ids: N labels of the still or video each image comes from, or None.

        Raises:
            EmptySetError: For zero crops.
            DtypeError, ShapeError: As for `embed`, or if a list has another length.
            NonFiniteError, ZeroLengthError: If the network gives no usable embedding for a crop.
        """
        check_not_empty(len(crops), name="crops")
        embeddings, style = self.embed(crops)
        return EmbeddingSet(
            embeddings=embeddings,
            style=style,
            sources=None if sources is None else np.asarray(sources),
            media_ids=None if media_ids is None else np.asarray(media_ids),
            embedder=self.fingerprint,
            norms_known=self._norms_known,
        )

    def _choose_batching(
        self, model: onnx.ModelProto, batch_size: int
    ) -> tuple[int, bool, _Outputs]:
        """Starts the session; gives batch size, whether it is free, and outputs of two images."""
        pair = _test_images(self._spec.input_size)
        fixed = self._input.fixed_batch
        self._fixed = fixed or 1
        self._start(model)
        single = [self._run(self._network.session, image) for image in (pair[:1], pair[1:])]
        expected = _join(single)
        try:
            if fixed is not None:
                self._start(free_batch_axis(model))
            self._fixed = 0
            together = self._run(self._network.session, pair)
        except FileFormatError:
            together = None
        if together is not None and _agree(together, expected):
            return batch_size, True, expected
        self._fixed = fixed or 1
        self._start(model)
        return self._fixed, False, expected

    def _start(self, model: onnx.ModelProto) -> None:
        spec = self._spec
        if spec.style_taps:
            model = add_style_output(model, spec.style_taps, input_size=spec.input_size)
        self._network = SideBySide(
            model, num_threads=self._threads, device=self._device, where=self._where
        )
        outputs = {entry.name: entry.shape for entry in self._network.session.get_outputs()}
        self._channels = outputs.pop(STYLE_OUTPUT)[1] if spec.style_taps else None
        self._embedding_output = self._pick_output(outputs)

    def _pick_output(self, outputs: dict[str, Any]) -> str:
        spec = self._spec
        if spec.norm_output is not None and spec.norm_output not in outputs:
            raise ConfigError(
                f"norm_output of {spec.name}: expected one of {sorted(outputs)}, "
                f"got {spec.norm_output!r}."
            )
        fitting = [
            name
            for name, shape in outputs.items()
            if name != spec.norm_output
            and len(shape) in (2, 4)
            and (shape[1] == spec.dim or not isinstance(shape[1], int))
            and all(axis == 1 or not isinstance(axis, int) for axis in shape[2:])
        ]
        if len(outputs) == 1 and not fitting and not next(iter(outputs.values())):
            fitting = list(outputs)  # a shape that the runtime could not work out
        if len(fitting) != 1:
            raise ConfigError(
                f"dim of {spec.name}: expected exactly one output (N, {spec.dim}) in"
                f"{self._where}, got the outputs {outputs}. Correct dim in its description."
            )
        return fitting[0]

    def _run(self, session: Any, crops: npt.NDArray[np.uint8]) -> _Outputs:
        count = len(crops)
        if self._fixed and count < self._fixed:
            crops = np.concatenate([crops, np.repeat(crops[-1:], self._fixed - count, axis=0)])
        names = [self._embedding_output]
        names += [STYLE_OUTPUT] if self._spec.style_taps else []
        names += [self._spec.norm_output] if self._spec.norm_output is not None else []
        feed = {self._input.name: self.prepare(crops)}
        outputs = dict(
            zip(names, run_outputs(session, names, feed, where=self._where), strict=True)
        )
        raw = outputs[self._embedding_output]
        if len(raw) != len(crops) or raw.size != len(crops) * self._spec.dim:
            raise FileFormatError(
                f"model{self._where}: expected embeddings of shape ({len(crops)}, "
                f"{self._spec.dim}), got {raw.shape}."
            )
        embeddings = np.array(raw.reshape(len(crops), self._spec.dim), np.float32)
        if self._spec.norm_output is not None:
            embeddings *= self._lengths(outputs[self._spec.norm_output], embeddings)
        style = outputs.get(STYLE_OUTPUT)
        return embeddings[:count], None if style is None else style[:count]

    def _lengths(self, output: npt.NDArray[Any], embeddings: FloatArray) -> FloatArray:
        """(N, 1) lengths of embeddings that the network has brought to length 1."""
        name = self._spec.norm_output
        lengths = lengths_of(output, len(embeddings))
        if lengths is None:
            raise ConfigError(
                f"norm_output of {self._spec.name}: expected an output of one length per image in"
                f"{self._where}, got {name!r} of shape {output.shape} and type {output.dtype}. Leave it "
                f"out, or name the right one."
            )
        own = row_norms(embeddings)
        if np.abs(own - 1).max() > _NORMALISED:
            raise ConfigError(
                f"norm_output of {self._spec.name}: {name!r} is to give back the length of embeddings of "
                f"length 1, but those of{self._where} have lengths of {own.min():.3g} to {own.max():.3g}, "
                f"which are kept already. Leave it out."
            )
        return lengths

    def prepare(self, crops: npt.NDArray[np.uint8]) -> npt.NDArray[Any]:
        """What the network is fed for (N, S, S, 3) uint8 RGB crops: its layout, order, scale and type."""
        pixels = crops if self._spec.channel_order == "RGB" else crops[..., ::-1]
        shape: tuple[int, ...] = (3,)
        if not self._input.channels_last:  # turned round while they are bytes: a quarter to move
            pixels, shape = np.ascontiguousarray(pixels.transpose(0, 3, 1, 2)), (3, 1, 1)
        values = pixels.astype(np.float32)
        values *= self._scale.reshape(shape)
        values -= self._shift.reshape(shape)
        return np.ascontiguousarray(values, dtype=self._input.dtype)


def _open_copy(path: Path, spec: EmbedderSpec, settings: dict[str, Any]) -> OnnxEmbedder:
    return OnnxEmbedder(path, spec, **settings)


def _affine(spec: EmbedderSpec) -> tuple[FloatArray, FloatArray]:
    mean, std = np.asarray(spec.mean, np.float64), np.asarray(spec.std, np.float64)
    return (1 / (255 * std)).astype(np.float32), (mean / std).astype(np.float32)


def _test_images(size: int) -> npt.NDArray[np.uint8]:
    """Two images that differ in every way a network could see: (2, size, size, 3) uint8."""
    row, column = np.mgrid[0:size, 0:size]
    ramp = np.stack([row, column, row + column], axis=-1) * (255 / (2 * size))
    waves = 127.5 + 127.5 * np.stack(
        [np.sin(row / 3), np.cos(column / 5), np.sin((row - column) / 7)], axis=-1
    )
    return np.stack([ramp, waves]).astype(np.uint8)


def _join(parts: Sequence[_Outputs]) -> _Outputs:
    styles = [part[1] for part in parts if part[1] is not None]
    return np.concatenate([part[0] for part in parts]), np.concatenate(styles) if styles else None


def _agree(found: _Outputs, expected: _Outputs) -> bool:
    for one, other in zip(found, expected, strict=True):
        if one is None or other is None:
            continue
        if one.shape != other.shape or not np.isfinite(one).all():
            return False
        if np.abs(one - other).max() > BATCH_TOLERANCE * np.abs(other).max():
            return False
    return True
