"""YouTube Faces: a table of exactly the documented format, and every broken one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from probefusion.errors import FileFormatError, MissingFileError
from probefusion.protocols import ytf
from probefusion.protocols.ytf import Ytf, read_ytf

HEADER = "split number, pair number, first name, second name, is same\n"
VIDEOS = {
    "Ann_Lee/0": [555, 9, 1000],
    "Ann_Lee/2": [1],
    "Ann_Lee/10": [3, 4],
    "Bo_Ek/1": [7],
}


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for video, frames in VIDEOS.items():
        folder = tmp_path / "aligned_images_DB" / video
        folder.mkdir(parents=True)
        for frame in frames:
            (folder / f"aligned_detect_{folder.name}.{frame}.jpg").touch()
    write(tmp_path, "1, 1, Ann_Lee/0, Ann_Lee/2, 1\n2, 1, Ann_Lee/10, Bo_Ek/1, 0\n")
    return tmp_path


def write(root: Path, lines: str, header: str = HEADER) -> None:
    (root / "splits.txt").write_text(header + lines)


def read(root: Path) -> Ytf:
    return read_ytf(root, check_counts=False)


def test_a_good_copy_is_read(root: Path) -> None:
    (root / "aligned_images_DB" / "Bo_Ek" / "1" / "Thumbs.db").touch()
    (root / "aligned_images_DB" / "readme.txt").touch()
    given = read(root)
    assert given.videos.tolist() == ["Ann_Lee/0", "Ann_Lee/2", "Ann_Lee/10", "Bo_Ek/1"]
    assert given.frames.sizes.tolist() == [3, 1, 2, 1]
    names = given.frame_names[given.frames.rows_of(0)]
    assert names.tolist() == [f"aligned_detect_0.{frame}.jpg" for frame in (9, 555, 1000)]
    assert all(
        (given.folder / given.videos[video] / given.frame_names[row]).exists()
        for video in range(4)
        for row in given.frames.rows_of(video)
    )
    assert given.frames.media_ids.tolist() == [0, 0, 0, 1, 2, 2, 3]
    assert given.pairs.first.tolist() == [0, 2]
    assert given.pairs.second.tolist() == [1, 3]
    assert given.pairs.mated.tolist() == [True, False]
    assert given.pairs.folds is not None
    assert given.pairs.folds.tolist() == [1, 2]


def test_a_video_without_frames_is_a_failure_to_acquire(root: Path) -> None:
    (root / "aligned_images_DB" / "Bo_Ek" / "1" / "aligned_detect_1.7.jpg").unlink()
    assert read(root).frames.empty.tolist() == [3]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"\n", b"  \n") + b"\n",
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.replace(b", ", b","),
        lambda data: data.replace(b"\n", b", \n"),
        lambda data: data.replace(b"Ann_Lee/", b"Ann_Lee\\"),
    ],
)
def test_line_ends_blanks_and_marks_are_tolerated(
    root: Path, change: Callable[[bytes], bytes]
) -> None:
    path = root / "splits.txt"
    path.write_bytes(change(path.read_bytes()))
    given = read(root)
    assert given.pairs.first.tolist() == [0, 2]
    assert given.pairs.mated.tolist() == [True, False]


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("2, 1, Ann_Lee/10, Bo_Ek/1\n", "expected at least 5 columns"),
        ("2, 1, Ann_Lee/10, Bo_Ek/1, 0, 7\n", "expected 5 columns as in the lines before, got 6"),
        ("x, 1, Ann_Lee/10, Bo_Ek/1, 0\n", "split: expected a whole number"),
        ("0, 1, Ann_Lee/10, Bo_Ek/1, 0\n", "split: expected a number from 1"),
        ("2, x, Ann_Lee/10, Bo_Ek/1, 0\n", "pair: expected a whole number"),
        ("2, 1, Ann_Lee/10, Bo_Ek/1, 2\n", "same: expected 0 or 1, got 2"),
        ("2, 1, Ann_Lee/10, Bo_Ek/9, 0\n", "second video: 'Bo_Ek/9' has no folder"),
        ("2, 1, , Bo_Ek/1, 0\n", "first video: expected a text"),
        ("2, 1, Bo_Ek/1, Bo_Ek/1, 1\n", "compared with itself"),
        ("2, 1, Ann_Lee/0, Ann_Lee/2, 1\n", "listed already in line 2"),
        ("2, 1, Ann_Lee/2, Ann_Lee/0, 1\n", "listed already in line 2"),
        ("2, 1, Ann_Lee/2, Ann_Lee/0, 0\n", "has the other label in line 2"),
    ],
)
def test_a_broken_line_is_named(root: Path, line: str, says: str) -> None:
    write(root, "1, 1, Ann_Lee/0, Ann_Lee/2, 1\n\n" + line)
    with pytest.raises(FileFormatError) as caught:
        read(root)
    assert str(caught.value).startswith("splits.txt, line 4: ")
    assert says in str(caught.value)


def test_repeated_pairs_may_be_allowed_but_not_contrary_ones(root: Path) -> None:
    lines = "1, 1, Ann_Lee/0, Ann_Lee/2, 1\n1, 2, Ann_Lee/2, Ann_Lee/0, 1\n"
    write(root, lines)
    pairs = read_ytf(root, allow_duplicates=True, check_counts=False).pairs
    assert pairs.first.tolist() == [0, 1]
    write(root, lines + "2, 1, Ann_Lee/0, Ann_Lee/2, 0\n")
    with pytest.raises(FileFormatError, match="line 4: the same pair has the other label"):
        read_ytf(root, allow_duplicates=True, check_counts=False)


def test_a_table_without_a_header_is_read(root: Path) -> None:
    write(root, "1, 1, Ann_Lee/0, Ann_Lee/2, 1\r\n2, 1, Ann_Lee/10, Bo_Ek/1, 0\r\n", header="")
    pairs = read(root).pairs
    assert pairs.first.tolist() == [0, 2]
    assert pairs.second.tolist() == [1, 3]
    assert pairs.mated.tolist() == [True, False]
    write(root, "1, 1, Ann_Lee/0, Ann_Lee/2, 1\n2, 1, Ann_Lee/10, Ann_Lee/10, 0\n", header="")
    with pytest.raises(FileFormatError, match=r"line 2: a video is compared with itself"):
        read(root)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("1.0, 1, Ann_Lee/0, Ann_Lee/2, 1\n", "split: expected a whole number"),
        ('"1", "1", Ann_Lee/0, Ann_Lee/2, "1"\n', "split: expected a whole number"),
        ("one, 1, Ann_Lee/0, Ann_Lee/2, 1\n", "split: expected a whole number"),
        ("1; 1; Ann_Lee/0; Ann_Lee/2; 1\n", "expected at least 5 columns"),
    ],
)
def test_a_spoilt_first_pair_is_no_header(root: Path, line: str, says: str) -> None:
    write(root, line + "2, 1, Ann_Lee/10, Bo_Ek/1, 0\n", header="")
    with pytest.raises(FileFormatError, match="line 1: ") as caught:
        read(root)
    assert says in str(caught.value)


@pytest.mark.parametrize(
    "header", ["split,pair,a,b,same (0/1)\n", '"1st split","no.","first","second","is same"\n']
)
def test_headers_with_numbers_in_their_words(root: Path, header: str) -> None:
    write(root, "1, 1, Ann_Lee/0, Ann_Lee/2, 1\n2, 1, Ann_Lee/10, Bo_Ek/1, 0\n", header=header)
    assert read(root).pairs.mated.tolist() == [True, False]


def test_an_empty_table_is_refused(root: Path) -> None:
    write(root, "no header, and no pair\n", header="")
    with pytest.raises(FileFormatError, match=r"header and nothing else"):
        read(root)
    write(root, "")
    with pytest.raises(FileFormatError, match="header and nothing else"):
        read(root)
    write(root, "", header="")
    with pytest.raises(FileFormatError, match=r"splits\.txt is empty"):
        read(root)


@pytest.mark.parametrize("missing", ["splits.txt", "aligned_images_DB"])
def test_a_missing_file_shows_the_layout(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(MissingFileError, match="Expected layout:\n  root/") as caught:
        read(root)
    assert missing in str(caught.value)


def test_a_frame_without_number_and_a_folder_without_videos_are_refused(root: Path) -> None:
    (root / "aligned_images_DB" / "Bo_Ek" / "1" / "face.jpg").touch()
    with pytest.raises(FileFormatError, match=r"face\.jpg.*expected a frame named"):
        read(root)
    (root / "none").mkdir()
    with pytest.raises(FileFormatError, match="holds no video"):
        read_ytf(root, images="none")


def test_counts_of_a_complete_copy_are_checked(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(FileFormatError, match=r"expected 3425 videos.* got 4"):
        read_ytf(root)
    monkeypatch.setattr(ytf, "NUM_VIDEOS", 4)
    with pytest.raises(
        FileFormatError, match="expected 250 mated and 250 non-mated pairs in split 1, got 1 and 0"
    ):
        read_ytf(root)
    monkeypatch.setattr(ytf, "NUM_FOLDS", 1)
    monkeypatch.setattr(ytf, "PAIRS_PER_FOLD", 1)
    write(root, "1, 1, Ann_Lee/0, Ann_Lee/2, 1\n1, 2, Ann_Lee/10, Bo_Ek/1, 0\n")
    assert len(read_ytf(root).pairs) == 2
    with (root / "splits.txt").open("a") as stream:
        stream.write("2, 1, Ann_Lee/0, Bo_Ek/1, 0\n")
    with pytest.raises(FileFormatError, match="expected 0 mated and 0 non-mated pairs in split 2"):
        read_ytf(root)


def test_ten_folds_of_500_pairs_are_read(tmp_path: Path) -> None:
    images = tmp_path / "aligned_images_DB"
    for person in range(40):
        for number in range(3):
            (images / f"P{person:02}" / str(number)).mkdir(parents=True)
    names = [f"P{person:02}/{number}" for person in range(40) for number in range(3)]
    rng = np.random.default_rng(2)
    first, second = np.triu_indices(len(names), 1)
    chosen = rng.permutation(len(first))[:5000]
    lines = [
        f"{i // 500 + 1}, {i % 500 + 1}, {names[first[k]]}, {names[second[k]]}, {int(i % 500 < 250)}\n"
        for i, k in enumerate(chosen)
    ]
    write(tmp_path, "".join(lines))
    pairs = read(tmp_path).pairs
    assert np.array_equal(pairs.first, first[chosen])
    assert pairs.folds is not None
    assert np.bincount(pairs.folds).tolist() == [0] + [500] * 10
    assert pairs.num_mated == pairs.num_non_mated == 2500
