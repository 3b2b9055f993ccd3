"""TinyFace: `.mat` tables as SciPy writes and reads them, and every broken one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probefusion.errors import FileFormatError, MissingExtraError, MissingFileError
from probefusion.protocols import tinyface
from probefusion.protocols.tinyface import TinyFace, read_tinyface

scipy_io = pytest.importorskip("scipy.io", reason="TinyFace's tables need SciPy")

GALLERY = "gallery_match_img_ID_pairs.mat"
PROBE = "probe_img_ID_pairs.mat"


def cells(names: list[Any]) -> np.ndarray:
    """A column of cells with one text each, as MATLAB keeps file names."""
    column = np.empty((len(names), 1), dtype=object)
    for row, name in enumerate(names):
        column[row, 0] = name
    return column


def write(path: Path, prefix: str, names: list[Any], ids: list[Any]) -> None:
    table = {f"{prefix}_set": cells(names), f"{prefix}_ids": np.array(ids).reshape(-1, 1)}
    scipy_io.savemat(path, table)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    files = {
        "Gallery_Match": ["4_1.jpg", "4_2.jpg", "7_1.jpg"],
        "Probe": ["7_2.jpg", "4_3.jpg"],
        "Gallery_Distractor": ["b.jpg", "sub/a.jpg", "notes.txt"],
    }
    for folder, names in files.items():
        for name in names:
            (tmp_path / folder / name).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / folder / name).touch()
    write(tmp_path / GALLERY, "gallery", files["Gallery_Match"], [4, 4, 7])
    write(tmp_path / PROBE, "probe", files["Probe"], [7, 4])
    return tmp_path


def read(root: Path, **options: Any) -> TinyFace:
    return read_tinyface(root, check_counts=False, **options)


def test_a_good_copy_is_read(root: Path) -> None:
    given = read(root)
    assert given.gallery_files.tolist() == [
        "Gallery_Match/4_1.jpg",
        "Gallery_Match/4_2.jpg",
        "Gallery_Match/7_1.jpg",
        "Gallery_Distractor/b.jpg",
        "Gallery_Distractor/sub/a.jpg",
    ]
    assert given.gallery_subjects.tolist() == [4, 4, 7, -1, -2]
    assert given.probe_files.tolist() == ["Probe/7_2.jpg", "Probe/4_3.jpg"]
    assert given.probe_subjects.tolist() == [7, 4]
    assert given.gallery_subjects.dtype == given.probe_subjects.dtype == np.int32
    assert given.num_distractors == 2
    assert (given.images / given.gallery_files[4]).exists()
    with pytest.raises(ValueError, match="read-only"):
        given.probe_subjects[0] = 1


def test_images_may_lie_elsewhere(root: Path, tmp_path: Path) -> None:
    aligned = tmp_path / "aligned"
    aligned.mkdir()
    for folder in ("Gallery_Match", "Probe", "Gallery_Distractor"):
        (root / folder).rename(aligned / folder)
    with pytest.raises(MissingFileError, match="Expected layout:\n  Testing_Set/"):
        read(root)
    assert read(root, images=aligned).images == aligned


@pytest.mark.parametrize("shape", [(1, -1), (-1,)])
def test_rows_serve_as_well_as_columns(root: Path, shape: tuple[int, ...]) -> None:
    scipy_io.savemat(
        root / PROBE,
        {
            "probe_set": cells(["7_2.jpg", "4_3.jpg"]).reshape(shape),
            "probe_ids": np.array([7.0, 4.0]).reshape(shape),
        },
    )
    assert read(root).probe_subjects.tolist() == [7, 4]


@pytest.mark.parametrize("missing", [GALLERY, PROBE, "Gallery_Match", "Probe"])
def test_a_missing_file_shows_the_layout(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(MissingFileError, match="Expected layout") as caught:
        read(root)
    assert missing in str(caught.value)


@pytest.mark.parametrize("data", [b"", b"not a mat file at all", b"MATLAB 7.3 MAT-file\n" * 20])
def test_a_file_that_is_no_mat_is_refused(root: Path, data: bytes) -> None:
    (root / GALLERY).write_bytes(data)
    with pytest.raises(FileFormatError, match=f"{GALLERY} is not a MATLAB 5 file"):
        read(root)


def test_a_truncated_table_is_refused(root: Path) -> None:
    (root / GALLERY).write_bytes((root / GALLERY).read_bytes()[:200])
    with pytest.raises(FileFormatError, match=GALLERY):
        read(root)


@pytest.mark.parametrize(
    ("names", "ids", "says"),
    [
        (["7_2.jpg"], [7, 4], "expected as many names as ids"),
        (["7_2.jpg", "7_2.jpg"], [7, 4], "entry 2: '7_2.jpg' is listed already in entry 1"),
        (["7_2.jpg", "9.jpg"], [7, 4], "entry 2: image '9.jpg' is not in"),
        (["7_2.jpg", "4_3.jpg"], [7, 9], "entry 2: subject 9 has no image"),
        (["7_2.jpg", "4_3.jpg"], [7, 4.5], "entry 2: expected an id that is a whole number"),
        (["7_2.jpg", "4_3.jpg"], [7, np.nan], "entry 2: expected an id"),
        (["7_2.jpg", "4_3.jpg"], [7, -1], "entry 2: expected an id"),
        (["7_2.jpg", "4_3.jpg"], ["a", "b"], "expected ids that are numbers"),
        (["7_2.jpg", 5.0], [7, 4], "entry 2: expected a file name"),
        (["7_2.jpg", ""], [7, 4], "entry 2: expected a file name"),
    ],
)
def test_a_broken_entry_is_named(root: Path, names: list[Any], ids: list[Any], says: str) -> None:
    write(root / PROBE, "probe", names, ids)
    with pytest.raises(FileFormatError) as caught:
        read(root)
    assert str(caught.value).startswith(PROBE)
    assert says in str(caught.value)


def test_an_empty_table_and_a_table_of_something_else_are_refused(root: Path) -> None:
    write(root / PROBE, "probe", [], [])
    with pytest.raises(FileFormatError, match="at least one"):
        read(root)
    write(root / PROBE, "gallery", ["7_2.jpg"], [7])
    with pytest.raises(FileFormatError, match="lacks the array 'probe_set'"):
        read(root)


def test_missing_images_may_be_allowed(root: Path) -> None:
    (root / "Gallery_Match" / "7_1.jpg").unlink()
    with pytest.raises(FileFormatError, match=r"entry 3: image '7_1.jpg'.*1 of 3 images"):
        read(root)
    assert len(read(root, check_images=False).gallery_files) == 5


def test_the_number_of_distractors_is_checked(root: Path) -> None:
    with pytest.raises(FileFormatError, match=r"expected 153428 images.* got 2"):
        read_tinyface(root)
    for name in ("b.jpg", "sub/a.jpg"):
        (root / "Gallery_Distractor" / name).unlink()
    with pytest.raises(FileFormatError, match="got 0"):
        read(root)


def test_without_scipy_the_extra_is_named(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def absent(package: str, *, extra: str, purpose: str) -> Any:
        raise MissingExtraError(package, extra, purpose)

    monkeypatch.setattr(tinyface, "import_extra", absent)
    with pytest.raises(MissingExtraError, match=r"probefusion\[data\]"):
        read(root)
