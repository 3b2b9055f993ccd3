"""Tensors of a training step, and the people kept apart to stop early by."""

from __future__ import annotations

import hashlib
import math

import numpy as np
import torch
from torch import Tensor

from probefusion.errors import ConfigError
from probefusion.training.config import TrainingConfig
from probefusion.training.parallel import Workers
from probefusion.training.recipes import find_recipe
from probefusion.training.set_sampler import SetSampler
from probefusion.training.variant_store import VariantStore, class_centres

__all__ = ["BatchLoader", "split_for_validation"]


class BatchLoader:
    """Gathers batches from a memory-mapped store.

    Args:
        store: The variants.
        config: Sizes and seed.
        device: PyTorch device.
        workers: The processes that share a batch.

    Attributes:
        centres: (S, D) class centres of all people of the store.
        num_batches: Batches that show about every person once.
    """

    def __init__(
        self, store: VariantStore, config: TrainingConfig, device: str, workers: Workers
    ) -> None:
        size = min(config.batch_size, len(store.subject_ids)) if config.validation_share else None
        self._sampler = SetSampler(
            store,
            batch_size=size or config.batch_size,
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
        self.num_batches = math.ceil(len(store.subject_ids) / self._sampler.batch_size)

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


def split_for_validation(
    store: VariantStore, config: TrainingConfig
) -> tuple[VariantStore, VariantStore | None]:
    """The people to train on, and those kept apart; who is who depends on the name alone.

    Args:
        store: All people.
        config: With `validation_share`.

    Returns:
        Two stores; the second is None if nobody is kept apart.

    Raises:
        ConfigError: If either side would be empty.
    """
    if not config.validation_share:
        return store, None

    def place(name: str) -> float:
        digest = hashlib.sha256(f"validation|{name}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64

    kept = [name for name in store.subject_ids if place(name) < config.validation_share]
    if not 0 < len(kept) < len(store.subject_ids):
        raise ConfigError(
            f"validation_share: {config.validation_share} of {len(store.subject_ids)} people leaves "
            f"one side empty. Give more people, or 0 to train to the last step."
        )
    others = sorted(set(store.subject_ids) - set(kept))
    return store.of_people(others), store.of_people(kept)
