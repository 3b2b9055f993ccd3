"""What the pupil sees and what the teacher makes of it: faces, drawn, changed and degraded."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from torch.utils.data import IterableDataset

from probefusion.degradations.augment import Image, jitter_photometric, warp_image
from probefusion.degradations.degrade import degrade
from probefusion.embedders.onnx_graph import (
    free_batch_axis,
    import_onnx,
    read_model,
)
from probefusion.embedders.spec import EmbedderSpec
from probefusion.sessions import run_outputs, start_session
from research.compact_embedder.chimera import draw_chimera
from research.compact_embedder.settings import DistillationSettings

__all__ = ["FaceBatches", "Teacher"]

_MILD_SHIFT = 2.0
_MILD_DEGREES = 4.0
_MILD_ZOOM_OCTAVES = 0.06
_COVERED = 0.3
_COVERED_SIDE = (12, 48)


class Teacher:
    """An ONNX embedder that also gives some of its maps.

    Args:
        model_path: The file.
        spec: What is known of it.
        maps: Names of a 14x14 and a 7x7 map inside it.
        num_threads: Threads of one run.

    Raises:
        ProbeFusionError: As for `OnnxEmbedder`.
    """

    def __init__(
        self, model_path: str | Path, spec: EmbedderSpec, maps: tuple[str, str], *, num_threads: int
    ) -> None:
        model, _ = read_model(model_path, sha256=spec.sha256)
        self._output = model.graph.output[0].name
        model = free_batch_axis(model)
        for name in maps:
            model.graph.output.append(import_onnx().helper.make_tensor_value_info(name, 1, None))
        self._input = model.graph.input[0].name
        self._maps = maps
        self._spec = spec
        self._session = start_session(model, num_threads=num_threads)

    def see(
        self, crops: npt.NDArray[np.uint8]
    ) -> tuple[npt.NDArray[np.float32], list[npt.NDArray[np.float32]]]:
        """Unit embeddings (N, D) and the two maps of (N, 112, 112, 3) uint8 RGB crops."""
        pixels = crops if self._spec.channel_order == "RGB" else crops[..., ::-1]
        mean, std = (np.asarray(part, np.float32) for part in (self._spec.mean, self._spec.std))
        values = (pixels.astype(np.float32) / 255 - mean) / std
        feed = {self._input: np.ascontiguousarray(values.transpose(0, 3, 1, 2))}
        found = run_outputs(self._session, [self._output, *self._maps], feed)
        embeddings = found[0].reshape(len(crops), -1)
        unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        return unit.astype(np.float32), list(found[1:])


@dataclass(frozen=True, eq=False)
class _Batch:
    """Views of a step, mild before poor; a target for each, maps for all or for the mild alone."""

    views: npt.NDArray[np.uint8]
    targets: npt.NDArray[np.float32]
    maps: list[npt.NDArray[np.float32]]


class FaceBatches(IterableDataset[_Batch]):
    """The training's batches, from any step on; each step's draws depend on seed and step alone.

    Args:
        images: `.npy` file of (I, 112, 112, 3) uint8 aligned crops, of training people only.
        teacher: Builds the teacher; called once in the process that draws.
        settings: The training.
        first_step: Step to start at.
    """

    def __init__(
        self,
        images: str | Path,
        teacher: Callable[[], Teacher],
        settings: DistillationSettings,
        first_step: int,
    ) -> None:
        self._images = images
        self._teacher = teacher
        self._settings = settings
        self._first = first_step

    def __iter__(self) -> Iterator[_Batch]:
        """Batches without end."""
        images = np.load(self._images, mmap_mode="r")
        teacher = self._teacher()
        for step in itertools.count(self._first):
            rng = np.random.default_rng([self._settings.seed, 5, step])
            yield self._draw(images, teacher, rng)

    def _draw(
        self, images: npt.NDArray[np.uint8], teacher: Teacher, rng: np.random.Generator
    ) -> _Batch:
        count = self._settings.faces_per_step
        faces = np.stack([self._face(images, rng) for _ in range(count)])
        targets, maps = teacher.see(faces)
        mild = [_mildly_changed(face, rng) for face in faces]
        num_poor = max(1, round(self._settings.poor_share * count))
        poor = [degrade(face, float(rng.random()), rng) for face in faces[:num_poor]]
        if self._settings.poor_target == "poor":
            poor_targets, poor_maps = teacher.see(np.stack(poor))
            maps = [np.concatenate(both) for both in zip(maps, poor_maps, strict=True)]
        else:
            poor_targets = targets[:num_poor]
        return _Batch(
            np.stack(mild + poor),
            np.concatenate([targets, poor_targets]),
            [part.astype(np.float16) for part in maps],
        )

    def _face(self, images: npt.NDArray[np.uint8], rng: np.random.Generator) -> Image:
        face: Image = images[rng.integers(len(images))]
        if rng.random() < self._settings.chimera_share:
            face = draw_chimera(face, images[rng.integers(len(images))], rng)
        if rng.random() < 0.5:
            face = face[:, ::-1]
        return warp_image(
            np.ascontiguousarray(face),
            zoom=2 ** (_MILD_ZOOM_OCTAVES * rng.uniform(-1, 1)),
            degrees=_MILD_DEGREES * rng.uniform(-1, 1),
            shift=(_MILD_SHIFT * rng.uniform(-1, 1), _MILD_SHIFT * rng.uniform(-1, 1)),
            extends_edges=True,
        )


def _mildly_changed(face: Image, rng: np.random.Generator) -> Image:
    if rng.random() < 0.5:
        face = jitter_photometric(face, rng)
    if rng.random() < _COVERED:
        face = face.copy()
        height, width = rng.integers(*_COVERED_SIDE, size=2)
        top, left = rng.integers(0, 112 - height), rng.integers(0, 112 - width)
        face[top : top + height, left : left + width] = rng.integers(256)
    return face
