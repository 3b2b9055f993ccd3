"""Archives whose files are valid, but not what one expects: each is read right or refused, and the message says why."""

from __future__ import annotations

import io
import tarfile

import numpy as np
import pytest
import small_archive

from probefusion.archives import fuse_archive, open_archive
from probefusion.archives.files.storage import remove_folder
from probefusion.archives.images import PersonRule, SourceSettings, plan, plan_images
from probefusion.archives.images.reading import ImageReader
from probefusion.errors import DtypeError, FileFormatError, ShapeError
from probefusion.pipeline.load_archive import load_archive, people_of_archive
from probefusion.types import TemplateSet
from probefusion.zoo import load_fuser

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def write(path, ids, *, dim=8, metadata=None, lists=None):
    matrix = np.random.default_rng(0).standard_normal((len(ids), dim)).astype(np.float32)
    column = pyarrow.array(
        matrix.tolist() if lists is None else lists, pyarrow.list_(pyarrow.float32())
    )
    table = pyarrow.table({"template_id": ids, "embedding": column})
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(table.replace_schema_metadata(metadata or {}), path, row_group_size=1024)
    return path


def fuse(archive, output):
    return fuse_archive(open_archive(archive), load_fuser("mean"), output, screening=False)


def test_lists_of_other_lengths_are_refused(tmp_path) -> None:
    write(tmp_path / "a" / "0.parquet", [1, 2])
    write(tmp_path / "a" / "1.parquet", [1, 2], dim=9)
    with pytest.raises(ShapeError, match=r"embeddings of 1\.parquet.*\(8,\).*\(9,\)"):
        fuse(tmp_path / "a", tmp_path / "t.npz")
    rows = [[1.0, 2.0]] * 4096 + [[1.0, 2.0, 3.0]] * 4096
    mixed = write(tmp_path / "b.parquet", [1] * 8192, lists=rows)
    with pytest.raises(ShapeError, match=r"row 4096.*\(2,\).*\(3,\)"):
        fuse(mixed, tmp_path / "u.npz")


def test_large_integers_are_written_as_they_are(tmp_path) -> None:
    largest = 2**64 - 1
    archive = write(tmp_path / "a.parquet", pyarrow.array([largest, 5], pyarrow.uint64()))
    fuse(archive, tmp_path / "t.parquet")
    column = parquet.read_table(tmp_path / "t.parquet").column("template_id")
    assert (column.type, column.to_pylist()) == (pyarrow.uint64(), [largest, 5])
    assert list(TemplateSet.load(tmp_path / "t.parquet").ids) == [str(largest), "5"]


def test_texts_that_end_with_a_zero_character_are_refused(tmp_path) -> None:
    archive = write(tmp_path / "a.parquet", ["a", "a\0", "b"])
    with pytest.raises(DtypeError, match="zero character"):
        fuse(archive, tmp_path / "t.npz")


def test_a_column_that_is_there_twice_is_refused(tmp_path) -> None:
    table = parquet.read_table(write(tmp_path / "a.parquet", [1, 2]))
    twice = pyarrow.Table.from_arrays(
        [*table.columns, table.column("template_id")], names=[*table.column_names, "template_id"]
    )
    parquet.write_table(twice, tmp_path / "a.parquet")
    with pytest.raises(FileFormatError, match="expected one column 'template_id', got 2"):
        open_archive(tmp_path / "a.parquet")


def test_a_linked_work_folder_is_removed_with_what_it_leads_to(tmp_path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk" / "file").write_text("")
    (tmp_path / "work").symlink_to(tmp_path / "disk")
    remove_folder(tmp_path / "work")
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_replaced_while_the_run_is_under_way_is_left_out(tmp_path) -> None:
    write(tmp_path / "a" / "0.parquet", [1, 2])
    write(tmp_path / "a" / "1.parquet", [3, 4])
    archive = open_archive(tmp_path / "a")
    write(tmp_path / "a" / "1.parquet", [7, 4, 5])
    report = fuse_archive(archive, load_fuser("mean"), tmp_path / "t.npz", screening=False)
    assert [name for name, _ in report.failed_files] == ["1.parquet"]
    assert "was changed since the run began" in report.failed_files[0][1]
    assert sorted(TemplateSet.load(tmp_path / "t.npz").ids) == ["1", "2"]


def test_rows_are_named_by_their_file(tmp_path) -> None:
    columns = small_archive.rows(0, 20, 3)
    columns[1][7, 2] = np.nan
    small_archive.write(tmp_path / "a" / "x.parquet", columns)
    from probefusion.errors import NonFiniteError

    with pytest.raises(NonFiniteError, match=r"embedding 7 of x\.parquet"):
        fuse(tmp_path / "a", tmp_path / "t.npz")


@pytest.mark.parametrize("endings", [("cls", "json", "png"), ("png", "json", "cls")])
def test_samples_over_the_border_of_two_parts_are_whole(tmp_path, monkeypatch, endings) -> None:
    monkeypatch.setattr(plan, "_SHARD_BYTES", 20_000)
    content = {"png": b"\x89PNG\r\n\x1a\n" + bytes(5000), "json": b"{}" + b" " * 3000}
    with tarfile.open(tmp_path / "0.tar", "w") as tar:
        for number in range(40):
            for ending in endings:
                data = content.get(ending, b"p%d" % (number % 3))
                info = tarfile.TarInfo(f"{number:06d}.{ending}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))
    settings = SourceSettings(person=PersonRule.parse("cls"))
    chunks = plan_images(tmp_path / "0.tar", settings).chunks
    found = [image for chunk in chunks for image in ImageReader(settings).read(chunk)]
    assert len(chunks) > 10
    assert [(image.source, image.subject_id) for image in found] == [
        (f"0.tar/{number:06d}.png", f"p{number % 3}") for number in range(40)
    ]


def test_people_who_wait_have_no_more_images_than_allowed(tmp_path) -> None:
    archive = open_archive(write(tmp_path / "a.parquet", np.tile(np.arange(20), 6)))
    people = people_of_archive(archive, most_waiting=30)
    next(people)
    waiting = people.gi_frame.f_locals["waiting"]
    assert sum(person.num_images for person in waiting.values()) <= 30
    assert sorted(int(name) for name, _ in people) == list(range(1, 20))


def test_lengths_are_known_where_the_archive_says_so(tmp_path) -> None:
    archive = write(tmp_path / "a.parquet", [1, 2], metadata={"norms_known": "false"})
    assert [images.norms_known for _, images in people_of_archive(open_archive(archive))] == [
        False
    ] * 2


def test_nobody_is_loaded_of_an_archive_that_cannot_be_read_whole(tmp_path) -> None:
    from probefusion.gallery import Gallery

    write(tmp_path / "a" / "0.parquet", [1, 2])
    (tmp_path / "a" / "1.parquet").write_bytes(b"PAR1")
    with (
        Gallery(tmp_path / "g.db", fuser="mean") as gallery,
        pytest.raises(FileFormatError, match=r"1\.parquet.*nobody was loaded"),
    ):
        load_archive(gallery, open_archive(tmp_path / "a"))
