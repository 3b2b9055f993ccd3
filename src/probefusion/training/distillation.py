"""Training of a compact embedder: it learns to see what a larger one sees, in good and poor images.

Each training face is an image of one person or a chimera of two. The teacher embeds it clean; the
pupil sees it mildly changed, and a share of the faces once more, degraded, and is to give the
teacher's unit embedding every time. The squared error is least where the pupil gives the mean of
what the face could be, so the length of its embedding tells how sure it is. The mildly changed view
is also compared with the teacher's maps, and all views by their similarities to the training people.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from probefusion.checks import check_existing
from probefusion.errors import ConfigError, FileFormatError, MismatchError
from probefusion.faces.augment import Image, jitter_photometric, warp_image
from probefusion.faces.chimera import draw_chimera
from probefusion.faces.degrade import degrade
from probefusion.faces.onnx_graph import (
    free_batch_axis,
    import_onnx,
    read_model,
    run_outputs,
    start_session,
)
from probefusion.faces.spec import EmbedderSpec
from probefusion.files import replace_file
from probefusion.nn.compact_embedder import CompactEmbedder, CompactEmbedderConfig
from probefusion.nn.initialisation import seeded_init

__all__ = ["DistillationSettings", "Distiller", "FaceBatches", "Teacher", "read_state"]

_MILD_SHIFT = 2.0
_MILD_DEGREES = 4.0
_MILD_ZOOM_OCTAVES = 0.06
_TEMPERATURE = 0.05
_STATE_KEYS = frozenset({"config", "network", "comparisons", "optimizer", "step", "stages"})
_COVERED = 0.3
_COVERED_SIDE = (12, 48)


@dataclass(frozen=True, kw_only=True)
class DistillationSettings:
    """Settings of the training.

    Args:
        steps: Optimiser steps in all. A longer training goes on from a shorter one: the rate is
            constant but for its warm-up and its end, and the end is only entered in the last
            `cooldown` of the steps.
        faces_per_step: Faces in a step.
        poor_share: Share of the faces that are seen degraded too; at least one is.
        learning_rate: Of AdamW.
        weight_decay: Of AdamW.
        warmup_steps: Steps in which the rate rises from 0.
        cooldown: Share of the steps, at the end, in which the rate falls to 0.
        chimera_share: Share of the faces that are put together from two people.
        map_weight: Weight of the comparison of maps.
        relation_weight: Weight of the comparison of similarities to the training people.
        seed: Of parameters and draws.

    Raises:
        ConfigError: If a value is out of range.
    """

    steps: int = 3000
    faces_per_step: int = 64
    poor_share: float = 0.5
    learning_rate: float = 3e-3
    weight_decay: float = 0.05
    warmup_steps: int = 100
    cooldown: float = 0.25
    chimera_share: float = 0.5
    map_weight: float = 0.5
    relation_weight: float = 0.1
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "faces_per_step"):
            if getattr(self, name) < 2:
                raise ConfigError(f"{name}: expected at least 2, got {getattr(self, name)}.")
        for name in ("cooldown", "chimera_share", "poor_share"):
            if not 0 <= getattr(self, name) <= 1:
                raise ConfigError(f"{name}: expected from 0 to 1, got {getattr(self, name)}.")
        if self.learning_rate <= 0:
            raise ConfigError(f"learning_rate: expected above 0, got {self.learning_rate}.")

    def rate(self, step: int) -> float:
        """Learning rate of a step, counted from 0."""
        rising = min(1.0, (step + 1) / max(1, self.warmup_steps))
        cooling = max(1.0, self.cooldown * self.steps)
        return self.learning_rate * min(rising, 1.0, (self.steps - step) / cooling)


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
        return _Batch(np.stack(mild + poor), targets, [part.astype(np.float16) for part in maps])

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


def read_state(path: str | Path) -> dict[str, Any]:
    """A state as `Distiller.save` writes it; read without running any code in it.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it holds no such state.
    """
    found = torch.load(
        check_existing(path, name="training state"), map_location="cpu", weights_only=True
    )
    if not isinstance(found, dict) or not found.keys() >= _STATE_KEYS:
        raise FileFormatError(
            f"training state {str(path)!r}: expected {', '.join(sorted(_STATE_KEYS))} as "
            f"benchmarks/distill_embedder.py saves them. Give another file, or remove it to start anew."
        )
    return found


class _MapComparison(nn.Module):
    """How far a pupil's map is from a teacher's, up to a linear change of the pupil's channels."""

    def __init__(self, channels: int, teacher_channels: int) -> None:
        super().__init__()
        self.translate = nn.Conv2d(channels, teacher_channels, 1)
        self.whiten = nn.BatchNorm2d(teacher_channels, affine=False)

    def forward(self, maps: Tensor, teacher_maps: Tensor) -> Tensor:
        with torch.no_grad():
            wanted = self.whiten(teacher_maps)
        return nn.functional.mse_loss(self.translate(maps), wanted)


class Distiller:
    """Trains a compact embedder; can be stopped at any step and go on later.

    Args:
        images: `.npy` file of (I, 112, 112, 3) uint8 aligned crops, of training people only.
        teacher: Builds the teacher, picklable: a process of its own draws the batches.
        centres: (P, D) float32, unit embeddings of the training people.
        settings: The training.
        config: Size of the pupil.
        map_channels: Channels of the teacher's two maps.

    Attributes:
        network: The pupil.
        step: Steps done.
    """

    def __init__(
        self,
        images: str | Path,
        teacher: Callable[[], Teacher],
        centres: npt.NDArray[np.float32],
        settings: DistillationSettings,
        *,
        config: CompactEmbedderConfig | None = None,
        map_channels: tuple[int, int] = (128, 128),
    ) -> None:
        self._images = images
        self._teacher = teacher
        self._settings = settings
        self._centres = torch.from_numpy(centres)
        self.network = CompactEmbedder(config, rng=np.random.default_rng([settings.seed, 6]))
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        size = self.network.config
        with seeded_init(np.random.default_rng([settings.seed, 8])):
            self._comparisons = nn.ModuleList(
                [
                    _MapComparison(size.widths[2], map_channels[0]),
                    _MapComparison(size.head, map_channels[1]),
                ]
            )
        self._optimizer = torch.optim.AdamW(
            [*self.network.parameters(), *self._comparisons.parameters()],
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.step = 0
        self._stages: list[dict[str, Any]] = []

    def save(self, path: str | Path) -> None:
        """Writes everything needed to go on, and which steps were trained with which settings."""
        state = {
            "config": asdict(self.network.config),
            "network": self.network.state_dict(),
            "comparisons": self._comparisons.state_dict(),
            "optimizer": self._optimizer.state_dict(),
            "step": self.step,
            "stages": self._stages or [{"from_step": 0, **asdict(self._settings)}],
        }
        with replace_file(path, force=True) as file:
            torch.save(state, file)

    def resume(self, path: str | Path) -> None:
        """Goes on from a saved state.

        Raises:
            MissingFileError: If there is no such file.
            FileFormatError: If it holds no state of a training.
            MismatchError: If it is of a pupil of another size.
        """
        state = read_state(path)
        if CompactEmbedderConfig(**state["config"]) != self.network.config:
            raise MismatchError(
                f"training state {str(path)!r}: expected a pupil of {self.network.config}, got "
                f"{state['config']}. Remove the file to start anew."
            )
        self.network.load_state_dict(state["network"])
        self._comparisons.load_state_dict(state["comparisons"])
        self._optimizer.load_state_dict(state["optimizer"])
        for group in self._optimizer.param_groups:  # the rate is set at each step
            group["weight_decay"] = self._settings.weight_decay
        self.step = int(state["step"])
        self._stages = list(state["stages"])
        stage = {"from_step": self.step, **asdict(self._settings)}
        if {**stage, "from_step": 0} != {**self._stages[-1], "from_step": 0}:
            self._stages.append(stage)

    def run(self, on_step: Callable[[int, dict[str, float]], None]) -> None:
        """Trains to the last step.

        Args:
            on_step: Called after each step with the number of steps done and the parts of the loss.
        """
        if self.step >= self._settings.steps:
            return
        batches = FaceBatches(self._images, self._teacher, self._settings, self.step)
        loader = DataLoader(
            batches,
            batch_size=None,
            num_workers=1,
            prefetch_factor=4,
            multiprocessing_context="spawn",
            collate_fn=_as_tensors,
        )
        self.network.train()
        for views, targets, middle, last in loader:
            for group in self._optimizer.param_groups:
                group["lr"] = self._settings.rate(self.step)
            parts = self._losses(views, targets, (middle, last))
            loss = (
                parts["error"]
                + self._settings.map_weight * parts["maps"]
                + self._settings.relation_weight * parts["relations"]
            )
            self._optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self._optimizer.step()
            self.step += 1
            on_step(self.step, {name: float(part.detach()) for name, part in parts.items()})
            if self.step >= self._settings.steps:
                break
        self.network.eval()

    def _losses(
        self, views: Tensor, targets: Tensor, teacher_maps: tuple[Tensor, Tensor]
    ) -> dict[str, Tensor]:
        pixels = views.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
        mild = len(targets)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            _, middle, last = self.network.maps(pixels)
            embeddings = self.network.embed(last)
            compared = [
                comparison(maps[:mild], wanted.float())
                for comparison, maps, wanted in zip(
                    self._comparisons, (middle, last), teacher_maps, strict=True
                )
            ]
        embeddings = embeddings.float()
        wanted = torch.cat([targets, targets[: len(views) - mild]])
        relations = self._relations(nn.functional.normalize(embeddings, dim=-1))
        wanted_relations = self._relations(wanted)
        return {
            "error": (embeddings - wanted).square().sum(dim=-1).mean(),
            "maps": torch.stack(compared).sum(),
            "relations": nn.functional.kl_div(
                relations, wanted_relations, log_target=True, reduction="batchmean"
            ),
            "cosine_mild": nn.functional.cosine_similarity(embeddings[:mild], targets).mean(),
            "cosine_poor": nn.functional.cosine_similarity(embeddings[mild:], wanted[mild:]).mean(),
        }

    def _relations(self, unit: Tensor) -> Tensor:
        return (unit @ self._centres.T / _TEMPERATURE).log_softmax(dim=-1)


def _as_tensors(batch: Any) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(part) for part in (batch.views, batch.targets, *batch.maps))
