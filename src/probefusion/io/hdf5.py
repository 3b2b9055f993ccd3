"""HDF5 files with the arrays of an embedding set."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import FileFormatError, ShapeError, UnknownNameError
from probefusion.extras import import_extra
from probefusion.files import check_file
from probefusion.files.reading import check_declared_bytes, in_one_line, reading
from probefusion.files.texts import text_array
from probefusion.io.columns import refuse_other_things
from probefusion.io.doubts import question_columns, question_shape
from probefusion.types import EmbeddingSet

__all__ = ["read_hdf5"]

_SHOWN = 12
_OPTIONAL = ("style", "detector_scores", "media_ids", "sources")


def read_hdf5(path: Path, *, ignore: Iterable[str] = ()) -> EmbeddingSet:
    """Reads the data sets `embeddings`, and where present `style`, `detector_scores`, `media_ids` and `sources`.

    The file attribute `embedder` gives the embedder's fingerprint. A file with a single data set
    of any name is read as the embeddings, and questioned where it does not look like them.

    Args:
        path: The file.
        ignore: Data sets and groups that are passed over.

    Raises:
        FileFormatError: If it is no HDF5 file, there is no such data set, or there are groups beside it.
        InvalidInputError: If a data set of another name looks like something else than embeddings.
        MissingExtraError: If h5py is not installed.
    """
    h5py = import_extra("h5py", extra="data", purpose="reading HDF5 files")
    path = check_file(path)
    with reading(path.name, "an HDF5 file of arrays"), h5py.File(path, "r") as file:
        _refuse_links(h5py, file, path.name)
        ignored = set(ignore)
        for name in ignored:
            if name not in file:
                raise UnknownNameError("data set to ignore", name, list(file))
        names = [name for name in file if name not in ignored]
        groups = [name for name in names if not isinstance(file[name], h5py.Dataset)]
        if groups:
            raise FileFormatError(
                f"{path.name}: expected data sets alone at the top level, got the groups "
                f"{_listed(groups)}: one for each person? Give a file for each, or leave them out: --ignore-columns "
                f"{in_one_line(','.join(groups))} (ignore=[...])."
            )
        main = "embeddings" if "embeddings" in names else (names[0] if len(names) == 1 else None)
        if main is None:
            raise FileFormatError(
                f"{path.name}: expected a data set named 'embeddings' at the top level, got "
                f"{_listed(names) or 'none'}."
            )
        unknown = sorted(set(names) - {main, *_OPTIONAL})
        if unknown:
            raise FileFormatError(
                f"{path.name}: expected {main!r} and optionally {', '.join(_OPTIONAL)}; unknown data "
                f"sets: {', '.join(unknown)}. Leave them out: --ignore-columns {','.join(unknown)} "
                f"(ignore=[...])."
            )
        optional: dict[str, Any] = {
            name: _values(file[name], path) for name in _OPTIONAL if name in names
        }
        embeddings = _values(file[main], path)
        if main != "embeddings":
            refuse_other_things(main, origin=path.name)
            question_shape(embeddings, origin=path.name)
            question_columns(embeddings, origin=path.name)
        embedder = file.attrs.get("embedder")
        return EmbeddingSet(
            embeddings=embeddings,
            embedder=embedder.decode() if isinstance(embedder, bytes) else embedder,
            origin=path.name,
            **optional,
        )


def _listed(names: Sequence[str]) -> str:
    return ", ".join(in_one_line(name) for name in names[:_SHOWN]) + (
        ", ..." if len(names) > _SHOWN else ""
    )


def _refuse_links(h5py: Any, file: Any, origin: str) -> None:
    """Refuses what would open other files."""
    for name in file:
        if not isinstance(file.get(name, getlink=True), h5py.HardLink):
            raise FileFormatError(
                f"{in_one_line(origin)}: {in_one_line(name)} is a link, expected the data itself. Copy it "
                f"into the file."
            )
        if isinstance(file[name], h5py.Dataset) and (file[name].external or file[name].is_virtual):
            raise FileFormatError(
                f"{in_one_line(origin)}: the values of {in_one_line(name)} lie in other files, expected them inside. "
                f"Copy them into it."
            )


def _values(dataset: Any, path: Path) -> npt.NDArray[Any]:
    if dataset.shape is None:
        raise ShapeError(f"{path.name}: {dataset.name}: expected an array, got nothing.")
    check_declared_bytes(dataset.nbytes, f"{path.name}: {dataset.name}", stored=path.stat().st_size)
    values = np.asarray(dataset[()])
    if values.dtype.kind == "O" and values.size and isinstance(values.flat[0], np.ndarray):
        raise ShapeError(
            f"{path.name}: {dataset.name}: expected rows of one length, got rows of several lengths."
        )
    if values.dtype.kind in "OS":
        texts = [v.decode() if isinstance(v, bytes) else str(v) for v in values.ravel()]
        return text_array(texts, str(dataset.name), path.name)
    return values
