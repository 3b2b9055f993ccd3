"""Tensors of a training step, gathered from a variant store."""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor

from probefusion.training.config import TrainingConfig
from probefusion.training.parallel import Workers
from probefusion.training.recipes import find_recipe
from probefusion.training.set_sampler import SetSampler
from probefusion.training.variant_store import VariantStore, class_centres

__all__ = ["BatchLoader"]


class BatchLoader:
    """Gathers batches from a memory-mapped store.

    Args:
        store: The variants.
        config: Sizes and seed.
        device: PyTorch device.
        workers: The processes that share a batch.

    Attributes:
        centres: (S, D) class centres of all people of the store.
        batch_size: People in a batch, over all processes.
        num_batches: Batches that show about every person once.
    """

    def __init__(
        self, store: VariantStore, config: TrainingConfig, device: str, workers: Workers
    ) -> None:
        num_people = len(store.subject_ids)
        size = num_people if config.batch_size is None else config.batch_size
        self._sampler = SetSampler(
            store,
            batch_size=min(size, num_people) if config.validation_share else size,
            group_size=config.group_size,
            bad_share=config.bad_share,
            num_severe=find_recipe(config.recipe).num_severe,
            seed=config.seed,
        )
        self._device = device
        self._workers = workers
        self._embeddings = np.asarray(store.embeddings)
        no_style = np.zeros((*store.embeddings.shape[:2], 0, 2), dtype=np.float16)
        self._style = no_style if store.style is None else np.asarray(store.style)
        self.centres = torch.from_numpy(class_centres(store)).to(device)
        self.batch_size = self._sampler.batch_size
        self.num_batches = math.ceil(num_people / self.batch_size)

    def load(self, step: int, *, whole: bool = False) -> tuple[Tensor, Tensor, Tensor]:
        """The batch of a step: this process's part, or all of it.

        Args:
            step: Counted from 0.
            whole: Whether to give the whole batch in every process.

        Returns:
            (B, 2K, D) embeddings, (B, 2K, C, 2) style and (B,) rows of `centres`.
        """
        batch = self._sampler.batch(step)
        workers = Workers() if whole else self._workers
        images, variants = workers.part_of(batch.images), workers.part_of(batch.variants)
        embeddings = torch.from_numpy(self._embeddings[images, variants].astype(np.float32))
        style = torch.from_numpy(self._style[images, variants].astype(np.float32))
        subjects = torch.from_numpy(workers.part_of(batch.subjects))
        return embeddings.to(self._device), style.to(self._device), subjects.to(self._device)
