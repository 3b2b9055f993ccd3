"""Decision thresholds for a fuser, measured on people it was not trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    InvalidInputError,
    OutputExistsError,
    UnsupportedOperationError,
)
from probefusion.pipeline.chosen_embedder import open_embedder
from probefusion.pipeline.folder_people import (
    check_measurable,
    check_people_aligned,
    embed_folder,
)

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.faces import SkippedImage
    from probefusion.fusion.learned import LearnedFuser
    from probefusion.fusion.threshold import Threshold
    from probefusion.protocols.degraded_folder import Mix

__all__ = ["FALSE_MATCH_RATES", "Calibration", "calibrate"]

FALSE_MATCH_RATES = (1e-2, 1e-3, 1e-4, 1e-5)
"""Rates for which thresholds are stored where the comparisons resolve them."""

StrPath = str | Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """The thresholds that were stored with a fuser.

    Args:
        thresholds: One per set size and false match rate that could be resolved.
        unresolved: (set size, false match rate, comparisons of different people) of those that could not.
        skipped: Images that were left out, and why.
        warnings: What makes the thresholds doubtful, in words.
    """

    thresholds: tuple[Threshold, ...]
    unresolved: tuple[tuple[int, float, int], ...]
    skipped: tuple[SkippedImage, ...]
    warnings: tuple[str, ...]

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The thresholds as JSON can hold them."""
        return [asdict(threshold) for threshold in self.thresholds]


def calibrate(
    fuser: StrPath,
    data: StrPath,
    *,
    embedder: StrPath | Embedder | None = None,
    mix: Mix = "hard",
    folds: Sequence[int] = (3,),
    set_sizes: Sequence[int] = (1, 2, 4, 8, 16, 32),
    num_sets: int = 4,
    cache: StrPath | None = None,
    preprocessing: str | None = None,
    norm_output: str | None = None,
    device: str = "cpu",
    num_threads: int | None = None,
    force: bool = False,
    trust_alignment: bool = False,
    on_embed: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Measures similarities of different people and stores thresholds in the fuser's card.

    The people go through the degraded-folder protocol. Rates that the comparisons cannot resolve
    (fewer than one expected false match) are left out and counted in `unresolved`.

    Args:
        fuser: Fuser folder; its card is rewritten.
        data: Folder or zip of aligned 112x112 crops, one folder per person, whom the fuser has not seen.
        embedder: A known name, an ONNX file or an embedder: the one that the fuser was made for. None
            takes the one inside the package.
        mix: How many probe images are bad: "hard", "mixed" or "clean".
        folds: Whom to take, of folds 0 to 3.
        set_sizes: Images in a probe set.
        num_sets: Probe sets per person.
        cache: Folder that keeps embeddings; None keeps none.
        preprocessing: How images go into an embedder that is not known ("arcface").
        norm_output: Output of it that holds the length of an embedding that it normalises; "" for none.
        device: "cpu" or "cuda".
        num_threads: Threads to use; None for one per core.
        force: Whether thresholds that the card holds may be replaced.
        trust_alignment: Whether the images are taken for aligned crops without a look at them.
        on_embed: Called with (images embedded, in all).

    Raises:
        UnsupportedOperationError: If `fuser` is one that has no folder, as "mean".
        ConfigError: If `fuser` names a fuser of the package, whose card is not rewritten, or the images are
            not aligned crops.
        MissingFileError, FileFormatError: If `fuser` is no fuser folder.
        OutputExistsError: If its card holds thresholds and `force` is False.
        EmbedderMismatchError: If it was made for another embedder.
        MissingNormsError: If it needs lengths, and the embedder gives embeddings of length 1.
        EmptySetError: If the people leave nothing to compare.
        InvalidInputError: If no rate can be resolved; the card is kept.
    """
    from probefusion.evaluation.scoring import check_fusers
    from probefusion.evaluation.sweep import calibrate as measure
    from probefusion.fusion.folder import with_thresholds
    from probefusion.fusion.learned import open_fuser
    from probefusion.protocols import DegradedFolderProtocol, read_people

    _check_has_card(fuser)
    opened = open_fuser(fuser, num_threads=num_threads, device=device)
    _check_card(opened, fuser, force=force)
    people = read_people(data)
    protocol = DegradedFolderProtocol(
        people=people,
        folds=tuple(folds),
        mix=mix,
        set_sizes=tuple(set_sizes),
        num_sets=num_sets,
    )
    check_measurable(protocol)
    network = open_embedder(
        embedder,
        preprocessing=preprocessing,
        norm_output=norm_output,
        num_threads=num_threads,
        device=device,
    )
    if opened.embedder not in (None, network.fingerprint):
        raise EmbedderMismatchError(
            f"--embedder: fuser {opened.name!r} was trained for {opened.embedder}, got "
            f"{network.fingerprint}. Calibrate with that model: --embedder "
            f"{opened.embedder.partition('@')[0]} (its name or its file)"
        )
    check_people_aligned(people, network, is_trusted=trust_alignment)
    check_fusers([opened], network.fingerprint, norms_known=network.norms_known)
    embedded = embed_folder(protocol, network, max(set_sizes), cache, on_embed)
    thresholds = measure(
        embedded,
        opened,
        set_sizes=tuple(set_sizes),
        false_match_rates=FALSE_MATCH_RATES,
        source=f"{embedded.protocol}, {len(protocol.probe_subjects)} people, {network.own_fingerprint}",
    )
    num_sets_in_all = len(embedded.probe_subjects)
    num_non_mated = num_sets_in_all * (embedded.gallery.num_images - 1)
    if not thresholds:
        raise InvalidInputError(
            f"--data: {embedded.gallery.num_images} people and {num_sets_in_all} probe sets give "
            f"{num_non_mated} comparisons, which resolve no false match rate down from 0.01. Give more "
            f"people or more --num-sets; the card is kept."
        )
    with_thresholds(fuser, thresholds)
    kept = {(found.num_images, found.false_match_rate) for found in thresholds}
    return Calibration(
        thresholds=thresholds,
        unresolved=tuple(
            (size, rate, num_non_mated)
            for size in set_sizes
            for rate in FALSE_MATCH_RATES
            if (size, rate) not in kept
        ),
        skipped=tuple(people.skipped),
        warnings=_warnings(opened, folds),
    )


def _check_has_card(fuser: StrPath) -> None:
    """Refuses the name of a fuser where its folder is expected; says what to do instead."""
    from probefusion.zoo.fusers import POOLING_NAMES, trained_fusers

    name = os.fspath(fuser)
    if Path(name).is_dir():
        return
    if name in POOLING_NAMES:
        raise UnsupportedOperationError(
            f"fuser {name!r}: has no folder with a card in which thresholds could be kept. Measure one by: "
            f"probefusion evaluate degraded-folder --data DIR --embedder MODEL --fuser {name} -o REPORT; its "
            f"report.json has the threshold at each rate. Thresholds are kept with trained fusers only: "
            f"probefusion train"
        )
    folder = trained_fusers().get(name)
    if folder is not None:
        raise ConfigError(
            f"fuser {name!r}: expected a fuser folder of your own, got the name of {folder}, which is not "
            f"changed. Copy it and calibrate the copy: cp -r {folder} my_fuser"
        )


def _check_card(fuser: LearnedFuser, folder: StrPath, *, force: bool) -> None:
    if fuser.card.thresholds and not force:
        raise OutputExistsError(
            f"{os.fspath(folder)}: carries {len(fuser.card.thresholds)} thresholds. Use --force "
            f"(force=True) to replace them."
        )


def _warnings(fuser: LearnedFuser, folds: Sequence[int]) -> tuple[str, ...]:
    seen = set(folds) & set(fuser.card.training.get("train_folds", ()))
    if not seen:
        return ()
    return (
        f"the fuser was trained on folds {sorted(seen)} of its own data; if these are the same people, "
        f"the thresholds will be too low",
    )
