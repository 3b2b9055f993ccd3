"""IJB-B and IJB-C: files of exactly the documented format, and every broken one."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from probefusion.errors import FileFormatError, MissingFileError, UnknownNameError
from probefusion.protocols.ijb_bc import IjbSet, read_ijb_set
from probefusion.protocols.ijb_layout import PUBLISHED_COUNTS
from probefusion.protocols.ijb_tasks import read_ijb_identification, read_ijb_pairs
from probefusion.protocols.templates import TemplateIndex

# image, template, medium
IMAGES = [
    ("1.jpg", 11065, 7),
    ("2.jpg", 1, 69544),
    ("3.jpg", 11065, 7),
    ("4.jpg", 11065, 9),
    ("5.jpg", 2, 69544),
]
POINTS = "46.060 62.026 87.785 60.323 68.851 77.656 52.162 99.875 86.450 98.648"


def make_copy(root: Path, dataset: str = "ijbb") -> Path:
    meta, crops = root / "meta", root / "loose_crop"
    meta.mkdir(parents=True)
    crops.mkdir()
    for name, _, _ in IMAGES:
        (crops / name).touch()
    (meta / f"{dataset}_face_tid_mid.txt").write_text(
        "".join(f"{name} {template} {medium}\n" for name, template, medium in IMAGES)
    )
    (meta / f"{dataset}_name_5pts_score.txt").write_text(
        "".join(f"{name} {POINTS} 0.99{i}\n" for i, (name, _, _) in enumerate(IMAGES))
    )
    (meta / f"{dataset}_template_pair_label.txt").write_text("1 11065 1\n2 11065 0\n1 2 0\n")
    one, two = ("S1", "S2") if dataset == "ijbb" else ("G1", "G2")
    header = "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID\n"
    (meta / f"{dataset}_1N_gallery_{one}.csv").write_text(header + "1,400,img/8.jpg,3\n")
    (meta / f"{dataset}_1N_gallery_{two}.csv").write_text(header + "2,500,img/9.jpg,4\n")
    (meta / f"{dataset}_1N_probe_mixed.csv").write_text(
        header + "11065,400,frames/1.jpg,5\n11065,400,frames/2.jpg,5\n2,500,img/3.jpg,6\n"
    )
    return root


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_copy(tmp_path / "IJBB")


def read_set(root: Path, **options: bool) -> IjbSet:
    return read_ijb_set(root, dataset="ijbb", check_counts=False, **options)


def edit(path: Path, change: Callable[[bytes], bytes]) -> None:
    path.write_bytes(change(path.read_bytes()))


@pytest.mark.parametrize("dataset", ["ijbb", "ijbc"])
def test_a_good_copy_is_read(tmp_path: Path, dataset: str) -> None:
    root = make_copy(tmp_path / "copy", dataset)
    given = read_ijb_set(root, dataset=dataset, check_counts=False)  # type: ignore[arg-type]
    assert given.num_images == 5
    assert given.image_names.tolist() == ["1.jpg", "2.jpg", "3.jpg", "4.jpg", "5.jpg"]
    assert given.image_path(3) == root / "loose_crop" / "4.jpg"
    assert given.landmarks.shape == (5, 5, 2)
    assert given.landmarks.dtype == given.detector_scores.dtype == np.float32
    np.testing.assert_allclose(given.landmarks[0, 0], [46.06, 62.026], atol=1e-5)
    np.testing.assert_allclose(given.landmarks[2, 4], [86.45, 98.648], atol=1e-5)
    np.testing.assert_allclose(given.detector_scores, [0.990, 0.991, 0.992, 0.993, 0.994], 1e-6)
    assert given.templates.template_ids.tolist() == [1, 2, 11065]
    assert given.templates.rows_of(2).tolist() == [0, 2, 3]
    assert given.templates.media_ids[given.templates.offsets[2] :].tolist() == [7, 7, 9]
    with pytest.raises(ValueError, match="read-only"):
        given.landmarks[0] = 0

    pairs = read_ijb_pairs(
        root,
        dataset=dataset,  # type: ignore[arg-type]
        templates=given.templates,
        check_counts=False,
    )
    assert pairs.first.tolist() == [0, 1, 0]
    assert pairs.second.tolist() == [2, 2, 1]
    assert pairs.mated.tolist() == [True, False, False]
    assert (pairs.first.dtype, pairs.second.dtype, pairs.mated.dtype) == (np.int32, np.int32, bool)
    assert pairs.folds is None

    task = read_ijb_identification(
        root,
        dataset=dataset,  # type: ignore[arg-type]
        templates=given.templates,
    )
    assert [gallery.name for gallery in task.galleries] == (
        ["gallery_S1", "gallery_S2"] if dataset == "ijbb" else ["gallery_G1", "gallery_G2"]
    )
    assert [gallery.templates.tolist() for gallery in task.galleries] == [[0], [1]]
    assert [gallery.subjects.tolist() for gallery in task.galleries] == [[400], [500]]
    assert task.probes.templates.tolist() == [1, 2]
    assert task.probes.subjects.tolist() == [500, 400]


@pytest.mark.parametrize(
    "change",
    [
        lambda data: data.replace(b"\n", b"\r\n"),
        lambda data: data.replace(b"\n", b"  \t\n"),
        lambda data: b"\xef\xbb\xbf" + data,
        lambda data: data.rstrip(b"\n"),
        lambda data: b"\n" + data + b"\n\n",
    ],
)
def test_line_ends_blanks_and_marks_are_tolerated_everywhere(
    root: Path, change: Callable[[bytes], bytes]
) -> None:
    before = read_set(root)
    pairs = read_ijb_pairs(
        root, dataset="ijbb", templates=before.templates, check_counts=False
    ).first.tolist()
    for path in (root / "meta").iterdir():
        edit(path, change)
    after = read_set(root)
    assert after.image_names.tolist() == before.image_names.tolist()
    assert np.array_equal(after.landmarks, before.landmarks)
    assert np.array_equal(after.templates.rows, before.templates.rows)
    again = read_ijb_pairs(root, dataset="ijbb", templates=after.templates, check_counts=False)
    assert again.first.tolist() == pairs
    task = read_ijb_identification(root, dataset="ijbb", templates=after.templates)
    assert task.probes.subjects.tolist() == [500, 400]


@pytest.mark.parametrize(
    ("file", "old", "new", "line", "says"),
    [
        ("face_tid_mid", "2.jpg 1 69544", "2.jpg 1", 2, "expected 3 columns"),
        ("face_tid_mid", "2.jpg 1 69544", "2.jpg 1 69544 4", 2, "got 4"),
        ("face_tid_mid", "2.jpg 1 69544", "2.jpg one 69544", 2, "template id"),
        ("face_tid_mid", "2.jpg 1 69544", "2.jpg 1 -4", 2, "media id"),
        ("face_tid_mid", "3.jpg", "2.jpg", 3, "'2.jpg' is listed already in line 2"),
        ("name_5pts_score", "3.jpg", "9.jpg", 3, "expected image '3.jpg'"),
        ("name_5pts_score", "5.jpg 46.060 ", "5.jpg ", 5, "expected 12 columns"),
        ("name_5pts_score", "4.jpg 46.060 62.026", "4.jpg 46.060 x", 4, "y1: expected a number"),
        ("name_5pts_score", "4.jpg 46.060 62.026", "4.jpg nan 62.026", 4, "x1: expected a number"),
        ("name_5pts_score", "0.991", "1_0", 2, "score: expected a number"),
        ("name_5pts_score", "0.991", "-0.5", 2, "score: expected a number >= 0"),
    ],
)
def test_a_broken_line_of_images_is_named(
    root: Path, file: str, old: str, new: str, line: int, says: str
) -> None:
    path = root / "meta" / f"ijbb_{file}.txt"
    edit(path, lambda data: data.replace(old.encode(), new.encode(), 1))
    with pytest.raises(FileFormatError) as caught:
        read_set(root)
    assert str(caught.value).startswith(f"ijbb_{file}.txt, line {line}: ")
    assert says in str(caught.value)


def test_files_of_different_lengths_are_refused(root: Path) -> None:
    edit(root / "meta" / "ijbb_name_5pts_score.txt", lambda data: data[: data.index(b"4.jpg")])
    with pytest.raises(FileFormatError, match=r"ends after 3 images, .* has 5; image '4.jpg'"):
        read_set(root)
    make_copy(root.parent / "second")
    edit(
        root.parent / "second" / "meta" / "ijbb_face_tid_mid.txt",
        lambda data: data[: data.index(b"5.jpg")],
    )
    with pytest.raises(FileFormatError, match="line 5: expected image None"):
        read_set(root.parent / "second")


def test_a_missing_image_is_named_unless_images_are_not_wanted(root: Path) -> None:
    (root / "loose_crop" / "3.jpg").unlink()
    (root / "loose_crop" / "5.jpg").unlink()
    with pytest.raises(FileFormatError) as caught:
        read_set(root)
    assert "ijbb_name_5pts_score.txt, line 3: image '3.jpg' is not in" in str(caught.value)
    assert "2 of 5 images are missing" in str(caught.value)
    assert read_set(root, check_images=False).num_images == 5


@pytest.mark.parametrize(
    "missing", ["meta/ijbb_face_tid_mid.txt", "meta/ijbb_name_5pts_score.txt", "loose_crop"]
)
def test_a_missing_file_shows_the_layout(root: Path, missing: str) -> None:
    (root / missing).rename(root / "elsewhere")
    with pytest.raises(MissingFileError) as caught:
        read_set(root)
    assert Path(missing).name in str(caught.value)
    assert "Expected layout:" in str(caught.value)
    assert "meta/ijbb_template_pair_label.txt" in str(caught.value)


@pytest.mark.parametrize("file", ["face_tid_mid", "name_5pts_score"])
def test_an_empty_file_is_refused(root: Path, file: str) -> None:
    (root / "meta" / f"ijbb_{file}.txt").write_bytes(b"")
    with pytest.raises(FileFormatError, match=f"ijbb_{file}.txt is empty"):
        read_set(root)


def test_an_incomplete_copy_is_refused_unless_allowed(root: Path) -> None:
    with pytest.raises(
        FileFormatError, match=r"expected 227630 images.* got 5.*check_counts=False"
    ):
        read_ijb_set(root, dataset="ijbb")
    templates = read_set(root).templates
    with pytest.raises(FileFormatError, match="expected 8010270 pairs"):
        read_ijb_pairs(root, dataset="ijbb", templates=templates)
    assert PUBLISHED_COUNTS["ijbb"].num_mated == 10270


def test_unconfirmed_counts_of_ijbc_are_not_checked(tmp_path: Path) -> None:
    root = make_copy(tmp_path / "IJBC", "ijbc")
    templates = read_ijb_set(root, dataset="ijbc").templates
    assert len(read_ijb_pairs(root, dataset="ijbc", templates=templates)) == 3


def test_another_data_set_is_unknown(root: Path) -> None:
    with pytest.raises(UnknownNameError, match="'ijba'"):
        read_ijb_set(root, dataset="ijba")  # type: ignore[arg-type]


def read_pairs(root: Path, data: bytes, **options: bool) -> list[list[int]]:
    (root / "meta" / "ijbb_template_pair_label.txt").write_bytes(data)
    pairs = read_ijb_pairs(
        root,
        dataset="ijbb",
        templates=TemplateIndex.from_columns([1, 2, 11065], [0, 0, 0]),
        check_counts=False,
        **options,
    )
    return [pairs.first.tolist(), pairs.second.tolist(), pairs.mated.tolist()]


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        (b"1 2 0\n1 11065\n", 2, "expected 3 columns (template 1, template 2, mated), got 2"),
        (b"1 2 0\n1 11065 0 0\n", 2, "got 4"),
        (b"1 2 0\n1 x 0\n", 2, "template 2: expected a whole number"),
        (b"1 2 0\n1 11065 2\n", 2, "mated: expected 0 or 1, got 2"),
        (b"1 2 0\n\n3 1 0\n", 3, "template 3 has no image in ijbb_face_tid_mid.txt"),
        (b"1 2 0\n2 1 0\n1 99999 1\n", 3, "template 99999 has no image"),
        (b"1 2 0\n2 1 0\n\n1 2 0\n", 4, "the same pair is listed already in line 1"),
        (b"1 2 0\n2 1 0\n1 2 1\n", 3, "the same pair has the other label in line 1"),
    ],
)
def test_a_broken_line_of_pairs_is_named(root: Path, data: bytes, line: int, says: str) -> None:
    with pytest.raises(FileFormatError) as caught:
        read_pairs(root, data)
    assert str(caught.value).startswith(f"ijbb_template_pair_label.txt, line {line}: ")
    assert says in str(caught.value)


def test_repeated_pairs_may_be_allowed_but_not_contrary_ones(root: Path) -> None:
    data = b"1 2 0\n2 1 0\n1 2 0\n"
    assert read_pairs(root, data, allow_duplicates=True) == [
        [0, 1, 0],
        [1, 0, 1],
        [False, False, False],
    ]
    with pytest.raises(
        FileFormatError, match="line 4: the same pair has the other label in line 3"
    ):
        read_pairs(root, data + b"1 2 1\n", allow_duplicates=True)


def test_missing_or_empty_pairs_are_refused(root: Path) -> None:
    with pytest.raises(FileFormatError, match=r"pair_label\.txt is empty"):
        read_pairs(root, b"")
    (root / "meta" / "ijbb_template_pair_label.txt").unlink()
    with pytest.raises(MissingFileError, match="Expected layout"):
        read_ijb_pairs(root, dataset="ijbb", templates=TemplateIndex.from_columns([1], [1]))


def test_many_pairs_cost_nine_bytes_each(root: Path) -> None:
    rng = np.random.default_rng(5)
    keys = rng.permutation(1000 * 1000)[:200_000]
    first, second, mated = keys // 1000, keys % 1000, rng.integers(0, 2, len(keys))
    (root / "meta" / "ijbb_template_pair_label.txt").write_bytes(
        b"".join(
            b"%d %d %d\n" % row
            for row in zip(
                (first + 50).tolist(), (second + 50).tolist(), mated.tolist(), strict=True
            )
        )
    )
    templates = TemplateIndex.from_columns(np.arange(50, 1050), np.zeros(1000, dtype=np.int32))
    pairs = read_ijb_pairs(root, dataset="ijbb", templates=templates, check_counts=False)
    assert pairs.first.nbytes + pairs.second.nbytes + pairs.mated.nbytes == 9 * 200_000
    assert np.array_equal(pairs.first, first)
    assert np.array_equal(pairs.second, second)
    assert np.array_equal(pairs.mated, mated == 1)


@pytest.mark.parametrize(
    ("data", "line", "says"),
    [
        ("1,400\n2,500\n", 1, "expected a header with the columns template_id and subject_id"),
        ("TEMPLATE_ID,SUBJECT_ID\n1,400\n2\n", 3, "expected at least 2 columns"),
        ("TEMPLATE_ID,SUBJECT_ID\n1,400\n2,Bob\n", 3, "subject_id: expected a whole number"),
        ("TEMPLATE_ID,SUBJECT_ID\n1,400\n1,401\n", 3, "subject 401 here and subject 400 in line 2"),
        ("TEMPLATE_ID,SUBJECT_ID\n9,1\n1,400\n7,2\n9,1\n", 2, "template 9 has no image"),
    ],
)
def test_a_broken_line_of_a_gallery_is_named(root: Path, data: str, line: int, says: str) -> None:
    (root / "meta" / "ijbb_1N_gallery_S2.csv").write_text(data)
    with pytest.raises(FileFormatError) as caught:
        read_ijb_identification(root, dataset="ijbb", templates=read_set(root).templates)
    assert str(caught.value).startswith(f"ijbb_1N_gallery_S2.csv, line {line}: ")
    assert says in str(caught.value)


def test_lower_case_headers_and_blanks_in_galleries_are_tolerated(root: Path) -> None:
    (root / "meta" / "ijbb_1N_gallery_S1.csv").write_text("template_id, subject_id\n1 , 400\n")
    task = read_ijb_identification(root, dataset="ijbb", templates=read_set(root).templates)
    assert task.galleries[0].subjects.tolist() == [400]


@pytest.mark.parametrize(
    "text",
    [
        "TEMPLATE_ID,SUBJECT_ID,FILENAME,SIGHTING_ID,FACE_X,FACE_Y,FACE_WIDTH,FACE_HEIGHT\n"
        "1,400,img/8.jpg,3,10,20,30,40\n1,400,img/9.jpg,4,11,21,31,41\n",
        'FILENAME,"Subject_ID","TEMPLATE_ID"\nimg/8.jpg,400,1\n',
    ],
)
def test_the_published_header_and_columns_by_name(root: Path, text: str) -> None:
    (root / "meta" / "ijbb_1N_gallery_S1.csv").write_text(text)
    given = read_set(root)
    task = read_ijb_identification(root, dataset="ijbb", templates=given.templates)
    assert given.templates.template_ids[task.galleries[0].templates].tolist() == [1]
    assert task.galleries[0].subjects.tolist() == [400]


def test_missing_or_empty_galleries_are_refused(root: Path) -> None:
    templates = read_set(root).templates
    path = root / "meta" / "ijbb_1N_probe_mixed.csv"
    path.write_text("TEMPLATE_ID,SUBJECT_ID\n")
    with pytest.raises(FileFormatError, match="header and nothing else"):
        read_ijb_identification(root, dataset="ijbb", templates=templates)
    path.write_text("")
    with pytest.raises(FileFormatError, match=r"probe_mixed\.csv is empty"):
        read_ijb_identification(root, dataset="ijbb", templates=templates)
    path.unlink()
    with pytest.raises(MissingFileError, match=r"ijbb_1N_gallery_S1.csv, ijbb_1N_gallery_S2.csv"):
        read_ijb_identification(root, dataset="ijbb", templates=templates)
