"""From a folder of face images to a fuser folder: extraction, training, calibration, export."""

from __future__ import annotations

import hashlib
import json
import platform
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from probefusion.checks import check_output
from probefusion.errors import ConfigError, EmptySetError, InvalidInputError
from probefusion.evaluation.degraded_folder import FolderPlan, evaluate_folder
from probefusion.evaluation.embed_protocol import embed_protocol
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.sweep import calibrate, sweep
from probefusion.faces.images import SkippedImage, read_crop
from probefusion.files import replace_file
from probefusion.fusion import Fuser, MeanFuser
from probefusion.fusion.folder import FuserCard
from probefusion.fusion.learned import open_fuser
from probefusion.nn.architectures import build_network
from probefusion.protocols.degraded_folder import (
    NUM_FOLDS,
    DegradedFolderProtocol,
    People,
    fold_of,
)
from probefusion.reports.degraded_folder import write_report
from probefusion.training.config import TrainingConfig
from probefusion.training.export.fuser_folder import export_fuser
from probefusion.training.loop import StepReport, train_network
from probefusion.training.parallel import join_workers
from probefusion.training.recipes import find_recipe
from probefusion.training.variant_store import VariantStore, extract_variants
from probefusion.version import __version__

if TYPE_CHECKING:
    from probefusion.embedders import OnnxEmbedder

__all__ = ["TrainedFuser", "train_fuser"]

MIN_HELD_OUT = 20
"""Probe people that calibration needs at least."""

MAX_BLOCKS = 4
"""Calibration uses up to this many disjoint blocks of each held-out person's 32 probe images."""


@dataclass(frozen=True, kw_only=True)
class TrainedFuser:
    """What `train_fuser` made.

    Args:
        card: The card of the fuser folder; None if the run was stopped before the end, and in all
            processes of `torchrun` but the first.
        step: Training steps done.
        is_finished: False if the run was stopped before the end.
        num_people: People trained on.
        num_held_out: People kept for calibration.
        skipped: Images that could not be used, and why.
    """

    card: FuserCard | None
    step: int
    is_finished: bool
    num_people: int
    num_held_out: int
    skipped: tuple[SkippedImage, ...]


def train_fuser(
    people: People,
    embedder: OnnxEmbedder,
    output: str | Path,
    config: TrainingConfig,
    *,
    work: str | Path,
    name: str,
    licence: str,
    train_folds: tuple[int, ...] = (0, 1, 2),
    without: frozenset[str] = frozenset(),
    report: str | Path | None = None,
    device: str = "cpu",
    force: bool = False,
    on_extract: Callable[[int, int], None] | None = None,
    on_step: Callable[[StepReport], None] | None = None,
    on_calibrate: Callable[[int, int], None] | None = None,
    should_stop: Callable[[], bool] | None = None,
) -> TrainedFuser:
    """Trains a fuser for an embedder on aligned face images, one folder per person.

    Everything that takes long is kept in `work` and goes on from there after an interruption. The
    people of the other folds are never trained on; thresholds are calibrated on them.

    Args:
        people: Images by person (`probefusion.protocols.degraded_folder.read_people`).
        embedder: The embedder.
        output: Fuser folder to make.
        config: Settings of the training.
        work: Folder for the embedded variants and the checkpoint.
        name: Name of the fuser, `architecture.embedder-data.rN`.
        licence: Licence of the weights.
        train_folds: Folds (0..3) of the people to train on; all four leave nobody to calibrate on.
        without: What the fuser is not to look at: "style", "norm" or both, for embeddings that will
            come without.
        report: Folder for an evaluation report on the held-out people, beside the mean; None writes
            none.
        device: PyTorch device.
        force: Whether an existing output folder may be replaced.
        on_extract: Progress of the extraction, called with (done, in all).
        on_step: Called after every training step.
        on_calibrate: Progress of embedding the held-out people.
        should_stop: Asked after every training step; True keeps a checkpoint and ends the run.

    Raises:
        ConfigError: If a fold does not exist or there are fewer people than a batch holds.
        OutputExistsError: If the output exists and `force` is False.
        MismatchError: If `work` belongs to another run.
    """
    check_output(output, force=force)
    if report is not None and Path(report).exists():
        check_output(Path(report) / "report.json", force=force)
    work = Path(work)
    workers = join_workers(device)
    if unknown := without - {"style", "norm"}:
        raise ConfigError(
            f"without: expected style, norm or both, got {', '.join(sorted(unknown))}."
        )
    if "norm" in without:
        config = replace(config, network={**config.network, "sees_norm": False})
    if not train_folds or not set(train_folds) <= set(range(NUM_FOLDS)):
        raise ConfigError(f"train_folds: expected some of 0 to {NUM_FOLDS - 1}, got {train_folds}.")
    # A wrong setting is told now, not after all images are embedded.
    build_network(config.architecture, {"dim": 1, "style_channels": 1, **config.network})
    people, content = _usable(people)
    chosen = {
        subject: images
        for subject, images in people.images.items()
        if fold_of(subject) in train_folds
    }
    held_out = tuple(fold for fold in range(NUM_FOLDS) if fold not in train_folds)
    if workers.is_first:
        extract_variants(
            chosen,
            lambda source: read_crop(people.read(source), source=source),
            embedder,
            find_recipe(config.recipe).draw,
            work / "variants",
            recipe=config.recipe,
            content=content,
            seed=config.seed,
            progress=on_extract,
        )
        _write_resolved(work / "run.json", config, name, embedder.fingerprint, train_folds)
    workers.wait()
    store = VariantStore.open(work / "variants")
    if "style" in without:
        store = replace(store, style=None)
    result = train_network(
        store,
        config,
        checkpoint=work / "checkpoint.safetensors",
        device=device,
        on_step=on_step,
        should_stop=should_stop,
    )
    outcome = TrainedFuser(
        card=None,
        step=result.step,
        is_finished=result.is_finished,
        num_people=len(chosen),
        num_held_out=len(people.images) - len(chosen),
        skipped=people.skipped,
    )
    if not (result.is_finished and workers.is_first):
        return outcome
    facts = {
        "num_people": len(chosen),
        "num_images": len(store.sources),
        "embedder_form": embedder.own_fingerprint,
        "train_folds": list(train_folds),
        "config": asdict(config),
        "versions": _versions(),
        "best_step": result.best_step,
        "validation_loss": result.validation_loss,
        "centre_loss_last": float(np.mean(result.centre_losses[-50:]))
        if len(result.centre_losses)
        else None,
    }
    arguments: dict[str, Any] = {
        "name": name,
        "architecture": config.architecture,
        "embedder": embedder.fingerprint,
        "licence": licence,
        "needs_norms": embedder.norms_known and "norm" not in without,
        "training": facts,
    }
    measured: dict[str, Any] = {}
    if held_out:  # on the graphs as exported, which become the fuser only when all is known
        export_fuser(result.network, work / "export", force=True, **arguments)
        data = _held_out_data(people, held_out, embedder, work, on_calibrate)
        if data is not None:
            fuser = open_fuser(work / "export")
            measured = _measure(data, fuser)
            if report is not None:
                _write_report(data, fuser, report, facts, force=force)
    return replace(
        outcome, card=export_fuser(result.network, output, force=force, **arguments, **measured)
    )


def _usable(people: People) -> tuple[People, str]:
    """The people without images that cannot be read, which are listed, and a digest of all bytes."""
    digest = hashlib.sha256()
    images: dict[str, tuple[str, ...]] = {}
    skipped = list(people.skipped)
    for subject, sources in people.images.items():
        good = []
        for source in sources:
            try:
                data = people.read(source)
                read_crop(data, source=source)
            except InvalidInputError as error:
                skipped.append(SkippedImage(source=source, reason=str(error)))
                continue
            digest.update(hashlib.sha256(source.encode() + b"\0" + data).digest())
            good.append(source)
        if good:
            images[subject] = tuple(good)
    return replace(people, images=images, skipped=tuple(skipped)), digest.hexdigest()


def _held_out_data(
    people: People,
    folds: tuple[int, ...],
    embedder: OnnxEmbedder,
    work: Path,
    progress: Callable[[int, int], None] | None,
) -> ProbeData | None:
    """Gallery and probes of the held-out people, or None if they are too few."""
    try:
        protocol = DegradedFolderProtocol(people=people, folds=folds, num_sets=1)
    except EmptySetError:
        return None
    if len(protocol.probe_subjects) < MIN_HELD_OUT:
        return None
    return embed_protocol(protocol, embedder, num_images=32, cache=work, progress=progress)


def _measure(data: ProbeData, fuser: Fuser) -> dict[str, Any]:
    """Thresholds and figures of the exported fuser on held-out people."""
    source = (
        f"{data.protocol}, {len(np.unique(data.probe_subjects))} held-out people, "
        f"up to {MAX_BLOCKS} disjoint blocks of 32 images each"
    )
    points = sweep(
        data, [MeanFuser(), fuser], false_accept_rates=(1e-4, 1e-3, 1e-2), max_blocks=MAX_BLOCKS
    )
    figures = [
        {
            "fuser": "mean" if point.fuser == "mean" else "this",
            "num_images": point.num_images,
            "rank1": round(point.rank1, 4),
            "tar": {f"{v.target:g}": round(v.tar, 4) for v in point.verification if v.resolved},
        }
        for point in points
    ]
    return {
        "metrics": {"protocol": source, "points": figures},
        "thresholds": calibrate(data, fuser, source=source, max_blocks=MAX_BLOCKS),
    }


def _write_report(
    data: ProbeData, fuser: Fuser, folder: str | Path, facts: dict[str, Any], *, force: bool
) -> None:
    """The same report that `probefusion evaluate` writes, with intervals over people."""
    assessment = evaluate_folder(
        data, [MeanFuser(), fuser], FolderPlan(set_sizes=(1, 2, 4, 8, 16, 32))
    )
    write_report(
        assessment,
        folder,
        title=f"{fuser.name} on people it was not trained on",
        facts={"protocol": data.protocol, "embedder": data.gallery.embedder, "training": facts},
        force=force,
    )


def _versions() -> dict[str, str]:
    return {
        "probefusion": __version__,
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "python": platform.python_version(),
    }


def _write_resolved(
    path: Path, config: TrainingConfig, name: str, embedder: str, folds: tuple[int, ...]
) -> None:
    """Keeps the settings of the run beside its results."""
    facts = {
        "name": name,
        "embedder": embedder,
        "train_folds": list(folds),
        "config": asdict(config),
        "versions": _versions(),
    }
    with replace_file(path, force=True) as stream:
        stream.write((json.dumps(facts, indent=2) + "\n").encode())
