"""Tensors of a training step, gathered from a variant store."""

from __future__ import annotations

import math
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from probefusion.training.config import TrainingConfig
from probefusion.training.parallel import Workers
from probefusion.training.recipes import find_recipe
from probefusion.training.row_files import Rows
from probefusion.training.set_sampler import SetSampler
from probefusion.training.variant_store import VariantStore, class_centres

__all__ = ["MARGIN_PEOPLE", "BatchLoader"]

MARGIN_PEOPLE = 8192
"""The margin softmax looks at so many people at most."""

_Batch: TypeAlias = tuple[Tensor, Tensor, Tensor]


class BatchLoader:
    """Gathers batches from a store; of a store on the disk the next one is read while this one is computed.

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
        self._embeddings = store.embeddings
        self._style = store.style
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="probefusion-batches")
        self._next: tuple[int, Future[_Batch]] | None = None
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
        if whole:
            embeddings, style, subjects = self._gather(step, Workers())
        else:
            if self._next is not None and self._next[0] == step:
                embeddings, style, subjects = self._next[1].result()
            else:
                embeddings, style, subjects = self._gather(step, self._workers)
            self._next = step + 1, self._thread.submit(self._gather, step + 1, self._workers)
        return embeddings.to(self._device), style.to(self._device), subjects.to(self._device)

    def margin_people(self, step: int, subjects: Tensor) -> tuple[Tensor, Tensor]:
        """The class centres that the margin softmax of a step looks at.

        All of them, or where there are more than `MARGIN_PEOPLE` those of the whole batch and others drawn
        by seed and step, so that memory does not grow with the number of people.

        Args:
            step: Counted from 0.
            subjects: (B,) rows of `centres`, as `load` gave them.

        Returns:
            (P, D) centres, and (B,) the own row of each.

        Source: An et al. 2021, Partial FC.
        """
        if len(self.centres) <= MARGIN_PEOPLE:
            return self.centres, subjects
        batch = np.unique(self._sampler.people_of(step))
        rng = np.random.Generator(np.random.PCG64([self._sampler.seed, step, 2]))
        num_others = max(0, MARGIN_PEOPLE - len(batch))
        others = rng.choice(len(self.centres), num_others + len(batch), replace=False)
        people = np.union1d(batch, others[~np.isin(others, batch)][:num_others])
        own = np.searchsorted(people, subjects.cpu().numpy())
        return self.centres[torch.from_numpy(people)], torch.from_numpy(own).to(self._device)

    def _gather(self, step: int, workers: Workers) -> _Batch:
        batch = self._sampler.batch(step)
        images, variants = workers.part_of(batch.images), workers.part_of(batch.variants)
        embeddings = torch.from_numpy(_variants_of(self._embeddings, images, variants))
        style = (
            embeddings.new_zeros((*images.shape, 0, 2))
            if self._style is None
            else torch.from_numpy(_variants_of(self._style, images, variants))
        )
        return embeddings, style, torch.from_numpy(workers.part_of(batch.subjects))


def _variants_of(
    rows: Rows, images: npt.NDArray[np.int64], variants: npt.NDArray[np.int64]
) -> npt.NDArray[np.float32]:
    """(B, 2K, ...) float32; each image is read once, with all its variants, which lie together."""
    different, places = np.unique(images, return_inverse=True)
    chosen = rows[different][places.reshape(images.shape), variants]
    return chosen.astype(np.float32)
