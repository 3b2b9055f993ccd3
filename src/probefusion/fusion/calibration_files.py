"""A calibration on disk: one JSON file with its own hash.

It lies beside the card of a trained fuser as `calibration.json`, or wherever `probefusion calibrate -o FILE` wrote it.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path

from probefusion.files import replace_file
from probefusion.files.hashed_json import hashed_json
from probefusion.files.records import read_record
from probefusion.fusion.calibration import FORMAT_VERSION, LOOKS, CalibrationRecord
from probefusion.fusion.calibration_checks import check_calibration

__all__ = ["read_calibration", "write_calibration"]

_STEP = "Calibrate again: probefusion calibrate FUSER --data DIR -o FILE"


def write_calibration(record: CalibrationRecord, path: str | Path, *, force: bool = False) -> None:
    """Writes a calibration, atomically and with its hash.

    Raises:
        OutputExistsError: If there is one and `force` is False.
    """
    with replace_file(path, force=force) as stream:
        stream.write(hashed_json(asdict(record)))


def read_calibration(path: str | Path) -> CalibrationRecord:
    """Reads what `write_calibration` wrote.

    Raises:
        MissingFileError: If there is no such file.
        FileFormatError: If it is no calibration, or one that cannot be, as `check_calibration` says.
        ConfigError: If the sizes of the model do not fit.
        IntegrityError: If it is not what was written.
    """
    record = read_record(
        Path(path), CalibrationRecord, newest=FORMAT_VERSION, hashed_from=1, step=_STEP
    )
    check_calibration(record, LOOKS, where=str(path), step=f"{_STEP}.")
    return record
