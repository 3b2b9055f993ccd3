"""The images of an archive become rows: the same on any engine, in any order, and after every stop."""

from __future__ import annotations

import os
import shutil
import zipfile

import numpy as np
import pytest
from one_process import InOrder, Stopped
from shards import write_shard

from probefusion.archives import open_archive
from probefusion.archives.engines.local import LocalEngine
from probefusion.archives.files.locks import LOCK_NAME
from probefusion.archives.images import skipped_images
from probefusion.errors import (
    ConfigError,
    EmptySetError,
    FileFormatError,
    MismatchError,
    OutputExistsError,
)
from probefusion.pipeline import Pipeline
from probefusion.pipeline import embed_archive as verb
from probefusion.pipeline.embed_archive import embed_archive

pytest.importorskip("onnx")
arrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def _files(folder):
    """Content of the files; of a folder's lock there is nothing to tell."""
    return {
        path.name: path.read_bytes() for path in sorted(folder.iterdir()) if path.name != LOCK_NAME
    }


def _rows(folder):
    return parquet.read_table(folder).to_pylist()


@pytest.fixture
def crops(people_folder, tmp_path):
    """`people_folder`, with two files that are no images."""
    folder = tmp_path / "people"
    shutil.copytree(people_folder, folder)
    (folder / "person_03" / "2.png").write_bytes(b"\x89PNG\r\n\x1a\nbroken")
    (folder / "person_07" / "9.jpg").write_bytes(b"")
    return folder


@pytest.fixture
def run(tiny_embedder, tmp_path):
    """Embeds into tmp_path / name; gives report and folder."""

    def embed(source, name="out", *, engine=None, **options):
        given = {"embedder": tiny_embedder, "aligned": True, "chunk_size": 13, **options}
        report = embed_archive(source, tmp_path / name, engine=engine or InOrder(), **given)
        return report, tmp_path / name

    return embed


def test_rows_are_those_that_embed_gives(crops, run, tiny_embedder):
    report, folder = run(crops, dtype="float32")
    assert (report.num_rows, report.num_skipped, report.num_chunks) == (72, 2, 6)
    assert [image.source for image in report.skipped] == ["person_03/2.png", "person_07/9.jpg"]
    rows = _rows(folder)
    assert [row["source"] for row in rows] == sorted(row["source"] for row in rows)
    pipeline = Pipeline(tiny_embedder, aligned=True)
    for person in ("person_03", "person_06"):
        expected = pipeline.embed(crops / person).embedding_set
        found = [row for row in rows if row["subject_id"] == person]
        assert [row["source"] for row in found] == [
            f"{person}/{name.rpartition('/')[2]}" for name in expected.sources
        ]
        embeddings = np.array([row["embedding"] for row in found])
        np.testing.assert_allclose(embeddings, expected.embeddings, rtol=1e-5, atol=1e-5)
        style = np.array([row["style"] for row in found]).reshape(expected.style.shape)
        np.testing.assert_allclose(style, expected.style, rtol=1e-5, atol=1e-5)
    archive = open_archive(folder)
    assert archive.embedder == pipeline.embedder.fingerprint == report.embedder
    assert list(skipped_images(folder)) == list(report.skipped)


def test_bit_identical_in_any_order_and_number_of_workers(crops, run):
    expected = _files(run(crops, "plain")[1])
    assert _files(run(crops, "backwards", engine=InOrder(order=reversed))[1]) == expected
    with LocalEngine(2) as engine:
        assert _files(run(crops, "two", engine=engine)[1]) == expected


def test_without_an_engine_the_cores_of_this_machine_work(crops, tiny_embedder, tmp_path, run):
    options = {"embedder": tiny_embedder, "aligned": True, "chunk_size": 13}
    report = embed_archive(crops, tmp_path / "plain", **options)
    assert (report.num_rows, report.num_skipped) == (72, 2)
    assert _files(tmp_path / "plain") == _files(run(crops)[1])


def test_goes_on_where_it_stopped(crops, run, tmp_path):
    expected = _files(run(crops, "whole")[1])
    with pytest.raises(Stopped):
        run(crops, engine=InOrder(order=reversed, most=2))
    assert sorted(_files(tmp_path / "out")) == [
        "_embed_archive.json",
        "chunk-0000004.parquet",
        "chunk-0000005.parquet",
    ]
    engine = InOrder()
    report, folder = run(crops, engine=engine)
    assert engine.done == [0, 1, 2, 3]
    assert (report.num_chunks_before, report.num_rows, report.num_skipped) == (2, 72, 2)
    assert _files(folder) == expected
    engine = InOrder()
    assert run(crops, engine=engine)[0].num_chunks_before == 6
    assert engine.done == []


def test_a_task_done_twice_is_not_done_again(crops, run, tmp_path, monkeypatch):
    class Twice(InOrder):
        def run(self, work, tasks):
            do = work.open()
            for place, task in enumerate(tasks):
                do(task)
                written = (tmp_path / "out" / f"chunk-{task[0]:07d}.parquet").stat().st_mtime_ns
                yield place, do(task)
                again = (tmp_path / "out" / f"chunk-{task[0]:07d}.parquet").stat().st_mtime_ns
                assert written == again

    assert run(crops, engine=Twice())[0].num_rows == 72


def test_what_does_not_fit_is_refused(crops, run, tiny_embedder, tmp_path):
    run(crops)
    with pytest.raises(ConfigError, match="was begun with dtype 'float16', got 'float32'"):
        run(crops, dtype="float32")
    with pytest.raises(ConfigError, match=r"model 'tiny@\w+', got 'compact_128d@"):
        run(crops, embedder="compact_128d")
    with (crops / "person_02" / "0.png").open("ab") as stream:
        stream.write(b"more")
    with pytest.raises(ConfigError, match=r"person_02/0\.png was changed.*--force"):
        run(crops)
    report, folder = run(crops, force=True)
    assert report.num_chunks_before == 0
    assert _files(folder) == _files(run(crops, "anew")[1])


def test_settings_may_change_while_nothing_is_done(crops, run, tmp_path):
    with pytest.raises(Stopped):
        run(crops, engine=InOrder(most=0))
    assert list(_files(tmp_path / "out")) == ["_embed_archive.json"]
    assert run(crops, dtype="float32")[0].num_rows == 72


def test_files_of_others_are_left_alone(crops, run, tmp_path):
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine.parquet").write_bytes(b"mine")
    for force in (False, True):
        with pytest.raises(OutputExistsError, match=r"mine.parquet"):
            run(crops, force=force)
    assert _files(tmp_path / "out") == {"mine.parquet": b"mine"}
    with pytest.raises(ConfigError, match="outside of the source"):
        run(crops, "people/out")


def test_new_shards_come_behind_the_old_ones(people_folder, run, tmp_path):
    names = sorted(
        path.relative_to(people_folder).as_posix() for path in people_folder.rglob("*.png")
    )
    members = [(name, (people_folder / name).read_bytes()) for name in names]
    shards = tmp_path / "shards"
    shards.mkdir()
    write_shard(shards / "000.tar", members[:30])
    write_shard(shards / "001.tar", members[30:50])
    run(shards)
    write_shard(shards / "002.tar", members[50:])
    engine = InOrder()
    report, folder = run(shards, engine=engine)
    assert engine.done == [2]
    assert (report.num_rows, report.num_chunks_before) == (len(members), 2)
    assert _files(folder) == _files(run(shards, "anew")[1])
    plain = {row["source"]: row for row in _rows(run(people_folder, "plain", chunk_size=1000)[1])}
    rows = _rows(folder)
    assert [row["source"][8:] for row in rows] == names
    for row in rows:
        expected = plain[row["source"][8:]]
        assert row["subject_id"] == expected["subject_id"]
        np.testing.assert_allclose(row["embedding"], expected["embedding"], rtol=1e-3, atol=1e-3)


def test_every_kind_of_source_gives_the_same_people(people_folder, run, tmp_path):
    names = sorted(
        path.relative_to(people_folder).as_posix() for path in people_folder.rglob("*.png")
    )
    contents = [(people_folder / name).read_bytes() for name in names]
    people = [name.partition("/")[0] for name in names]
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as archive:
        for name, content in reversed(list(zip(names, contents, strict=True))):
            archive.writestr(f"faces/{name}", content)
    write_shard(
        tmp_path / "all.tar",
        [
            member
            for k, (person, content) in enumerate(zip(people, contents, strict=True))
            for member in ((f"{k:06d}.png", content), (f"{k:06d}.cls", person.encode()))
        ],
    )
    table = arrow.table({"jpg": contents, "who": people})
    parquet.write_table(table, tmp_path / "all.parquet", row_group_size=20)
    expected = [(row["subject_id"], row["embedding"]) for row in _rows(run(people_folder, "a")[1])]
    for name, options in (
        ("all.zip", {}),
        ("all.tar", {"person": "cls"}),
        ("all.parquet", {"person": "column:who", "image_column": "jpg"}),
    ):
        found = _rows(run(tmp_path / name, f"out {name}", **options)[1])
        assert [row["subject_id"] for row in found] == [person for person, _ in expected]
        np.testing.assert_allclose(
            [row["embedding"] for row in found],
            [embedding for _, embedding in expected],
            rtol=2e-3,
            atol=2e-3,
        )


def test_broken_shards_are_named_and_the_rest_is_done(people_folder, run, tmp_path):
    names = sorted(
        path.relative_to(people_folder).as_posix() for path in people_folder.rglob("*.png")
    )
    members = [(name, (people_folder / name).read_bytes()) for name in names[:20]]
    members[5] = (members[5][0], members[5][1][:200])
    shards = tmp_path / "shards"
    shards.mkdir()
    write_shard(shards / "0.tar", members)
    content = write_shard(shards / "1.tar", members[:4]).read_bytes()
    (shards / "1.tar").write_bytes(content[: len(members[0][1]) + 2000])
    (shards / "2.tar").write_bytes(b"no shard" * 1000)
    report, folder = run(shards)
    assert report.num_rows == 20
    told = [(image.source, image.reason.partition(":")[0]) for image in report.skipped]
    assert told[0][0] == f"0.tar/{members[5][0]}"
    assert told[1][0] == "1.tar"
    assert "cut off inside of" in told[1][1]
    assert told[2][0] == "2.tar"
    assert len(told) == report.num_skipped == 3
    assert parquet.read_metadata(folder / "chunk-0000002.parquet").num_rows == 0


def test_names_of_people_that_are_none(people_folder, run, tmp_path):
    image = (people_folder / "person_00" / "0.png").read_bytes()
    people = [b"ann", b"x" * 257, b"be\0n", "ü".encode() * 256, b""]
    sides = [(f"{k}.txt", name) for k, name in enumerate(people)]
    images = [(f"{k}.png", image) for k in range(len(people))]
    pairs = [entry for pair in zip(images, sides, strict=True) for entry in pair]
    report, folder = run(write_shard(tmp_path / "0.tar", pairs), person="txt")
    assert [row["subject_id"] for row in _rows(folder)] == ["ann", "ü" * 256]
    told = {image.source: image.reason for image in report.skipped}
    assert sorted(told) == ["0.tar/1.png", "0.tar/2.png", "0.tar/4.png"]
    assert "at most 256 characters and no zero character, got 257" in told["0.tar/1.png"]
    assert open_archive(folder).num_images == 2


def test_rows_that_are_not_all_there_are_no_archive(crops, run):
    with pytest.raises(Stopped):
        run(crops, "all/rows", engine=InOrder(most=4))
    folder = crops.parent / "all" / "rows"
    told = r"rows: expected the 6 files .* 2 are not there \(chunk-0000004.parquet is the first\)"
    for place in (folder, folder.parent):  # folders of such folders too
        with pytest.raises(FileFormatError, match=told):
            open_archive(place)
    assert open_archive(folder / "chunk-0000000.parquet").files[0].num_rows == 12
    report, _ = run(crops, "all/rows")
    for place in (folder, folder.parent):
        assert sum(file.num_rows for file in open_archive(place).files) == report.num_rows == 72


def test_one_run_at_a_time_and_no_drafts_of_killed_ones(crops, run, tmp_path):
    class Meanwhile(InOrder):
        def run(self, work, tasks):
            with pytest.raises(MismatchError, match="another embed-archive writes there"):
                run(crops)
            yield from super().run(work, tasks)

    old, new = (tmp_path / "out" / f".probefusion-{digit * 16}" for digit in "ab")
    (tmp_path / "out").mkdir()
    for draft in (old, new):
        draft.write_bytes(b"half")
    os.utime(old, (1, 1))
    report, folder = run(crops, engine=Meanwhile())
    assert report.num_rows == 72
    assert not old.exists()
    assert new.exists()  # somebody may be writing it
    new.unlink()
    assert _files(folder) == _files(run(crops, "plain")[1])


def test_nothing_usable_is_an_error_and_done_all_the_same(tmp_path, run):
    for name in ("a/1.jpg", "b/2.jpg"):
        (tmp_path / "src" / name).parent.mkdir(parents=True)
        (tmp_path / "src" / name).write_bytes(b"no image")
    for _ in range(2):
        with pytest.raises(EmptySetError, match=r"none of 2 images could be used: a/1.jpg"):
            run(tmp_path / "src", engine=(engine := InOrder()))
    assert engine.done == []


def test_people_who_are_named_nowhere_are_noticed_before_the_work(people_folder, run, tmp_path):
    flat = tmp_path / "flat"
    flat.mkdir()
    shutil.copy(people_folder / "person_00" / "0.png", flat / "1.png")
    engine = InOrder()
    with pytest.raises(
        ConfigError, match=r"--person folder .* named none of 1 .*: 1.png: whose is it"
    ):
        run(flat, engine=engine)
    assert engine.done == []
    assert not (tmp_path / "out").exists()  # so another rule can be tried
    (flat / "ann").mkdir()
    shutil.copy(people_folder / "person_00" / "0.png", flat / "ann" / "1.png")
    report, _ = run(flat, chunk_size=1)
    assert (report.num_rows, report.num_skipped) == (1, 1)


def test_crops_that_are_not_aligned_are_refused_before_the_work(crops, run, monkeypatch):
    seen = []

    def refuse(images, read, *, name, is_trusted, **options):
        seen.append((len(images), is_trusted))
        if not is_trusted:
            raise ConfigError(f"{name}: not aligned")

    monkeypatch.setattr(verb, "check_data_aligned", refuse)
    engine = InOrder()
    with pytest.raises(ConfigError, match="--aligned: not aligned"):
        run(crops, engine=engine)
    assert engine.done == []
    assert seen[0][0] >= 60
    assert run(crops, trust_alignment=True)[0].num_rows == 72


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"aligned": False}, "photos need a face detector"),
        ({"detector": "yunet_2023mar"}, "expected one of the two"),
        ({"chunk_size": 0}, "chunk_size: expected at least 1"),
        ({"dtype": "int8"}, "dtype: expected 'float16' or 'float32'"),
        ({"person": "who"}, "--person"),
    ],
)
def test_wrong_settings(crops, run, options, expected):
    with pytest.raises(ConfigError, match=expected):
        run(crops, **options)


def test_progress_counts_what_was_done_before_too(crops, run):
    seen = []
    run(crops)
    run(crops, progress=lambda done, total: seen.append((done, total)))
    assert seen[-1] == (74, 74)
