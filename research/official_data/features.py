"""The official training data: precomputed features, image records and class centres, read and kept.

Official features are `train.rec` with `.idx` and `.lst`: each item holds the variants of one image as
half floats, V rows of D + 2C numbers: the raw embedding, then mean and deviation of style channel 0, of
channel 1, and so on (released: V = 16, D = 512, C = 384, thus 1,280 a row).
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    EmptySetError,
    FileFormatError,
    MissingFileError,
    OutputExistsError,
    ShapeError,
)
from probefusion.extras import import_extra
from probefusion.files import check_existing, replace_file
from probefusion.training.convert.foreign_checkpoint import read_foreign_checkpoint
from probefusion.training.store_files import StoreProgress, write_facts
from probefusion.training.variant_store import VariantStore
from probefusion.types import FloatArray
from research.official_data.record_files import ListEntry, Record, RecordFile, read_record_list

__all__ = [
    "export_store",
    "extract_images",
    "import_features",
    "read_class_centres",
]

_IMAGE_STARTS = {b"\xff\xd8\xff": ".jpg", b"\x89PNG": ".png"}
_PADDING = 4
"""Bytes that the record of the totals may hold."""
_ROWS_AT_ONCE = 4096
_FIRST_UNSURE = 1 << 24
"""From here on float32 holds every second whole number only."""

Progress = Callable[[int, int], None]


def import_features(
    folder: str | Path,
    output: str | Path,
    *,
    embedder: str,
    centres: FloatArray | None = None,
    dim: int = 512,
    num_variants: int = 16,
    progress: Progress | None = None,
) -> VariantStore:
    """Turns the official features into a variant store, from which `train` goes on.

    The files hold no clean embeddings, of which class centres are made. With the official class centres
    those stand in their place; without, the mean of each image's own variants does, which is not the
    published recipe. The store says which.

    Args:
        folder: With `train.rec`, `train.idx` and `train.lst`.
        output: Folder of the store to make.
        embedder: Fingerprint of the embedder that made the features.
        centres: (S, D) class centres in the order of the sorted people, see `read_class_centres`.
        dim: D.
        num_variants: V.
        progress: Called with the images done and in all.

    Raises:
        MissingFileError: If a file is missing.
        OutputExistsError: If the output exists.
        FileFormatError: If a record is damaged or of another size; names the byte.
        ShapeError: If the class centres do not fit the people.
    """
    folder, output = check_existing(folder, name="folder"), Path(output)
    if output.exists():
        raise OutputExistsError(f"output {str(output)!r} exists. Choose another folder.")
    entries = read_record_list(folder / "train.lst")
    if not entries:
        raise EmptySetError(f"{folder / 'train.lst'} names no image.")
    people = [
        PurePosixPath(entry.path).parent.name or f"{entry.labels[0]:.0f}" for entry in entries
    ]
    subject_ids = sorted(set(people))
    place = {name: index for index, name in enumerate(subject_ids)}
    if centres is not None and centres.shape != (len(subject_ids), dim):
        raise ShapeError(
            f"centres: expected ({len(subject_ids)}, {dim}), one row per person, got {centres.shape}."
        )
    with RecordFile(folder / "train.rec") as records:
        if not records.keys():
            raise MissingFileError(f"{folder / 'train.idx'}: the index does not exist or is empty.")
        width = _row_width(records.read(entries[0].key), num_variants, dim)
        output.mkdir(parents=True)
        shapes = {
            "embeddings.npy": ((len(entries), num_variants, dim), np.float16),
            "style.npy": ((len(entries), num_variants, (width - dim) // 2, 2), np.float16),
            "clean.npy": ((len(entries), 2, dim), np.float32),
        }
        files = {
            name: np.lib.format.open_memmap(output / name, mode="w+", dtype=dtype, shape=shape)
            for name, (shape, dtype) in shapes.items()
        }
        for index, entry in enumerate(entries):
            rows = _rows(records.read(entry.key), num_variants, width, folder / "train.rec")
            files["embeddings.npy"][index] = rows[:, :dim]
            files["style.npy"][index] = rows[:, dim:].reshape(num_variants, -1, 2)
            clean = _mean_unit(rows[:, :dim]) if centres is None else centres[place[people[index]]]
            files["clean.npy"][index] = clean
            if progress is not None:
                progress(index + 1, len(entries))
        for file in files.values():
            file.flush()
        done = StoreProgress(done=0).grown(len(entries), files)
    facts = {
        "embedder": embedder,
        "recipe": "official features",
        "content": f"clean embeddings stand for: {'variants' if centres is None else 'class centres'}",
        "seed": 0,
        "subject_ids": subject_ids,
        "subjects": [place[name] for name in people],
        "sources": [entry.path for entry in entries],
    }
    write_facts(output, facts)
    done.write(output)
    return VariantStore.open(output)


def _person(entry: ListEntry) -> str:
    """The first folder of the image's path, as in the official code; without one its label."""
    parts = PurePosixPath(entry.path).parts
    return parts[0] if len(parts) > 1 else f"{entry.labels[0]:.0f}"


def _row_width(record: Record, num_variants: int, dim: int) -> int:
    count = len(record.payload) // 2
    width = count // num_variants
    if len(record.payload) % 2 or count % num_variants or width <= dim or (width - dim) % 2:
        raise FileFormatError(
            f"train.rec, byte {record.offset}: expected {num_variants} rows of {dim} + 2C half floats, "
            f"got {len(record.payload)} bytes."
        )
    return width


def _rows(record: Record, num_variants: int, width: int, path: Path) -> npt.NDArray[np.float16]:
    if len(record.payload) != 2 * num_variants * width:
        raise FileFormatError(
            f"{path.name}, byte {record.offset}: expected {num_variants} x {width} half floats "
            f"({2 * num_variants * width} bytes), got {len(record.payload)} bytes."
        )
    rows = np.frombuffer(record.payload, "<f2").reshape(num_variants, width)
    if not np.isfinite(rows).all():
        raise FileFormatError(f"{path.name}, byte {record.offset}: holds NaN or infinity.")
    return rows.astype(np.float16)


def _mean_unit(embeddings: npt.NDArray[np.float16]) -> FloatArray:
    values = embeddings.astype(np.float64)
    units = values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12)
    mean: FloatArray = units.mean(axis=0).astype(np.float32)
    return mean


def read_class_centres(path: str | Path) -> FloatArray:
    """Reads a class-centre file: `.npy`, or the official `.pth` with the tensor `center`.

    Returns:
        (S, D) float32.

    Raises:
        MissingFileError: If it does not exist.
        IntegrityError: If it would run code.
        FileFormatError: If it is no such file.
    """
    path = check_existing(path, name="class centres")
    if path.suffix.lower() == ".npy":
        try:
            array = np.load(path, allow_pickle=False)
        except (ValueError, EOFError, OSError) as error:
            raise FileFormatError(f"{path.name}: expected one plain array ({error}).") from error
    else:
        state = read_foreign_checkpoint(path, extra=("model", "dataset")).state
        if "center" not in state:
            raise FileFormatError(
                f"{path.name}: expected a tensor 'center', got {sorted(state)[:5]}."
            )
        array = state["center"].float().numpy()
    if array.ndim != 2 or array.dtype.kind != "f" or not np.isfinite(array).all():
        raise FileFormatError(
            f"{path.name}: expected (S, D) finite numbers, got {array.dtype} {array.shape}."
        )
    centres: FloatArray = array.astype(np.float32)
    return centres


def extract_images(
    record_path: str | Path, output: str | Path, *, progress: Progress | None = None
) -> int:
    """Writes the images of InsightFace-style image records into a folder per person, byte for byte.

    Record 0 of such a file has two labels: the number after the last image, and the number after the
    last person; person records come behind the images. A file without it is taken for images only. Numbers
    of people are kept as float32, which tells whole numbers apart up to 16,777,215 only: where a file has larger ones,
    a warning says so, as two people may lie in one folder.

    Args:
        record_path: The `.rec` file.
        output: Folder to make: `LABEL/NUMBER.jpg`. Where the records are damaged it is removed again.
        progress: Called with the images done and in all.

    Returns:
        How many images were written.

    Raises:
        MissingFileError, FileFormatError: As for `RecordFile`; a record that is no JPEG or PNG image is
            an error that names its byte.
        OutputExistsError: If the output exists.
    """
    output = Path(output)
    if output.exists():
        raise OutputExistsError(f"output {str(output)!r} exists. Choose another folder.")
    try:
        return _extract(record_path, output, progress)
    except BaseException:
        shutil.rmtree(output, ignore_errors=True)
        raise


def _extract(record_path: str | Path, output: Path, progress: Progress | None) -> int:
    with RecordFile(record_path) as records:
        count, is_unsure = 0, False
        total = max(len(records.keys()) - 1, 0)
        for record in _images(records):
            suffix = next(
                (s for start, s in _IMAGE_STARTS.items() if record.payload.startswith(start)), None
            )
            if suffix is None:
                raise FileFormatError(
                    f"{records.path.name}, byte {record.offset}: expected a JPEG or PNG image, got "
                    f"{record.payload[:4]!r}."
                )
            label = record.labels[0]
            if not label.is_integer() or label < 0:
                raise FileFormatError(
                    f"{records.path.name}, byte {record.offset}: expected a person's number, got {label}."
                )
            if label >= _FIRST_UNSURE and not is_unsure:
                is_unsure = True
                warnings.warn(
                    f"{records.path.name}, byte {record.offset}: the person's number {label:.0f} was rounded when the "
                    f"file was written, if it is one of those from {_FIRST_UNSURE:,} on that float32 does not hold: "
                    f"several people may lie in one folder. Pack the images again with small numbers.",
                    stacklevel=2,
                )
            person = output / f"{int(label):07d}"
            person.mkdir(parents=True, exist_ok=True)
            with replace_file(person / f"{record.key:08d}{suffix}") as stream:
                stream.write(record.payload)
            count += 1
            if progress is not None:
                progress(count, total)
    return count


def _images(records: RecordFile) -> Iterator[Record]:
    totals: Record | None = None
    named = records.keys()
    if 0 in named:  # the index may name it anywhere
        totals = _if_totals(records.read(0))
    for number, record in enumerate(records):
        if number == 0 and totals is None:
            totals = _if_totals(record)
        if totals is not None and record.offset == totals.offset:
            continue
        if totals is not None and record.key >= int(totals.labels[0]):
            continue  # a person's record: the numbers of its images, which stand in the images too
        yield record


def _if_totals(record: Record) -> Record | None:
    """The record, if it holds the totals and no image; some writers cannot write an empty one."""
    is_image = any(record.payload.startswith(start) for start in _IMAGE_STARTS)
    is_totals = len(record.labels) == 2 and not is_image and len(record.payload) <= _PADDING
    return record if is_totals else None


def export_store(store: VariantStore, path: str | Path, *, force: bool = False) -> int:
    """Writes a variant store as Parquet, one row per variant.

    Columns: `subject_id`, `source`, `variant`, `embedding` (D half floats), `style` (2C half floats, mean
    and deviation of channel 0, of channel 1, ...; absent without style). The file metadata key
    `embedder` holds the fingerprint. Rows are written in groups, so memory stays small.

    Args:
        store: The store.
        path: The file.
        force: Whether an existing file may be replaced.

    Returns:
        The number of rows.

    Raises:
        OutputExistsError: If the file exists and `force` is False.
        MissingExtraError: If pyarrow is not installed.
    """
    arrow = import_extra("pyarrow", extra="data", purpose="writing Parquet files")
    parquet = import_extra("pyarrow.parquet", extra="data", purpose="writing Parquet files")
    columns = [
        ("subject_id", arrow.string()),
        ("source", arrow.string()),
        ("variant", arrow.int32()),
        ("embedding", arrow.list_(arrow.float16(), store.dim)),
    ]
    if store.style is not None:
        columns.append(("style", arrow.list_(arrow.float16(), 2 * store.style_channels)))
    schema = arrow.schema(columns, metadata={"embedder": store.embedder})
    step = max(_ROWS_AT_ONCE // store.num_variants, 1)
    rows = 0
    with replace_file(path, force=force) as stream, parquet.ParquetWriter(stream, schema) as writer:
        for start in range(0, len(store.sources), step):
            embeddings = np.asarray(store.embeddings[start : start + step])
            count, variants = embeddings.shape[:2]
            subjects = store.subjects[start : start + count].repeat(variants)
            data = [
                [store.subject_ids[subject] for subject in subjects],
                [name for name in store.sources[start : start + count] for _ in range(variants)],
                np.tile(np.arange(variants, dtype=np.int32), count),
                _lists(arrow, embeddings.reshape(count * variants, -1)),
            ]
            if store.style is not None:
                style = np.asarray(store.style[start : start + step])
                data.append(_lists(arrow, style.reshape(count * variants, -1)))
            writer.write_table(arrow.table(data, schema=schema))
            rows += count * variants
    return rows


def _lists(arrow: object, values: npt.NDArray[np.float16]) -> object:
    array = arrow.array(np.ascontiguousarray(values).ravel(), type=arrow.float16())  # type: ignore[attr-defined]
    return arrow.FixedSizeListArray.from_arrays(array, values.shape[1])  # type: ignore[attr-defined]
