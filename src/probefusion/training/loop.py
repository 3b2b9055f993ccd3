"""The training loop: the same for every architecture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from probefusion.nn.architectures import Network, build_network
from probefusion.training.averaging import (
    average_gradients,
    sum_over_workers,
    synchronise_batch_norm,
)
from probefusion.training.batch_loader import BatchLoader
from probefusion.training.checkpoint import load_checkpoint, run_identity, save_checkpoint
from probefusion.training.config import TrainingConfig
from probefusion.training.early_stopping import EarlyStopping, split_for_validation
from probefusion.training.losses import centre_loss, margin_softmax_loss, memory_loss
from probefusion.training.parallel import Workers, join_workers
from probefusion.training.starting_point import StartingPoint
from probefusion.training.variant_store import VariantStore

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
        best_step: Step whose parameters were kept, 0 for those of the start; the last one without early
            stopping.
        validation_loss: Loss of that step on the people kept for early stopping, or None.
    """

    network: Network
    step: int
    is_finished: bool
    centre_losses: np.ndarray
    best_step: int
    validation_loss: float | None


def train_network(
    store: VariantStore,
    config: TrainingConfig,
    *,
    start: StartingPoint | None = None,
    checkpoint: Path | None = None,
    checkpoint_every: int = 100,
    device: str = "cpu",
    on_step: Callable[[StepReport], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainingResult:
    """Trains a fuser on a variant store; the same seed gives the same network on one machine.

    Started by `torchrun`, every process takes its part of each batch; all end with the same network.

    Args:
        store: Embedded variants of the training images.
        config: The settings; those left to the number of people are decided by the store.
        start: A fuser to go on from, built with the network settings of `config`; None begins anew. With
            people kept apart it counts as the first look: the result is never worse on them.
        checkpoint: File to go on from if it exists, and to write to. None keeps nothing.
        checkpoint_every: Steps between checkpoints; one is also written at the end and when stopped.
        device: PyTorch device, "cpu" or "cuda".
        on_step: Called after every step.
        should_stop: Asked after every step; True ends the run after writing a checkpoint.

    Returns:
        The network and its losses.

    Raises:
        ConfigError: If there are fewer people than a batch holds, or a setting is out of range.
        FileFormatError: If the weights of `start` do not fit the network.
        MismatchError: If the checkpoint belongs to other settings.

    Source: Kim et al. 2022: AdamW, centre loss at several set sizes, memory loss of two groups in
        sequence against all at once.
    Differs: a margin softmax against all class centres may be added; people may be kept apart to
        stop early by.
    """
    workers = join_workers(device)
    config = config.for_people(len(store.subject_ids))
    training, validation = split_for_validation(store, config)
    batches = BatchLoader(training, config, device, workers)
    checks = None if validation is None else BatchLoader(validation, config, device, workers)
    settings = {"dim": store.dim, "style_channels": store.style_channels, **config.network}
    network = build_network(
        config.architecture, settings, rng=np.random.default_rng([config.seed, 2])
    )
    if start is not None:
        start.load_into(network)
    synchronise_batch_norm(network, workers)
    network.to(device).train()
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay
    )
    best = EarlyStopping(patience=config.patience)
    step = 0
    run = run_identity(config, store, None if start is None else start.facts)
    if checkpoint is not None and checkpoint.exists():
        step = load_checkpoint(checkpoint, network, optimizer, run, best)
    elif start is not None and checks is not None:
        best.tell(0, _validation_loss(network, checks, config, workers), network)
    losses: list[float] = []
    is_done = step >= config.steps or best.waited >= config.patience

    def keep() -> None:
        if checkpoint is not None and workers.is_first:
            save_checkpoint(checkpoint, network, optimizer, run, step, best)

    while not is_done:
        step += 1
        report = _train_step(network, optimizer, batches, config, workers, step)
        losses.append(report.centre)
        is_done = step >= config.steps
        if checks is not None and (is_done or step % config.check_every == 0):
            is_done |= best.tell(step, _validation_loss(network, checks, config, workers), network)
        if on_step is not None:
            on_step(report)
        is_stopped = workers.any_true(should_stop is not None and should_stop())
        if is_done or is_stopped or step % checkpoint_every == 0:
            keep()
        if is_stopped:
            break
    if is_done:
        best.restore(network)
    return TrainingResult(
        network=network.cpu().eval(),
        step=step,
        is_finished=is_done,
        centre_losses=np.asarray(losses, dtype=np.float32),
        best_step=best.best_step if best.best else step,
        validation_loss=None if checks is None else best.best_loss,
    )


def _train_step(
    network: Network,
    optimizer: torch.optim.AdamW,
    batches: BatchLoader,
    config: TrainingConfig,
    workers: Workers,
    step: int,
) -> StepReport:
    rate = config.learning_rate_at(step - 1)
    for group in optimizer.param_groups:
        group["lr"] = rate
    torch.manual_seed(int(np.random.SeedSequence([config.seed, step]).generate_state(1)[0]))
    embeddings, style, subjects = batches.load(step - 1)
    result = network.training_pass(embeddings, style, config.prefixes)
    centre = centre_loss(result.prefix_fused, batches.centres[subjects])
    memory = memory_loss(result.sequential, result.joint, divide_by_batch=False)
    if config.memory_divided_by_batch:
        memory = memory / (config.batch_size or batches.batch_size)
    loss = centre + config.memory_weight * memory
    if config.margin_weight:
        people, own = batches.margin_people(step - 1, subjects)
        loss = loss + config.margin_weight * margin_softmax_loss(
            result.prefix_fused, people, own, margin=config.margin, scale=config.scale
        )
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    told = average_gradients(network, torch.stack([centre, memory]).detach(), workers)
    optimizer.step()
    return StepReport(
        step=step,
        steps=config.steps,
        centre=float(told[0]),
        memory=float(told[1]),
        learning_rate=rate,
    )


def _validation_loss(
    network: Network, batches: BatchLoader, config: TrainingConfig, workers: Workers
) -> float:
    """Centre loss on the people kept apart, on the same sets at every look; each process looks at some."""
    network.eval()
    losses = torch.zeros(batches.num_batches, dtype=torch.float64)
    with torch.no_grad():
        for number in range(workers.rank, batches.num_batches, workers.world_size):
            embeddings, style, subjects = batches.load(number, whole=True)
            result = network.training_pass(embeddings, style, config.prefixes)
            losses[number] = centre_loss(result.prefix_fused, batches.centres[subjects])
    network.train()
    return float(np.mean(sum_over_workers(losses, workers).numpy()))
