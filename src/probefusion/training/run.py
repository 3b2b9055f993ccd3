"""From a folder of face images to a fuser folder: extraction, training, calibration, export."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from probefusion.archives.files.locks import clean_drafts
from probefusion.errors import ConfigError
from probefusion.faces.images import SkippedImage
from probefusion.files import (
    check_name,
    check_output,
    making_folders,
    replace_file,
    replace_together,
)
from probefusion.fusion.learned import open_fuser
from probefusion.nn.architectures import check_exportable
from probefusion.protocols.degraded_folder import NUM_FOLDS, People, fold_of
from probefusion.training.config import RunSettings, TrainingConfig
from probefusion.training.decoded_crops import (
    DecodedCrops,
    decode_people,
    image_stamps,
    read_source,
)
from probefusion.training.export.fuser_folder import export_fuser, publish_fuser
from probefusion.training.extraction import extract_variants
from probefusion.training.held_out import choose_held_out, embed_held_out, measure, report_on
from probefusion.training.loop import TrainingResult, train_network
from probefusion.training.outcome import TrainedFuser, TrainingProgress
from probefusion.training.parallel import Workers, ending_together, join_workers
from probefusion.training.recipes import find_recipe
from probefusion.training.starting_point import StartingPoint
from probefusion.training.variant_store import VariantStore
from probefusion.version import __version__

if TYPE_CHECKING:
    from probefusion.embedders import OnnxEmbedder

__all__ = ["TrainedFuser", "TrainingProgress", "train_fuser"]

_DRAFT_SECONDS = 600.0
"""What nobody has written to for so long, a killed run has left."""


@dataclass(frozen=True, kw_only=True)
class _Run:
    """A run whose settings are resolved."""

    embedder: OnnxEmbedder
    config: TrainingConfig
    settings: RunSettings
    name: str
    folder: Path
    work: Path
    report: Path
    start: StartingPoint | None
    force: bool
    progress: TrainingProgress = field(default_factory=TrainingProgress)

    @property
    def held_out_folds(self) -> tuple[int, ...]:
        return tuple(fold for fold in range(NUM_FOLDS) if fold not in self.settings.folds)

    def identity(self) -> dict[str, Any]:
        """What the card and `run.json` both say."""
        start = {} if self.start is None else {"started_from": self.start.facts}
        return {
            **start,
            "train_folds": list(self.settings.folds),
            "config": asdict(self.config),
            "versions": _versions(),
        }


def train_fuser(
    people: People,
    embedder: OnnxEmbedder,
    output: str | Path,
    config: TrainingConfig,
    settings: RunSettings,
    *,
    name: str,
    start: StartingPoint | None = None,
    force: bool = False,
    progress: TrainingProgress | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainedFuser:
    """Trains a fuser for an embedder on aligned face images, one folder per person.

    Everything that takes long is kept in the work folder and goes on from there after an
    interruption. Started by `torchrun`, the processes share the embedding and the training. The
    people of the other folds are never trained on; thresholds are calibrated on them. Images that
    cannot be read are left out and listed in the result and in `run.json` of the work folder.

    Args:
        people: Images by person (`probefusion.protocols.degraded_folder.read_people`).
        embedder: The embedder.
        output: Fuser folder to make.
        config: Settings of the training.
        settings: Settings of the run; report and work lie beside the output unless given.
        name: Name of the fuser, `architecture.embedder-data.rN`.
        start: A fuser to go on training from; `config` has its architecture and network settings.
        force: Whether an existing output folder may be replaced.
        progress: Told how far the run is.
        should_stop: Asked after every training step; True keeps a checkpoint and ends the run.

    Raises:
        ConfigError: If a setting does not fit the architecture, there are fewer people than a batch
            holds, or the architecture cannot become a fuser folder.
        EmbedderMismatchError: If `start` was made for another embedder.
        OutputExistsError: If the output exists and `force` is False.
        MismatchError: If the work folder belongs to another run.
        WorkerError: If another process of `torchrun` failed.
    """
    folder = check_output(output, force=force)
    run = _Run(
        embedder=embedder,
        config=_for_blindness(config, settings.without),
        settings=settings,
        name=name,
        folder=folder,
        work=Path(settings.work or f"{folder}.work"),
        report=Path(settings.report or f"{folder}.report"),
        start=start,
        force=force,
        progress=progress or TrainingProgress(),
    )
    for path in (run.work, run.report):
        check_name(path)
    if run.report.exists():
        check_output(run.report / "report.json", force=force)
    # What cannot come to a good end is told now, not after all images are embedded.
    check_exportable(run.config.architecture, run.config.network)
    if start is not None:
        start.check_embedder(embedder.fingerprint)
    workers = join_workers(settings.device)
    with ending_together(workers):
        return _train_together(run, people, workers, should_stop)


def _train_together(
    run: _Run, people: People, workers: Workers, should_stop: Callable[[], bool] | None
) -> TrainedFuser:
    """All processes embed and train; the first alone writes what the others do not need, and finishes."""
    chosen = {
        subject: images
        for subject, images in people.images.items()
        if fold_of(subject) in run.settings.folds
    }
    workers.check_batch_size(run.config.for_people(len(chosen)).batch_size or 0)
    run.work.mkdir(parents=True, exist_ok=True)
    if workers.is_first:  # what a killed run left half written, a checkpoint most of all
        clean_drafts(run.work, unchanged_for=_DRAFT_SECONDS)
    whole = extract_variants(
        chosen,
        lambda source: read_source(people, source),
        run.embedder,
        find_recipe(run.config.recipe).draw,
        run.work / "variants",
        recipe=run.config.recipe,
        content=image_stamps(people, chosen) if workers.is_first else "",
        seed=run.config.seed,
        workers=workers,
        progress=run.progress.on_extract,
    )
    store = _as_seen(run, whole)
    run = replace(run, config=run.config.for_people(len(store.subject_ids)))
    skipped = (*people.skipped, *store.skipped)
    if workers.is_first:
        _write_resolved(run, skipped)
    result = train_network(
        store,
        run.config,
        start=run.start,
        checkpoint=run.work / "checkpoint.safetensors",
        device=run.settings.device,
        on_step=run.progress.on_step,
        should_stop=should_stop,
    )
    outcome = TrainedFuser(
        folder=run.folder,
        report=None,
        work=run.work,
        card=None,
        step=result.step,
        is_finished=result.is_finished,
        num_people=len(store.subject_ids),
        num_held_out=len(people.images) - len(chosen),
        skipped=skipped,
    )
    if not workers.is_first or not result.is_finished:
        return outcome
    held_out = choose_held_out(people, run.held_out_folds)
    if held_out is None:
        return _finish(run, None, store, result, outcome)
    with decode_people(held_out, run.work, progress=run.progress.on_decode) as crops:
        usable = crops.people
        outcome = replace(
            outcome, num_held_out=len(usable.images), skipped=(*skipped, *usable.skipped)
        )
        if usable.skipped:
            _write_resolved(run, outcome.skipped)
        return _finish(run, crops, store, result, outcome)


def _finish(
    run: _Run,
    crops: DecodedCrops | None,
    store: VariantStore,
    result: TrainingResult,
    outcome: TrainedFuser,
) -> TrainedFuser:
    """Exports once, measures the exported graphs, and publishes them with what was measured."""
    facts = {
        "num_people": outcome.num_people,
        "num_images": len(store.sources),
        "num_skipped": len(outcome.skipped),
        "embedder_form": run.embedder.own_fingerprint,
        **run.identity(),
        "best_step": result.best_step,
        "validation_loss": result.validation_loss,
        "centre_loss_last": float(np.mean(result.centre_losses[-50:]))
        if len(result.centre_losses)
        else None,
    }
    draft = run.work / "export"
    export_fuser(
        result.network,
        draft,
        name=run.name,
        architecture=run.config.architecture,
        embedder=run.embedder.fingerprint,
        licence=run.settings.licence,
        needs_norms=run.embedder.norms_known and "norm" not in run.settings.without,
        training=facts,
        force=True,
    )
    measured: dict[str, Any] = {}
    data = None
    if crops is not None:
        data = embed_held_out(
            crops, run.held_out_folds, run.embedder, run.work, run.progress.on_calibrate
        )
    if data is None:
        card = publish_fuser(draft, run.folder, force=run.force)
    else:
        fuser = open_fuser(draft)
        measured = measure(data, fuser)
        with making_folders(run.report), replace_together():  # fuser and report, or neither
            report_on(data, fuser, run.report, facts, force=run.force)
            card = publish_fuser(draft, run.folder, force=run.force, **measured)
    return replace(outcome, card=card, report=run.report if measured else None)


def _as_seen(run: _Run, store: VariantStore) -> VariantStore:
    """The store as the network looks at it."""
    if run.start is not None:
        _check_fits(run.start, store, run.settings.without)
    return replace(store, style=None) if "style" in run.settings.without else store


def _check_fits(start: StartingPoint, store: VariantStore, without: tuple[str, ...]) -> None:
    channels = 0 if "style" in without else store.style_channels
    if (start.card.dim, start.card.style_channels) != (store.dim, channels):
        raise ConfigError(
            f"start_from: {start.card.name!r} takes {start.card.dim} numbers and "
            f"{start.card.style_channels} style channels an image, the embedder gives {store.dim} and "
            f"{channels}. Give the embedder it was made for, with its style taps."
        )


def _for_blindness(config: TrainingConfig, without: tuple[str, ...]) -> TrainingConfig:
    if "norm" not in without:
        return config
    return replace(config, network={**config.network, "sees_norm": False})


def _versions() -> dict[str, str]:
    return {
        "probefusion": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _write_resolved(run: _Run, skipped: tuple[SkippedImage, ...]) -> None:
    """Keeps the settings of the run, and what it left out, beside its results."""
    facts = {
        "name": run.name,
        "embedder": run.embedder.fingerprint,
        **run.identity(),
        "skipped": [{"source": image.source, "reason": image.reason} for image in skipped],
    }
    with replace_file(run.work / "run.json", force=True) as stream:
        stream.write((json.dumps(facts, indent=2) + "\n").encode())
