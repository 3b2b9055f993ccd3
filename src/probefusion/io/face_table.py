"""Tables of the faces in the originals: CSV with a row per image.

    file               path of the image below the data folder, PERSON/IMAGE or PERSON/MEDIUM/IMAGE
    face_px            width of the face in the original, in pixels; empty where it is not known
    detector_score     how sure the detector was; not used
    yaw                how far the face is turned; not used

Case does not matter. Any other column is refused, unless it is named as one to ignore: a width under
another name must not be passed over.
"""

from __future__ import annotations

import difflib
import hashlib
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, UnknownNameError
from probefusion.files.reading import in_one_line, reading
from probefusion.io.tables import csv_rows, is_number

__all__ = ["FaceTable", "read_face_table"]

_KNOWN = ("file", "face_px", "detector_score", "yaw")


@dataclass(frozen=True, kw_only=True, eq=False)
class FaceTable:
    """Widths of faces by file.

    Args:
        files: F different paths, as the table spells them.
        face_px: (F,) float64 widths in pixels, NaN where one is not known.
        sha256: Of the table's bytes.
        origin: The file's name.
    """

    files: tuple[str, ...]
    face_px: npt.NDArray[np.float64]
    sha256: str
    origin: str


def read_face_table(content: bytes, *, origin: str, ignore: Iterable[str] = ()) -> FaceTable:
    """Reads a table of faces; the first row holds the names of the columns.

    Args:
        content: Bytes of the CSV file.
        origin: Its name, for messages.
        ignore: Columns that are passed over.

    Raises:
        FileFormatError: If it is no UTF-8 CSV, lacks `file` or `face_px`, has an unknown column, a row of
            another length, a file twice, or a field that is not what its column says; names the line.
        UnknownNameError: If there is no column of a name that is to be ignored.
    """
    with reading(origin, "UTF-8 text"):
        text = content.decode("utf-8-sig")
    rows = list(csv_rows(text, origin))
    places = _columns(rows[0][1] if rows else [], origin, ignore)
    files: dict[str, float] = {}
    for line, fields in rows[1:]:
        if len(fields) != len(rows[0][1]):
            raise FileFormatError(
                f"{in_one_line(origin)}, line {line}: expected {len(rows[0][1])} columns, got {len(fields)}."
            )
        name = fields[places["file"]].strip()
        if not name or name in files:
            found = f"{name!r} a second time" if name else "none"
            raise FileFormatError(
                f"{in_one_line(origin)}, line {line}: expected a file that has no row yet, got {found}."
            )
        numbers = {
            column: _number(fields[place], column, origin, line)
            for column, place in places.items()
            if column != "file"
        }
        files[name] = numbers["face_px"]
    return FaceTable(
        files=tuple(files),
        face_px=np.array(list(files.values()), dtype=np.float64),
        sha256=hashlib.sha256(content).hexdigest(),
        origin=origin,
    )


def _columns(names: Sequence[str], origin: str, ignore: Iterable[str]) -> dict[str, int]:
    plain = [name.strip().lower() for name in names]
    ignored = {name.strip().lower() for name in ignore}
    for name in ignored:
        if name not in plain:
            raise UnknownNameError("column to ignore", name, plain)
    wanted = [name for name in plain if name not in ignored]
    twice = next((name for name in wanted if wanted.count(name) > 1), None)
    unknown = [name for name in wanted if name not in _KNOWN]
    missing = [name for name in _KNOWN[:2] if name not in wanted]
    if not (unknown or missing or twice):
        return {name: place for place, name in enumerate(plain) if name not in ignored}
    problem = f"{missing[0]!r} is missing" if missing else f"{twice!r} comes twice"
    step = ""
    if unknown:
        close = difflib.get_close_matches(unknown[0], _KNOWN, n=1)
        hint = f" (did you mean {close[0]!r}?)" if close else ""
        problem = f"{', '.join(map(repr, unknown[:8]))} is unknown{hint}"
        step = f" What is not needed can be passed over: --ignore-columns {','.join(unknown[:8])} (ignore=[...])."
    raise FileFormatError(
        f"{in_one_line(origin)}: expected a first line with the columns {', '.join(_KNOWN[:2])} and, if there, "
        f"{', '.join(_KNOWN[2:])}; {problem}.{step}"
    )


def _number(text: str, column: str, origin: str, line: int) -> float:
    text = text.strip()
    if not text:
        return math.nan
    value = float(text) if is_number(text) else math.inf
    if math.isinf(value) or (column == "face_px" and value <= 0):
        kind = "a width in pixels above 0" if column == "face_px" else "a number"
        raise FileFormatError(
            f"{in_one_line(origin)}, line {line}: expected {kind} as {column}, or nothing where it is not known, got "
            f"{text[:40]!r}."
        )
    return value
