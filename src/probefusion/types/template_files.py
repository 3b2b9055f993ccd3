"""Files of many templates, Parquet or `.npz`: the columns as they stand there.

    FILE.parquet      one row per template
        template_id   text, or integers
        num_images    integer, how many images went in
        embedding     list of D numbers, the unit vector
        state         bytes of `FusionState.to_bytes`; optional
        usability     struct of the doubles similarity, low, high, level, false_match_rate; optional, null where it
                      is not known, low and high also for what is no face
        file metadata: fuser, embedder (fingerprints; each optional), probefusion.sha256 (of the columns;
                      files made by hand and by releases up to 0.1 have none)
    FILE.npz          kind "templates", format_version 1; 2 with usability
        template_ids  (T,) text, or integers
        num_images    (T,) integers
        embeddings    (T, D)
        mass (T, M), sums (T, M, D'), style_sums (T, M, S)   float64, the states; optional, all three
        fuser, embedder   text; each optional
        usability     (T, 5) float64, NaN where it is not known; optional

`fuse_archive` writes ids of the type that the archive has; a `TemplateSet` holds and writes text. Both
files have room for either, so that an archive's integers stay integers for other readers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    DtypeError,
    FileFormatError,
    IntegrityError,
    InvalidInputError,
    ShapeError,
)
from probefusion.extras import import_extra
from probefusion.files import optional_text, read_npz, replace_file, write_npz
from probefusion.files.content_hash import content_hash
from probefusion.files.parquet import label_column, list_matrix, metadata_text, read_parquet_table
from probefusion.files.reading import in_one_line
from probefusion.types.fusion_state import FusionState
from probefusion.types.usability import NUMBERS

__all__ = [
    "TemplateColumns",
    "check_template_path",
    "read_template_file",
    "write_template_file",
]

_ROWS_AT_ONCE = 8192
_REQUIRED = ("template_id", "num_images", "embedding")
_NPZ_REQUIRED = frozenset({"template_ids", "num_images", "embeddings"})
_HASH_KEY = "probefusion.sha256"
_STATE_ARRAYS = ("mass", "sums", "style_sums")


@dataclass(frozen=True, kw_only=True, eq=False)
class TemplateColumns:
    """What a file of templates holds. Nothing is checked here; `TemplateSet` does.

    Args:
        ids: (T,) integers or text.
        num_images: (T,) integers.
        vectors: (T, D) floating point; may be mapped from a file, then it is written in parts.
        fuser: Fingerprint of the fuser, or None when unknown.
        embedder: Fingerprint of the embedder, or None when unknown.
        states: T states, or None.
        usability: (T, 5) float64, as `probefusion.types.usability.NUMBERS` says, or None.
    """

    ids: npt.NDArray[Any]
    num_images: npt.NDArray[Any]
    vectors: npt.NDArray[Any]
    fuser: str | None
    embedder: str | None
    states: Sequence[FusionState] | None = None
    usability: npt.NDArray[Any] | None = None


def check_template_path(path: str | Path) -> Path:
    """Refuses a file name that no templates can be written to or read from.

    Raises:
        FileFormatError: If the ending is neither .parquet nor .npz.
        MissingExtraError: If pyarrow is needed and not installed.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in (".parquet", ".npz"):
        raise FileFormatError(
            f"templates {path.name!r}: expected the ending .parquet or .npz, got {path.suffix!r}."
        )
    if suffix == ".parquet":
        import_extra("pyarrow.parquet", extra="data", purpose="reading or writing Parquet files")
    return path


def write_template_file(path: str | Path, columns: TemplateColumns, *, force: bool = False) -> None:
    """Writes templates, atomically, some thousand rows at a time.

    Raises:
        FileFormatError, MissingExtraError: As for `check_template_path`.
        OutputExistsError: If the file exists and `force` is False.
    """
    path = check_template_path(path)
    write = _write_npz if path.suffix.lower() == ".npz" else _write_parquet
    write(path, columns, force)


def read_template_file(path: Path) -> TemplateColumns:
    """Reads what `write_template_file` wrote, or what was made by hand alike.

    Raises:
        FileFormatError: If it is no such file, or lacks a column, or has an unknown one.
        IntegrityError: If its content is not what was written.
        DtypeError, ShapeError: If a column is of the wrong type, or its rows differ in length.
        MissingExtraError: If pyarrow is needed and not installed.
    """
    path = check_template_path(path)
    return _read_npz(path) if path.suffix.lower() == ".npz" else _read_parquet(path)


def _write_npz(path: Path, columns: TemplateColumns, force: bool) -> None:
    states = columns.states
    arrays: dict[str, Any] = {
        "template_ids": columns.ids,
        "num_images": columns.num_images,
        "embeddings": columns.vectors,
        "fuser": columns.fuser,
        "embedder": columns.embedder,
    }
    for name in _STATE_ARRAYS if states is not None else ():
        arrays[name] = np.stack([getattr(state, name) for state in states or ()])
    if columns.usability is not None:
        arrays["usability"] = columns.usability
    version = 1 if columns.usability is None else 2
    write_npz(path, kind="templates", version=version, arrays=arrays, force=force)


def _read_npz(path: Path) -> TemplateColumns:
    arrays = read_npz(
        path,
        kind="templates",
        version=2,
        required=_NPZ_REQUIRED,
        optional=frozenset({"fuser", "embedder", "usability", *_STATE_ARRAYS}),
    )
    fuser, embedder = optional_text(arrays, "fuser"), optional_text(arrays, "embedder")
    return TemplateColumns(
        ids=arrays["template_ids"],
        num_images=arrays["num_images"],
        vectors=arrays["embeddings"],
        fuser=fuser,
        embedder=embedder,
        states=_states(path, arrays, fuser, embedder),
        usability=arrays.get("usability"),
    )


def _states(
    path: Path, arrays: dict[str, npt.NDArray[Any]], fuser: str | None, embedder: str | None
) -> list[FusionState] | None:
    found = [name for name in _STATE_ARRAYS if name in arrays]
    if not found:
        return None
    if len(found) < len(_STATE_ARRAYS) or fuser is None:
        raise FileFormatError(
            f"{path.name}: expected states as {', '.join(_STATE_ARRAYS)} and the fuser that made them, "
            f"got {', '.join(found)} and the fuser {fuser}."
        )
    columns = [arrays[name] for name in _STATE_ARRAYS]
    counts = arrays["num_images"]
    if any(array.ndim == 0 or len(array) != counts.size for array in columns):
        raise ShapeError(f"{path.name}: expected a state for each of {counts.size} templates.")
    if any(array.dtype.kind != "f" for array in columns) or counts.dtype.kind not in "iu":
        raise DtypeError(f"{path.name}: expected floating-point states and whole num_images.")
    try:
        return [
            FusionState(
                mass=mass,
                sums=sums,
                style_sums=style_sums,
                num_images=count,
                fuser=fuser,
                embedder=embedder,
            )
            for mass, sums, style_sums, count in zip(*columns, counts.ravel().tolist(), strict=True)
        ]
    except InvalidInputError as error:
        raise FileFormatError(f"{path.name}: {error}") from error


def _write_parquet(path: Path, columns: TemplateColumns, force: bool) -> None:
    arrow = import_extra("pyarrow", extra="data", purpose="writing Parquet files")
    parquet = import_extra("pyarrow.parquet", extra="data", purpose="writing Parquet files")
    dim = columns.vectors.shape[1]
    kind = arrow.uint64() if columns.ids.dtype == np.uint64 else None
    ids = arrow.array(
        columns.ids.tolist(), kind
    )  # from an array, texts would end at a zero character
    fields = [
        ("template_id", ids.type),
        ("num_images", arrow.int64()),
        ("embedding", arrow.list_(arrow.float32(), dim)),
    ]
    if columns.states is not None:
        fields.append(("state", arrow.binary()))
    if columns.usability is not None:
        numbers = arrow.struct([(name, arrow.float64()) for name in NUMBERS])
        fields.append(("usability", numbers))
    facts = {"fuser": columns.fuser, "embedder": columns.embedder}
    known = {key: value for key, value in facts.items() if value is not None}
    known[_HASH_KEY] = _parquet_hash(columns)
    schema = arrow.schema(fields, metadata=known)
    with replace_file(path, force=force) as stream, parquet.ParquetWriter(stream, schema) as writer:
        for start in range(0, len(ids), _ROWS_AT_ONCE):
            part = slice(start, start + _ROWS_AT_ONCE)
            flat = arrow.array(np.ascontiguousarray(columns.vectors[part]).reshape(-1))
            parts = [
                ids[part],
                arrow.array(columns.num_images[part]),
                arrow.FixedSizeListArray.from_arrays(flat, dim),
            ]
            if columns.states is not None:
                parts.append(arrow.array([state.to_bytes() for state in columns.states[part]]))
            if columns.usability is not None:
                rows = columns.usability[part].T
                fields_of = [arrow.array(column, mask=np.isnan(column)) for column in rows]
                parts.append(arrow.StructArray.from_arrays(fields_of, NUMBERS))
            writer.write_batch(arrow.record_batch(parts, schema=schema))


def _read_parquet(path: Path) -> TemplateColumns:
    table = read_parquet_table(path)
    names = set(table.column_names)
    missing = [name for name in _REQUIRED if name not in names]
    unknown = sorted(names - {*_REQUIRED, "state", "usability"})
    if missing or unknown:
        raise FileFormatError(
            f"{path.name}: expected the columns {', '.join(_REQUIRED)} and optionally state, usability; missing: "
            f"{', '.join(missing) or 'none'}, unknown: {', '.join(unknown) or 'none'}."
        )
    vectors = np.zeros((0, 1), np.float32)
    if table.num_rows:
        vectors = list_matrix(table.column("embedding").combine_chunks(), "embedding", path.name)
    states = None
    if "state" in names:
        states = [
            FusionState.from_bytes(data, origin=f"state {row} of {path.name}")
            for row, data in enumerate(_bytes(table.column("state"), path.name))
        ]
    columns = TemplateColumns(
        ids=label_column(table.column("template_id"), "template_id", path.name),
        num_images=label_column(table.column("num_images"), "num_images", path.name),
        vectors=vectors,
        fuser=metadata_text(table.schema, "fuser"),
        embedder=metadata_text(table.schema, "embedder"),
        states=states,
        usability=_usability_column(table, path.name) if "usability" in names else None,
    )
    found = metadata_text(table.schema, _HASH_KEY)
    if found is not None and found != _parquet_hash(columns):
        raise IntegrityError(
            f"{path.name}: its templates are not those that were written to it (another SHA-256). The "
            f"file was damaged: take a copy of it, or make it again. If you changed it on purpose, "
            f"leave out {_HASH_KEY!r} of its metadata."
        )
    return columns


def _parquet_hash(columns: TemplateColumns) -> str:
    """The hash of what a Parquet file holds."""
    names = [str(name).encode("utf-8", "surrogatepass") for name in columns.ids.tolist()]
    return content_hash(
        {
            "template_id": b"".join(names),
            "lengths": np.array([len(name) for name in names], np.int64),
            "kind": "text" if columns.ids.dtype.kind == "U" else "integer",
            "num_images": columns.num_images.astype(np.int64),
            "embedding": columns.vectors.astype(np.float32, copy=False),
            "states": "".join(_state_hash(state) for state in columns.states or ()),
            "usability": _one_nan(columns.usability),
            "fuser": columns.fuser,
            "embedder": columns.embedder,
        }
    )


def _one_nan(numbers: npt.NDArray[Any] | None) -> npt.NDArray[Any] | None:
    """The numbers with the same bits for every NaN, which Parquet holds as null."""
    return None if numbers is None else np.where(np.isnan(numbers), np.nan, numbers)


def _usability_column(table: Any, name: str) -> npt.NDArray[np.float64]:
    """The estimates as (T, 5); null becomes NaN.

    Raises:
        FileFormatError: If it is no such column.
    """
    arrow = import_extra("pyarrow", extra="data", purpose="reading Parquet files")
    column = table.column("usability")
    wanted = arrow.struct([(each, arrow.float64()) for each in NUMBERS])
    if column.type != wanted:
        raise FileFormatError(
            f"{in_one_line(name)}: usability: expected {wanted}, got {column.type}. Leave the column out."
        )
    if not table.num_rows:
        return np.zeros((0, len(NUMBERS)))
    parts = column.combine_chunks().flatten()
    return np.stack([part.to_numpy(zero_copy_only=False) for part in parts], axis=1)


def _state_hash(state: FusionState) -> str:
    return content_hash(
        {
            **{name: getattr(state, name) for name in _STATE_ARRAYS},
            "num_images": np.int64(state.num_images),
            "fuser": state.fuser,
            "embedder": state.embedder,
        }
    )


def _bytes(column: Any, origin: str) -> list[bytes]:
    values = column.to_pylist()
    if not all(isinstance(value, bytes) for value in values):
        raise FileFormatError(
            f"{in_one_line(origin)}: expected the bytes of a state in every row of 'state'."
        )
    return values  # type: ignore[no-any-return]
