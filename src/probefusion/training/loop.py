"""The training loop: the same for every architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from probefusion.nn.architectures import Network, build_network
from probefusion.training.checkpoint import load_checkpoint, save_checkpoint
from probefusion.training.config import TrainingConfig
from probefusion.training.losses import centre_loss, margin_softmax_loss, memory_loss
from probefusion.training.recipes import find_recipe
from probefusion.training.set_sampler import SetSampler
from probefusion.training.variant_store import VariantStore, class_centres

__all__ = ["StepReport", "TrainingResult", "train_network"]


@dataclass(frozen=True, kw_only=True)
class StepReport:
    """What one step gave.

    Args:
        step: Steps done, from 1.
        steps: Steps in all.
        centre: Centre loss.
        memory: Memory loss, before its weight.
        learning_rate: Learning rate used.
    """

    step: int
    steps: int
    centre: float
    memory: float
    learning_rate: float


@dataclass(frozen=True, kw_only=True, eq=False)
class TrainingResult:
    """A network in evaluation mode and how far it was trained.

    Args:
        network: The network, on the CPU.
        step: Steps done.
        is_finished: False if it was stopped before the last step; its checkpoint goes on from there.
        centre_losses: (steps done in this call,) float32.
    """

    network: Network
    step: int
    is_finished: bool
    centre_losses: np.ndarray


def train_network(
    store: VariantStore,
    config: TrainingConfig,
    *,
    checkpoint: Path | None = None,
    checkpoint_every: int = 100,
    device: str = "cpu",
    on_step: Callable[[StepReport], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """Trains a fuser on a variant store; the same seed gives the same network on one machine.

    Args:
        store: Embedded variants of the training images.
        config: The settings.
        checkpoint: File to go on from if it exists, and to write to. None keeps nothing.
        checkpoint_every: Steps between checkpoints; one is also written at the end and when stopped.
        device: PyTorch device, "cpu" or "cuda".
        on_step: Called after every step.
        should_stop: Asked after every step; True ends the run after writing a checkpoint.

    Returns:
        The network and its losses.

    Raises:
        ConfigError: If there are fewer people than a batch holds, or a setting is out of range.
        MismatchError: If the checkpoint belongs to other settings.

    Source: Kim et al. 2022: AdamW, centre loss at several set sizes, memory loss of two groups in
        sequence against all at once.
    Differs: a margin softmax against all class centres may be added.
    """
    sampler = SetSampler(
        store,
        batch_size=config.batch_size,
        group_size=config.group_size,
        bad_share=config.bad_share,
        num_severe=find_recipe(config.recipe).num_severe,
        seed=config.seed,
    )
    settings = {"dim": store.dim, "style_channels": store.style_channels, **config.network}
    network = build_network(
        config.architecture, settings, rng=np.random.default_rng([config.seed, 2])
    )
    network.to(device).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    start = 0
    if checkpoint is not None and checkpoint.exists():
        start = load_checkpoint(checkpoint, network, optimizer, config, store)
    batches = _BatchLoader(store, sampler, device)
    losses = []
    step = start
    for step in range(start + 1, config.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate_at(step - 1)
        torch.manual_seed(int(np.random.SeedSequence([config.seed, step]).generate_state(1)[0]))
        embeddings, style, subjects = batches.load(step - 1)
        result = network.training_pass(embeddings, style, config.prefixes)
        centre = centre_loss(result.prefix_fused, batches.centres[subjects])
        memory = memory_loss(
            result.sequential, result.joint, divide_by_batch=config.memory_divided_by_batch
        )
        loss = centre + config.memory_weight * memory
        if config.margin_weight:
            loss = loss + config.margin_weight * margin_softmax_loss(
                result.prefix_fused,
                batches.centres,
                subjects,
                margin=config.margin,
                scale=config.scale,
            )
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()
        losses.append(float(centre.detach()))
        if on_step is not None:
            on_step(
                StepReport(
                    step=step,
                    steps=config.steps,
                    centre=losses[-1],
                    memory=float(memory.detach()),
                    learning_rate=config.learning_rate_at(step - 1),
                )
            )
        stopping = should_stop is not None and should_stop()
        if checkpoint is not None and (stopping or step % checkpoint_every == 0):
            save_checkpoint(checkpoint, network, optimizer, config, store, step)
        if stopping:
            break
    if checkpoint is not None and losses:
        save_checkpoint(checkpoint, network, optimizer, config, store, step)
    return TrainingResult(
        network=network.cpu().eval(),
        step=step,
        is_finished=step >= config.steps,
        centre_losses=np.asarray(losses, dtype=np.float32),
    )


class _BatchLoader:
    """Tensors of a step, gathered from the memory-mapped store."""

    def __init__(self, store: VariantStore, sampler: SetSampler, device: str) -> None:
        self._sampler = sampler
        self._device = device
        self._embeddings = np.asarray(store.embeddings)
        no_style = np.zeros((*store.embeddings.shape[:2], 0, 2), dtype=np.float16)
        self._style = no_style if store.style is None else np.asarray(store.style)
        self.centres = torch.from_numpy(class_centres(store)).to(device)

    def load(self, step: int) -> tuple[Tensor, Tensor, Tensor]:
        """(B, 2K, D) embeddings, (B, 2K, C, 2) style and (B,) rows of `centres`."""
        batch = self._sampler.batch(step)
        places = (batch.images, batch.variants)
        embeddings = torch.from_numpy(self._embeddings[places].astype(np.float32))
        style = torch.from_numpy(self._style[places].astype(np.float32))
        return (
            embeddings.to(self._device),
            style.to(self._device),
            torch.from_numpy(batch.subjects).to(self._device),
        )
