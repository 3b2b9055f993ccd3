"""Decision thresholds for any fuser, measured on people it was not trained on."""

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
)
from probefusion.files import check_output
from probefusion.files.reading import in_one_line
from probefusion.fusion.calibration import CALIBRATION_NAME, CalibrationRecord
from probefusion.fusion.calibration_files import write_calibration
from probefusion.pipeline.calibration_data import FALSE_MATCH_RATES, check_num_people, measure
from probefusion.pipeline.chosen_embedder import open_embedder
from probefusion.pipeline.folder_people import (
    check_measurable,
    check_people_aligned,
    embed_folder,
)
from probefusion.pipeline.kinship import Kinship
from probefusion.types.revisions import name_to_load
from probefusion.zoo.usability import usability_beside

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.faces import SkippedImage
    from probefusion.fusion import Fuser
    from probefusion.fusion.threshold import Threshold
    from probefusion.protocols.degraded_folder import DegradedFolderProtocol, Mix
    from probefusion.protocols.people import People
    from probefusion.screening.usability_record import UsabilityRecord

__all__ = ["FALSE_MATCH_RATES", "Calibration", "calibrate"]

StrPath = str | Path


@dataclass(frozen=True, kw_only=True, eq=False)
class Calibration:
    """What was measured and stored.

    Args:
        thresholds: Those of the fuser's card (a poor set beside one clean image), one per set size and false
            match rate that could be resolved; empty for a fuser without a card.
        unresolved: (set size, false match rate, comparisons of different people) of those that could not.
        skipped: Images that were left out, and why.
        warnings: What makes the thresholds doubtful, in words.
        record: The calibration that decides about any two templates, or None where the people were too few.
        path: Its file, or None.
        usability: What can be expected of templates, as `UsabilityRecord`; None where it was not measured.
        usability_path: Its file, or None.
        why_no_usability: Why it was not measured, or None.
    """

    thresholds: tuple[Threshold, ...] = ()
    unresolved: tuple[tuple[int, float, int], ...] = ()
    skipped: tuple[SkippedImage, ...] = ()
    warnings: tuple[str, ...] = ()
    record: CalibrationRecord | None = None
    path: Path | None = None
    usability: UsabilityRecord | None = None
    usability_path: Path | None = None
    why_no_usability: str | None = None

    @property
    def facts(self) -> list[dict[str, Any]]:
        """The card's thresholds as JSON can hold them."""
        return [asdict(threshold) for threshold in self.thresholds]


def calibrate(
    fuser: StrPath | Fuser,
    data: StrPath,
    *,
    also: Sequence[StrPath] = (),
    embedder: StrPath | Embedder | None = None,
    output: StrPath | None = None,
    mix: Mix = "hard",
    folds: Sequence[int] | None = None,
    set_sizes: Sequence[int] = (1, 2, 4, 8, 16, 32),
    num_sets: int = 4,
    sizes: Sequence[int] = (1, 4, 16),
    num_people: int = 1000,
    num_poor: int = 250,
    related_by: str | None = None,
    related: Sequence[tuple[str, str]] = (),
    medium_by: str | None = None,
    leave_out: Sequence[str] = (),
    keep_card: bool = False,
    with_usability: bool = True,
    cache: StrPath | None = None,
    preprocessing: str | None = None,
    norm_output: str | None = None,
    device: str = "cpu",
    num_threads: int | None = None,
    force: bool = False,
    trust_alignment: bool = False,
    on_embed: Callable[[int, int], None] | None = None,
) -> Calibration:
    """Measures similarities of different people, and stores what decides about two templates.

    Only non-mates are needed: people with a folder each, or a pile of faces of different people, a file
    each. Of their images sets are made, as they are and degraded (`probefusion.evaluation.calibration_sets`);
    a model of the similarities of different people, by the look and number of images of both sides, is fitted
    to them, and the rates it reaches are measured on people that were not fitted. For a fuser folder both
    are stored in the folder, as `calibration.json`; for other fusers in `output`.

    The card of a fuser folder gets, as before, thresholds of the degraded-folder protocol, for a poor set
    beside one clean image. Rates that the comparisons cannot resolve are left out and counted.

    Args:
        fuser: "mean", "norm-weighted", "universal", the name of a trained fuser with `output`, or a fuser
            folder, which is changed where no `output` is given.
        data: Folder or zip of aligned 112x112 crops, whom the fuser has not seen: one folder per person, or
            a pile of faces, each of another person.
        also: More such data, of other kinds of people; all people of each are taken. Only people of one are
            compared with each other.
        embedder: A known name, an ONNX file or an embedder: the one that the fuser is used with. None
            takes the one inside the package.
        output: File of the calibration; None for that in the fuser's folder.
        mix: Of the card's thresholds: how many probe images are bad: "hard", "mixed" or "clean".
        folds: Whom to take of `data`, of folds 0 to 3; None: fold 3 for a fuser that was trained on the other
            folds of its data, all people for fusers without training and for a pile.
        set_sizes: Of the card's thresholds: images in a probe set.
        num_sets: Of the card's thresholds: probe sets per person.
        sizes: Numbers of images, ascending from 1, that the calibration sees.
        num_people: Most people that are taken of each data.
        num_poor: Of how many of them degraded sets are made as well.
        related_by: Text in the names of people; those whose names agree up to it are related and never
            compared, as "_MID" for F0001_MID1 and F0001_MID2.
        related: Pairs of names of people who are related as well, or one person under two names; or of families
            as `related_by` cuts them.
        medium_by: Text in the names of files; images of a person that agree up to it are of one medium, as
            "__" for FILM__12.jpg, and two sets of one medium are never compared.
        leave_out: Names of people who are not taken, as of mislabelled folders.
        keep_card: Whether the thresholds in the card of a fuser folder stay as they are.
        with_usability: Whether what can be expected of templates is measured too, which `fuse` then says: on the
            same people of `data`, who must be at least 60 with three images or more. It is kept beside the
            calibration: as `usability.json` in the fuser's folder, or as NAME.usability.json for NAME.json.
        cache: Folder that keeps embeddings; None keeps none.
        preprocessing: How images go into an embedder that is not known ("arcface").
        norm_output: Output of it that holds the length of an embedding that it normalises; "" for none.
        device: "cpu" or "cuda".
        num_threads: Threads to use; None for one per core.
        force: Whether thresholds and calibrations that are there may be replaced.
        trust_alignment: Whether the images are taken for aligned crops without a look at them.
        on_embed: Called with (images embedded, in all), for each data anew.

    Raises:
        ConfigError: If `fuser` has no folder and no `output` is given, names one of the package, whose
            folder is not changed, the images are not aligned crops, or many people are given twice.
        MissingFileError, FileFormatError: If `fuser` is no fuser folder.
        OutputExistsError: If there are thresholds or a calibration and `force` is False.
        EmbedderMismatchError: If it was made for another embedder.
        MissingNormsError: If it needs lengths, and the embedder gives embeddings of length 1.
        EmptySetError: If the people leave nothing to compare, or are fewer than 50 where no card is filled.
        InvalidInputError: If no rate of the card can be resolved; the card is kept.
    """
    from probefusion.evaluation.calibration_sets import read_faces
    from probefusion.evaluation.scoring import check_fusers
    from probefusion.protocols import DegradedFolderProtocol

    kinship = Kinship(related_by=related_by, related=tuple(related))
    network = open_embedder(
        embedder,
        preprocessing=preprocessing,
        norm_output=norm_output,
        num_threads=num_threads,
        device=device,
    )
    opened, folder = _open(
        fuser, output, network.fingerprint, num_threads=num_threads, device=device
    )
    fills_card = folder is not None and not keep_card
    if folder is not None and fills_card:
        _check_card(opened, folder, force=force)
    path = Path(output) if folder is None else folder / CALIBRATION_NAME  # type: ignore[arg-type]
    check_output(path, force=force)
    people = read_faces(data)
    is_pile = max(map(len, people.images.values())) == 1
    if folds is None:
        was_trained = getattr(opened, "card", None) is not None
        folds = (3,) if was_trained and not is_pile else (0, 1, 2, 3)
    protocol: DegradedFolderProtocol | None = None
    if fills_card:
        protocol = DegradedFolderProtocol(
            people=people,
            folds=tuple(folds),
            mix=mix,
            set_sizes=tuple(set_sizes),
            num_sets=num_sets,
        )
        check_measurable(protocol)
    if opened.embedder not in (None, network.fingerprint):
        raise EmbedderMismatchError(
            f"--embedder: fuser {opened.name!r} was trained for {opened.embedder}, got "
            f"{network.fingerprint}. Calibrate with that model: --embedder "
            f"{name_to_load(opened.embedder)} (its name or its file)"
        )
    populations = [people, *(read_faces(other) for other in also)]
    for given in populations:
        check_people_aligned(given, network, is_trusted=trust_alignment)
    check_fusers([opened], network.fingerprint, norms_known=network.norms_known)
    thresholds: tuple[Threshold, ...] = ()
    unresolved: tuple[tuple[int, float, int], ...] = ()
    if protocol is not None and folder is not None:
        thresholds, unresolved = _fill_card(
            opened, folder, protocol, network, set_sizes, cache, on_embed
        )
    warnings = list(_warnings(opened, folds))
    record = None
    why = check_num_people(
        populations, folds, num_people, kinship, leave_out, is_needed=not fills_card
    )
    if why is None:
        record = measure(
            opened,
            network,
            populations,
            folds=folds,
            sizes=sizes,
            num_people=num_people,
            num_poor=num_poor,
            kinship=kinship,
            medium_by=medium_by,
            leave_out=leave_out,
            cache=cache,
            num_threads=num_threads,
            progress=on_embed,
        )
        write_calibration(record, path, force=force)
    else:
        warnings.append(why)
    usability: UsabilityRecord | str = "not wanted"
    kept_as = usability_beside(path)
    if with_usability:
        usability = _usability(
            opened,
            network,
            people,
            kept_as,
            folds,
            force=force,
            num_people=num_people,
            kinship=kinship,
            leave_out=leave_out,
            cache=cache,
            num_threads=num_threads,
            progress=on_embed,
        )
    why_not = usability if isinstance(usability, str) else None
    return Calibration(
        usability=None if isinstance(usability, str) else usability,
        usability_path=None if isinstance(usability, str) else kept_as,
        why_no_usability=why_not,
        thresholds=thresholds,
        unresolved=unresolved,
        skipped=tuple(image for given in populations for image in given.skipped),
        warnings=tuple(warnings),
        record=record,
        path=None if record is None else path,
    )


def _open(
    fuser: StrPath | Fuser,
    output: StrPath | None,
    embedder: str,
    *,
    num_threads: int | None,
    device: str,
) -> tuple[Fuser, Path | None]:
    """The fuser, and its folder if the calibration goes there."""
    from probefusion.fusion import Fuser as AnyFuser
    from probefusion.fusion.learned import open_fuser
    from probefusion.zoo import load_fuser
    from probefusion.zoo.fusers import POOLING_NAMES, trained_fusers

    if output is not None:
        opened = load_fuser(fuser, num_threads=num_threads, embedder=embedder, device=device)
        return opened, None
    name = fuser.name if isinstance(fuser, AnyFuser) else os.fspath(fuser)
    if isinstance(fuser, AnyFuser) or (name in POOLING_NAMES and not Path(name).is_dir()):
        raise ConfigError(
            f"fuser {name!r}: has no folder to keep a calibration in. Name a file for it: -o calibration.json "
            f"(output=...); compare takes it by --calibration calibration.json"
        )
    if not Path(name).is_dir() and (folder := trained_fusers().get(name)) is not None:
        raise ConfigError(
            f"fuser {name!r}: expected a fuser folder of your own, got the name of {folder}, which is not "
            f"changed. Copy it and calibrate the copy: cp -r {folder} my_fuser; or name a file: -o "
            f"calibration.json (output=...)"
        )
    return open_fuser(fuser, num_threads=num_threads, device=device), Path(fuser)


def _usability(
    fuser: Fuser,
    network: Embedder,
    people: People,
    path: Path,
    folds: Sequence[int],
    *,
    force: bool,
    num_people: int,
    leave_out: Sequence[str],
    **settings: Any,
) -> UsabilityRecord | str:
    """Measures and stores what can be expected of templates; or says why not."""
    from probefusion.pipeline.calibrate_usability import fit_usability_to, why_no_usability
    from probefusion.screening.usability_record import write_usability

    if path.exists() and not force:
        return f"{in_one_line(path)} stays as it is; use --force (force=True) to measure it anew"
    why = why_no_usability(people, folds, num_people=num_people, leave_out=leave_out)
    if why is not None:
        return why
    found = fit_usability_to(
        fuser, network, people, folds, num_people=num_people, leave_out=leave_out, **settings
    )
    if not isinstance(found, str):
        write_usability(found, path, force=force)
    return found


def _fill_card(
    opened: Fuser,
    folder: Path,
    protocol: DegradedFolderProtocol,
    network: Embedder,
    set_sizes: Sequence[int],
    cache: StrPath | None,
    on_embed: Callable[[int, int], None] | None,
) -> tuple[tuple[Threshold, ...], tuple[tuple[int, float, int], ...]]:
    """Measures and stores the card's thresholds; also gives the rates that could not be resolved."""
    from probefusion.evaluation.sweep import calibrate as measure_card
    from probefusion.fusion.folder import with_thresholds

    embedded = embed_folder(protocol, network, max(set_sizes), cache, on_embed)
    thresholds = measure_card(
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
    with_thresholds(folder, thresholds)
    kept = {(found.num_images, found.false_match_rate) for found in thresholds}
    open_rates = tuple(
        (size, rate, num_non_mated)
        for size in set_sizes
        for rate in FALSE_MATCH_RATES
        if (size, rate) not in kept
    )
    return thresholds, open_rates


def _check_card(fuser: Fuser, folder: StrPath, *, force: bool) -> None:
    card = getattr(fuser, "card", None)
    if card is not None and card.thresholds and not force:
        raise OutputExistsError(
            f"{os.fspath(folder)}: carries {len(card.thresholds)} thresholds. Use --force "
            f"(force=True) to replace them, or --keep-card (keep_card=True) to add a calibration."
        )


def _warnings(fuser: Fuser, folds: Sequence[int]) -> tuple[str, ...]:
    card = getattr(fuser, "card", None)
    seen = set(folds) & set(() if card is None else card.training.get("train_folds", ()))
    if not seen:
        return ()
    return (
        f"the fuser was trained on folds {sorted(seen)} of its own data; if these are the same people, "
        f"the thresholds will be too low",
    )
