"""TinyFace: faces of some 20 pixels, searched among 153,428 distractors.

The images are the user's own copy; `read_tinyface` reads the two `.mat` tables (MATLAB version 5,
through SciPy) and lists the distractors. The tables hold, by the names that public evaluation code reads
them with: `gallery_set` and `probe_set`, a cell of file
names in `Gallery_Match` and `Probe`; `gallery_ids` and `probe_ids`, a subject id for each.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import read_only
from probefusion.errors import FileFormatError
from probefusion.extras import import_extra
from probefusion.protocols.templates import Int32Array
from probefusion.protocols.text_tables import MAX_INTEGER, list_files, require_paths

__all__ = ["NUM_DISTRACTORS", "TinyFace", "read_tinyface"]

NUM_DISTRACTORS = 153_428
"""Distractors in a complete copy."""

_GALLERY_TABLE = "gallery_match_img_ID_pairs.mat"
_PROBE_TABLE = "probe_img_ID_pairs.mat"
_FOLDERS = ("Gallery_Match", "Gallery_Distractor", "Probe")
_LAYOUT = f"""  Testing_Set/  (TinyFace; root)
    {_GALLERY_TABLE}, {_PROBE_TABLE}
    Gallery_Match/, Gallery_Distractor/, Probe/  (or below another folder, given as images)"""


@dataclass(frozen=True, kw_only=True, eq=False)
class TinyFace:
    """One closed-set search: every probe's subject is in the gallery, beside the distractors.

    The official evaluation ranks the images of the gallery, not people: a probe is found at rank k if one of
    the k most similar images, distractors and all images of others included, shows its subject.

    Args:
        images: The folder that the files are relative to.
        gallery_files: (G,) text, such as `Gallery_Match/12_3.jpg`; the mates in the order of the
            table, then the distractors sorted by name.
        gallery_subjects: (G,) int32, -1, -2, ... for the distractors, of whom nothing is known: each is
            somebody else. A subject may have several images.
        probe_files: (P,) text, in the order of the table.
        probe_subjects: (P,) int32.

    The arrays are views marked read-only.
    """

    images: Path
    gallery_files: npt.NDArray[np.str_]
    gallery_subjects: Int32Array
    probe_files: npt.NDArray[np.str_]
    probe_subjects: Int32Array

    @property
    def num_distractors(self) -> int:
        """How many images of the gallery show people that no probe shows."""
        return int(np.count_nonzero(self.gallery_subjects < 0))


def read_tinyface(
    root: str | Path,
    *,
    images: str | Path | None = None,
    check_images: bool = True,
    check_counts: bool = True,
) -> TinyFace:
    """Reads gallery, distractors and probes of TinyFace. Needs `probefusion[data]` (SciPy).

    Args:
        root: The folder with the two `.mat` tables, `Testing_Set` in the distributed copy.
        images: The folder with `Gallery_Match`, `Gallery_Distractor` and `Probe`, for instance of
            aligned faces; None for `root`. Distractors may lie in sub-folders.
        check_images: Whether every image that the tables name must exist there.
        check_counts: Whether there must be 153,428 distractors.

    Returns:
        The search.

    Raises:
        MissingExtraError: If SciPy is not installed.
        MissingFileError: If a table or folder is missing; the message shows the layout.
        FileFormatError: With file and entry (from 1), if a table is no MATLAB 5 file, lacks an
            array, has names and ids of different numbers, a name that is no text or an id that is
            no whole number from 0, a name twice, an image that does not exist, or a probe without
            a mate; or if there is no distractor or not the published number.
    """
    root = Path(root)
    folder = root if images is None else Path(images)
    needed = _FOLDERS if check_images else ("Gallery_Distractor",)  # its listing names the rows
    require_paths(
        [root / _GALLERY_TABLE, root / _PROBE_TABLE, *(folder / name for name in needed)],
        layout=_LAYOUT,
    )
    loadmat = import_extra(
        "scipy.io", extra="data", purpose="reading TinyFace's .mat files"
    ).loadmat
    mates, mate_ids = _read_pairs(loadmat, root / _GALLERY_TABLE, "gallery_set", "gallery_ids")
    probes, probe_ids = _read_pairs(loadmat, root / _PROBE_TABLE, "probe_set", "probe_ids")
    if check_images:
        _refuse_missing_images(mates, folder / "Gallery_Match", root / _GALLERY_TABLE)
        _refuse_missing_images(probes, folder / "Probe", root / _PROBE_TABLE)
    lonely = np.flatnonzero(~np.isin(probe_ids, mate_ids))
    if len(lonely):
        raise FileFormatError(
            f"{_PROBE_TABLE}, entry {lonely[0] + 1}: subject {probe_ids[lonely[0]]} has no image in "
            f"{_GALLERY_TABLE} ({len(lonely)} such probes). Take both tables from one copy."
        )
    distractors = list_files(folder / "Gallery_Distractor")
    expected = NUM_DISTRACTORS if check_counts else None
    if not distractors or (expected is not None and len(distractors) != expected):
        raise FileFormatError(
            f"{str(folder / 'Gallery_Distractor')!r}: expected {NUM_DISTRACTORS} images, the "
            f"published number of TinyFace, got {len(distractors)}. Unpack them again, or pass "
            f"check_counts=False to use those that are there (at least one)."
        )
    return TinyFace(
        images=folder,
        gallery_files=read_only(
            np.array(
                [f"Gallery_Match/{name}" for name in mates]
                + [f"Gallery_Distractor/{name}" for name in distractors]
            )
        ),
        gallery_subjects=read_only(
            np.concatenate([mate_ids, -1 - np.arange(len(distractors), dtype=np.int32)])
        ),
        probe_files=read_only(np.array([f"Probe/{name}" for name in probes])),
        probe_subjects=read_only(probe_ids),
    )


def _read_pairs(
    loadmat: Any, path: Path, names_key: str, ids_key: str
) -> tuple[list[str], Int32Array]:
    try:
        table = loadmat(str(path), variable_names=[names_key, ids_key])
    except Exception as error:
        # SciPy raises errors of many kinds for a file that it cannot read.
        raise FileFormatError(
            f"{path.name} is not a MATLAB 5 file: {error}. Download it again; a file saved by "
            f"MATLAB as version 7.3 must be saved again with -v7."
        ) from error
    for key in (names_key, ids_key):
        if key not in table:
            raise FileFormatError(
                f"{path.name} lacks the array {key!r}. Check that it is TinyFace's own table."
            )
    cells = np.asarray(table[names_key]).reshape(-1)
    numbers = np.asarray(table[ids_key]).reshape(-1)
    if len(cells) != len(numbers) or not len(cells):
        raise FileFormatError(
            f"{path.name}: expected as many names as ids and at least one, got {len(cells)} in "
            f"{names_key} and {len(numbers)} in {ids_key}. Download it again."
        )
    return _names(cells, path), _ids(numbers, path)


def _names(cells: npt.NDArray[Any], path: Path) -> list[str]:
    entries: dict[str, int] = {}
    for entry, cell in enumerate(cells.tolist(), start=1):
        text = cell
        while isinstance(text, np.ndarray) and text.size == 1:
            text = text.reshape(-1)[0]
        name = str(text).strip() if isinstance(text, str) else ""
        if not name:
            raise FileFormatError(
                f"{path.name}, entry {entry}: expected a file name, got {cell!r}. Download it again."
            )
        if entries.setdefault(name, entry) != entry:
            raise FileFormatError(
                f"{path.name}, entry {entry}: {name!r} is listed already in entry {entries[name]}. "
                f"Download it again."
            )
    return list(entries)


def _ids(numbers: npt.NDArray[Any], path: Path) -> Int32Array:
    if numbers.dtype.kind not in "iuf":
        raise FileFormatError(
            f"{path.name}: expected ids that are numbers, got {numbers.dtype}. Download it again."
        )
    values = numbers.astype(np.float64)
    with np.errstate(invalid="ignore"):
        good = (values >= 0) & (values <= MAX_INTEGER) & (values == np.floor(values))
    if not good.all():
        entry = int(np.argmin(good))
        raise FileFormatError(
            f"{path.name}, entry {entry + 1}: expected an id that is a whole number from 0, got "
            f"{values[entry]:g}. Download it again."
        )
    return values.astype(np.int32)


def _refuse_missing_images(names: list[str], folder: Path, path: Path) -> None:
    present = set(list_files(folder, suffixes={Path(name).suffix.lower() for name in names}))
    missing = [entry for entry, name in enumerate(names, start=1) if name not in present]
    if missing:
        raise FileFormatError(
            f"{path.name}, entry {missing[0]}: image {names[missing[0] - 1]!r} is not in "
            f"{str(folder)!r} ({len(missing)} of {len(names)} images are missing). Unpack the "
            f"images again, or pass check_images=False."
        )
