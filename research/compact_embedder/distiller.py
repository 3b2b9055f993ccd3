"""The training loop of a compact embedder and its state on disk."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from probefusion.errors import MismatchError
from probefusion.files import replace_file
from probefusion.nn.initialisation import seeded_init
from research.compact_embedder.batches import FaceBatches, Teacher
from research.compact_embedder.network import CompactEmbedder, CompactEmbedderConfig
from research.compact_embedder.settings import DistillationSettings
from research.compact_embedder.states import read_state

__all__ = ["Distiller"]

_TEMPERATURE = 0.05


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
        mild = self._settings.faces_per_step
        with torch.autocast("cpu", dtype=torch.bfloat16):
            _, middle, last = self.network.maps(pixels)
            embeddings = self.network.embed(last)
            compared = [
                comparison(maps[: len(wanted)], wanted.float())
                for comparison, maps, wanted in zip(
                    self._comparisons, (middle, last), teacher_maps, strict=True
                )
            ]
        embeddings = embeddings.float()
        relations = self._relations(nn.functional.normalize(embeddings, dim=-1))
        wanted_relations = self._relations(targets)
        cosines = nn.functional.cosine_similarity(embeddings, targets)
        return {
            "error": (embeddings - targets).square().sum(dim=-1).mean(),
            "maps": torch.stack(compared).sum(),
            "relations": nn.functional.kl_div(
                relations, wanted_relations, log_target=True, reduction="batchmean"
            ),
            "cosine_mild": cosines[:mild].mean(),
            "cosine_poor": cosines[mild:].mean(),
        }

    def _relations(self, unit: Tensor) -> Tensor:
        return (unit @ self._centres.T / _TEMPERATURE).log_softmax(dim=-1)


def _as_tensors(batch: Any) -> tuple[Tensor, ...]:
    return tuple(torch.from_numpy(part) for part in (batch.views, batch.targets, *batch.maps))
