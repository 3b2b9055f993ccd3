"""Where what was measured about the usability of templates is kept, and the judging of a state by it."""

from __future__ import annotations

import functools
import logging
import stat
from dataclasses import replace
from pathlib import Path

from probefusion.errors import (
    EmbedderMismatchError,
    FuserMismatchError,
    ProbeFusionError,
    ShapeError,
)
from probefusion.files import bundled_folder
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser
from probefusion.fusion.calibration import CALIBRATION_NAME
from probefusion.fusion.folder import CARD_NAME
from probefusion.fusion.learned import LearnedFuser
from probefusion.screening.usability import Usability, judge_state
from probefusion.screening.usability_record import RECORD_NAME, UsabilityRecord, read_usability
from probefusion.types.fusion_state import FusionState
from probefusion.types.revisions import remedy
from probefusion.types.template import Template

__all__ = [
    "find_usability",
    "finish_judged",
    "judge_template",
    "judge_usability",
    "usability_beside",
    "usability_or_why",
    "usability_path",
]

_log = logging.getLogger("probefusion")

_FOLDER = "usability"


def usability_path(fuser: Fuser, embedder: str) -> Path:
    """Where the record of a fuser and an embedder belongs.

    Beside the card of a trained fuser; for others in the package, by their names and the embedder's fingerprint.

    Args:
        fuser: The fuser.
        embedder: Fingerprint of the embedder.
    """
    if isinstance(fuser, LearnedFuser):
        return fuser.folder / RECORD_NAME
    return bundled_folder() / _FOLDER / f"{fuser.name}.{embedder.replace('@', '-')}.json"


def usability_beside(calibration: Path) -> Path:
    """Where the record of a calibration belongs that is kept in a file.

    Example:
        >>> usability_beside(Path("mean.json")).name
        'mean.usability.json'
    """
    if calibration.name == CALIBRATION_NAME and (calibration.parent / CARD_NAME).is_file():
        return calibration.parent / RECORD_NAME
    return calibration.with_name(f"{calibration.stem}.{RECORD_NAME}")


def find_usability(
    fuser: Fuser, embedder: str | None, *, calibration: Path | None = None
) -> UsabilityRecord | None:
    """What was measured for a fuser and an embedder, or None if there is nothing.

    Args:
        fuser: The fuser.
        embedder: Fingerprint of the embedder, or None if nobody said.
        calibration: File of a calibration; what was measured with it and stands beside it comes first.

    Raises:
        FileFormatError, IntegrityError: If there is a damaged file.
        FuserMismatchError, EmbedderMismatchError: If the file in a fuser's folder is of another fuser or embedder.
    """
    if embedder is None:
        return None
    beside = None if calibration is None else _record(usability_beside(calibration))
    if beside is not None and (beside.fuser, beside.embedder) == (fuser.fingerprint, embedder):
        return beside
    path = usability_path(fuser, embedder)
    if not isinstance(fuser, LearnedFuser):
        by_name = bundled_folder() / _FOLDER / f"{fuser.name}.{embedder.partition('@')[0]}.json"
        for place in (path, by_name):  # the second holds those of the embedders of today
            record = _record(place)
            wanted = (fuser.fingerprint, embedder)
            if record is not None and (record.fuser, record.embedder) == wanted:
                return record
        return None  # or another model of the same name
    record = _record(path)
    if record is None:
        return None
    if record.fuser != fuser.fingerprint:
        raise FuserMismatchError(
            f"{in_one_line(path)}: expected what was measured for {fuser.fingerprint}, got that for "
            f"{record.fuser}. Copy the fuser folder again."
        )
    if record.embedder != embedder:
        raise EmbedderMismatchError(
            f"{in_one_line(path)}: was measured with {record.embedder}, the images are of {embedder}. "
            f"{remedy(embedder, record.embedder, 'Name the embedder that made them.')}"
        )
    return record


def usability_or_why(
    fuser: Fuser, embedder: str | None, *, calibration: Path | None = None
) -> tuple[UsabilityRecord | None, str]:
    """What was measured for a fuser and an embedder, or None and why nothing is known, in words.

    An estimate stands beside a template and changes nothing of it. So a damaged record, or one of another fuser, costs
    nobody a template, a search, or the hours that a video or an archive took: then usability is not known. Nor is it
    passed over: the reason names the file, and a warning in the log says so once.

    Args:
        fuser: As for `find_usability`.
        embedder: As for `find_usability`.
        calibration: As for `find_usability`.
    """
    if embedder is None:
        return None, "nobody said which embedder made the embeddings"
    try:
        record = find_usability(fuser, embedder, calibration=calibration)
    except ProbeFusionError as error:
        _tell(str(error))
        return None, str(error)
    if record is None:
        return None, (
            f"it was not measured for the fuser {fuser.name} with {embedder} (probefusion calibrate measures it)"
        )
    return record, ""


@functools.lru_cache(maxsize=64)
def _tell(why: str) -> None:
    """Says once of a record that it cannot be used."""
    _log.warning("usability is not known: %s", why)


def _record(path: Path) -> UsabilityRecord | None:
    """The record in a file, or None if there is no such file; raises as `read_usability`."""
    try:
        found = path.stat()
    except (OSError, ValueError):  # ValueError: an embedder whose name no file can have
        return None
    if not stat.S_ISREG(found.st_mode):
        return None
    return _record_of(path, (found.st_ino, found.st_mtime_ns, found.st_ctime_ns, found.st_size))


@functools.lru_cache(maxsize=64)
def _record_of(path: Path, version: tuple[int, ...]) -> UsabilityRecord:
    """The record in a file, read once for each version of the file (inode, times, size)."""
    del version
    return read_usability(path)


def judge_usability(
    fuser: Fuser, state: FusionState | None, *, calibration: Path | None = None
) -> Usability:
    """What can be expected of the template of a state; says why where nothing is known.

    Args:
        fuser: The fuser that made it.
        state: The state, or None for a fuser that keeps none.
        calibration: As for `find_usability`. A record that cannot be used is no error, see `usability_or_why`.

    Raises:
        EmptySetError: If the state holds no images.
    """
    if state is None:
        return Usability.unknown(f"the fuser {fuser.name} keeps no state to judge")
    record, why = usability_or_why(fuser, state.embedder, calibration=calibration)
    if record is None:
        return Usability.unknown(why)
    try:
        return judge_state(state, record)
    except ShapeError as error:  # a record whose numbers are not those of its fuser
        path = usability_path(fuser, record.embedder)
        if calibration is not None and _record(usability_beside(calibration)) is record:
            path = usability_beside(calibration)
        why = f"{in_one_line(path)}: {error} Copy it again, or measure it: probefusion calibrate."
        _tell(why)
        return Usability.unknown(why)


def finish_judged(fuser: Fuser, state: FusionState, *, calibration: Path | None = None) -> Template:
    """The template of a state, with what can be expected of it.

    Args:
        fuser: The fuser that made it.
        state: The state.
        calibration: As for `judge_usability`.

    Raises:
        ProbeFusionError: As for `Fuser.finish`.
    """
    usability = judge_usability(fuser, state, calibration=calibration)
    return replace(fuser.finish(state), usability=usability)


def judge_template(template: Template) -> Usability:
    """What can be expected of a template without its state: what was estimated when it was finished.

    Args:
        template: The template; without an estimate nothing is known.
    """
    if template.usability is not None:
        return template.usability
    return Usability.unknown("its template came without an estimate")
