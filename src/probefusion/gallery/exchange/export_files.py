"""Files of exports: Parquet, `.npz`, or a folder with a folder for each person; plain, for the owner alone."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import ConfigError, FileFormatError, IntegrityError, OutputExistsError
from probefusion.extras import import_extra
from probefusion.files import (
    DRAFT_PREFIX,
    check_existing,
    check_output,
    read_npz,
    replace_folder,
    write_npz,
)
from probefusion.files.content_hash import content_hash
from probefusion.files.hashed_json import check_json_hash, hashed_json
from probefusion.files.parquet import list_matrix, metadata_text, read_parquet_table
from probefusion.files.reading import read_bytes, reading
from probefusion.files.texts import text_array
from probefusion.gallery.exchange.export_table import ExportTable

__all__ = [
    "check_export_path",
    "read_parquet",
    "read_table",
    "table_hash",
    "write_parquet",
    "write_table",
]

_KIND = "gallery_export"
_MANIFEST = "gallery.json"
_MOST_BYTES = 1 << 30
_ROWS_AT_ONCE = 4096
_STEP = "Export the gallery again."
_PARQUET = {
    "embeddings": "embedding",
    "style": "style",
    "sources": "source",
    "media_ids": "media_id",
    "quality": "quality",
    "detector_scores": "detector_score",
    "subject_ids": "subject_id",
    "template_ids": "template_id",
    "left_out": "left_out",
    "chips": "chip",
}
_OPTIONAL = frozenset({"style", "quality", "detector_scores", "chips"})
_NEEDED = frozenset(_PARQUET) - _OPTIONAL
_PLAIN_NAME = re.compile(r"[^\W_][\w -]{0,60}(?<! )")
Columns = dict[str, npt.NDArray[Any]]


def check_export_path(path: str | os.PathLike[str], *, force: bool) -> Path:
    """Where an export may be written: FILE.parquet, FILE.npz, or a name without ending for a folder.

    Raises:
        ConfigError: If the ending is another.
        OutputExistsError: If it exists and `force` is False, or is a folder that is no export.
    """
    found = Path(path)
    if found.suffix.lower() not in (".parquet", ".npz", ""):
        raise ConfigError(
            f"output {found.name!r}: expected NAME.parquet, NAME.npz, or a name without ending for a folder with a "
            f"folder for each person."
        )
    checked = check_output(found, force=force)
    is_folder = found.suffix == ""
    if checked.is_dir() and not (is_folder and (checked / _MANIFEST).is_file()):
        raise OutputExistsError(
            f"output {str(path)!r} is a folder that is no export of a gallery; it is not replaced. Name another."
        )
    if is_folder and checked.is_file():
        raise OutputExistsError(f"output {str(path)!r} is a file, expected a folder. Name another.")
    return checked


def write_table(table: ExportTable, path: str | os.PathLike[str], *, force: bool = False) -> None:
    """Writes an export whole or not at all, readable by the owner alone (0600, folders 0700).

    Args:
        table: What to write.
        path: See `check_export_path`.
        force: Whether an export that is there may be replaced.

    Raises:
        ConfigError, OutputExistsError: As for `check_export_path`.
        MissingExtraError: If it is Parquet and pyarrow is not installed.
    """
    target = check_export_path(path, force=force)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=target.parent))  # 0700
    try:
        if target.suffix == "":
            _write_folder(table, draft / "export")
            replace_folder(draft / "export", target)
            return
        file = draft / f"export{target.suffix.lower()}"
        write = write_parquet if file.suffix == ".parquet" else _write_npz
        write(table, file)
        file.chmod(0o600)
        check_export_path(path, force=force)
        file.replace(target)
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def read_table(path: str | os.PathLike[str]) -> ExportTable:
    """Reads what `write_table` wrote.

    Raises:
        MissingFileError: If it is not there.
        FileFormatError: If it is no export.
        IntegrityError: If it is not what was written.
        MissingExtraError: If it is Parquet and pyarrow is not installed.
    """
    found = check_existing(Path(path), name="export")
    if found.is_dir():
        return _read_folder(found)
    readers: dict[str, Callable[[Path], ExportTable]] = {
        ".parquet": read_parquet,
        ".npz": _read_npz,
    }
    reader = readers.get(found.suffix.lower())
    if reader is None:
        raise FileFormatError(
            f"{found.name}: expected NAME.parquet, NAME.npz or a folder that gallery export wrote, got ending "
            f"{found.suffix!r}."
        )
    return reader(found)


def _write_npz(table: ExportTable, file: Path) -> None:
    arrays = {**table.columns, "gallery": json.dumps(table.facts)}
    write_npz(file, kind=_KIND, version=1, arrays=arrays)


def _read_npz(file: Path) -> ExportTable:
    arrays = read_npz(
        file,
        kind=_KIND,
        version=1,
        required=_NEEDED | {"gallery"},
        optional=_OPTIONAL - {"chips"},
    )
    facts = _facts(str(arrays["gallery"]), file.name)
    return ExportTable(facts=facts, columns={n: arrays[n] for n in _PARQUET if n in arrays})


def _facts(text: str, origin: str) -> dict[str, Any]:
    with reading(origin, "an export of a gallery", step=_STEP):
        facts = json.loads(text)
    if not isinstance(facts, dict):
        raise FileFormatError(f"{origin}: expected an export of a gallery, got another text.")
    return facts


def table_hash(table: ExportTable) -> str:
    """SHA-256 of what a table holds."""
    return _hash(table.columns, json.dumps(table.facts))


def _hash(columns: Columns, text: str) -> str:
    texts = {
        name: json.dumps([_as_hashed(value) for value in column.tolist()])
        for name, column in columns.items()
        if column.dtype.kind in "UO"
    }
    return content_hash({**columns, **texts, "gallery": text})


def _as_hashed(value: Any) -> Any:
    return hashlib.sha256(value).hexdigest() if isinstance(value, bytes) else value


def write_parquet(table: ExportTable, file: Path) -> None:
    """Writes a table as one Parquet file that `read_parquet` and `probefusion.archives.open_archive` read.

    Raises:
        MissingExtraError: If pyarrow is not installed.
    """
    arrow = import_extra("pyarrow", extra="data", purpose="writing Parquet files")
    parquet = import_extra("pyarrow.parquet", extra="data", purpose="writing Parquet files")
    text = json.dumps(table.facts)
    metadata = {"gallery": text, "gallery_sha256": _hash(table.columns, text)}
    if table.facts.get("embedder") is not None:
        metadata["embedder"] = table.facts["embedder"]
    fields = []
    for name, column in table.columns.items():
        kind: Any = {
            "U": arrow.string(),
            "b": arrow.bool_(),
            "O": arrow.binary(),
        }.get(column.dtype.kind, arrow.float32())
        fields.append(
            (_PARQUET[name], arrow.list_(kind, column.shape[1]) if column.ndim == 2 else kind)
        )
    schema = arrow.schema(fields, metadata=metadata)
    count = len(table.columns["embeddings"])
    with file.open("wb") as stream, parquet.ParquetWriter(stream, schema) as writer:
        for start in range(0, count, _ROWS_AT_ONCE):
            parts = []
            for column in table.columns.values():
                rows = column[start : start + _ROWS_AT_ONCE]
                if rows.ndim == 2:
                    flat = arrow.array(np.ascontiguousarray(rows).reshape(-1))
                    parts.append(arrow.FixedSizeListArray.from_arrays(flat, rows.shape[1]))
                elif rows.dtype.kind == "U":
                    parts.append(arrow.array(rows.tolist(), arrow.string()))
                elif rows.dtype.kind == "O":
                    parts.append(arrow.array(rows.tolist(), arrow.binary()))
                else:  # NaN, where there is no such number, becomes null
                    parts.append(arrow.array(rows, from_pandas=True))
            writer.write_batch(arrow.record_batch(parts, schema=schema))


def read_parquet(file: Path) -> ExportTable:
    """Reads what `write_parquet` wrote.

    Raises:
        MissingFileError, FileFormatError, IntegrityError, MissingExtraError: As for `read_table`.
    """
    table = read_parquet_table(file)
    text = metadata_text(table.schema, "gallery")
    names = set(table.column_names)
    missing = sorted(_PARQUET[name] for name in _NEEDED if _PARQUET[name] not in names)
    if text is None or missing:
        raise FileFormatError(
            f"{file.name}: expected an export of a gallery (probefusion gallery export), got another Parquet file. "
            f"Embeddings are enrolled: probefusion enroll."
        )
    facts = _facts(text, file.name)
    columns: Columns = {}
    for name, column in _PARQUET.items():
        if column not in names:
            continue
        values = table.column(column)
        if name in ("embeddings", "style"):
            width = table.schema.field(column).type.list_size
            empty = np.zeros((0, width), np.float32)
            columns[name] = (
                list_matrix(values.combine_chunks(), column, file.name) if len(values) else empty
            )
        elif name in ("quality", "detector_scores"):
            columns[name] = values.to_numpy().astype(np.float32)
        elif name == "left_out":
            columns[name] = np.array(values.to_pylist(), bool)
        elif name == "chips":
            columns[name] = np.empty(len(values), object)
            columns[name][:] = values.to_pylist()
        else:
            columns[name] = text_array(
                [str(text) for text in values.to_pylist()], f"column {column!r}", file.name
            )
    if metadata_text(table.schema, "gallery_sha256") != _hash(columns, text):
        raise IntegrityError(
            f"{file.name}: it is not what was written (another SHA-256). It was changed or damaged. {_STEP}"
        )
    return ExportTable(facts=facts, columns=columns)


def _write_folder(table: ExportTable, folder: Path) -> None:
    """`gallery.json`, and for each person a folder with a table of the same columns."""
    folder.mkdir(mode=0o700)
    people, start, used = [], 0, {_MANIFEST}
    for person in table.facts["people"]:
        name = person["name"] if _PLAIN_NAME.fullmatch(person["name"]) else person["id"]
        name = person["id"] if name.casefold() in used else name
        used.add(name.casefold())
        count = sum(part["num_images"] for part in person["contributions"] if "state" not in part)
        own = {key: column[start : start + count] for key, column in table.columns.items()}
        start += count
        (folder / name).mkdir(mode=0o700)
        file = folder / name / "images.npz"
        write_npz(file, kind=_KIND, version=1, arrays={**own, "gallery": json.dumps(person)})
        file.chmod(0o600)
        people.append(name)
    manifest = folder / _MANIFEST
    manifest.write_bytes(hashed_json({**table.facts, "people": people}, indent=2))
    manifest.chmod(0o600)


def _read_folder(folder: Path) -> ExportTable:
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        raise FileFormatError(
            f"{folder.name}: expected a folder that gallery export wrote, with {_MANIFEST}; it is not there. Folders "
            f"of images or embeddings are enrolled: probefusion enroll."
        )
    plain = _facts(
        read_bytes(manifest, at_most=_MOST_BYTES).decode(errors="replace"), str(manifest)
    )
    facts = check_json_hash(plain, where=str(manifest), step=_STEP, is_needed=True)
    names = facts.get("people")
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise FileFormatError(f"{manifest}: people: expected names of folders. {_STEP}")
    tables = []
    for name in names:
        if Path(name).name != name or name in ("", ".", ".."):
            raise FileFormatError(
                f"{manifest}: people: {name!r} is no name of a folder in it. {_STEP}"
            )
        tables.append(_read_npz(folder / name / "images.npz"))
    width = max((t.columns["style"].shape[1] for t in tables if "style" in t.columns), default=0)
    columns: Columns = {}
    for key in _PARQUET:
        if key in _OPTIONAL and not any(key in table.columns for table in tables):
            continue
        parts = [
            table.columns[key] if key in table.columns else _filler(key, table, width)
            for table in tables
            if len(table.columns["embeddings"])
        ]
        columns[key] = np.concatenate(parts) if parts else np.zeros(0)
    return ExportTable(facts={**facts, "people": [t.facts for t in tables]}, columns=columns)


def _filler(key: str, table: ExportTable, width: int) -> npt.NDArray[Any]:
    """What stands for a column that a person's table lacks and another's has."""
    count = len(table.columns["embeddings"])
    if key == "style":
        return np.zeros((count, width), np.float32)
    return np.full(count, np.nan, np.float32)
