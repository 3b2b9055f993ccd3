"""Images that come later, whatever their names: nothing is embedded twice, lost, or changed."""

from __future__ import annotations

import shutil
import zipfile

import numpy as np
import pytest
from one_process import InOrder, Stopped
from shards import write_shard

from probefusion.archives import erase_from_archive, fuse_archive, open_archive
from probefusion.errors import ConfigError, FileFormatError
from probefusion.pipeline.embed_archive import embed_archive
from probefusion.types import TemplateSet
from probefusion.zoo import load_fuser

pytest.importorskip("onnx")
pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


@pytest.fixture
def run(tiny_embedder, tmp_path):
    """Embeds into tmp_path / name; gives report and folder."""

    def embed(source, name="out", *, engine=None, **options):
        given = {"embedder": tiny_embedder, "aligned": True, "chunk_size": 8, **options}
        report = embed_archive(source, tmp_path / name, engine=engine or InOrder(), **given)
        return report, tmp_path / name

    return embed


@pytest.fixture
def pool(people_folder):
    """Contents of image files."""
    return [path.read_bytes() for path in sorted(people_folder.rglob("*.png"))]


def fill(folder, names, pool):
    for number, name in enumerate(names):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(pool[(number + 7 * len(name)) % len(pool)])


OLD = [f"p{person:02d}/{image}.png" for person in range(10) for image in range(3)]
NEW = [
    "p03/00.png",
    "p03/9.png",
    "p07/1b.png",
    "aaa/1.png",
    "p05x/1.png",
    "p05x/2.png",
    "zzz/1.png",
]


def rows_of(folder):
    return {row["source"]: row for row in parquet.read_table(folder).to_pylist()}


def files_of(folder):
    return {path.name: path.read_bytes() for path in sorted(folder.glob("*.parquet"))}


def test_new_images_and_folders_of_any_name(tmp_path, run, pool):
    source = tmp_path / "faces"
    fill(source, OLD, pool)
    first, folder = run(source)
    assert (first.num_rows, first.num_chunks) == (30, 4)
    before = files_of(folder)
    fill(source, NEW, pool)
    engine = InOrder()
    report, _ = run(source, engine=engine)
    assert engine.done == [4]
    assert (report.num_rows, report.num_chunks, report.num_chunks_before) == (37, 5, 4)
    after = files_of(folder)
    assert {name: after[name] for name in before} == before
    found = rows_of(folder)
    assert sorted(found) == sorted(OLD + NEW)
    assert parquet.read_table(folder).num_rows == len(found)
    anew = rows_of(run(source, "anew")[1])
    for name, row in anew.items():
        assert found[name]["subject_id"] == row["subject_id"] == name.partition("/")[0]
        np.testing.assert_allclose(found[name]["embedding"], row["embedding"], atol=2e-3)
    engine = InOrder()  # once more, and once more with others
    assert run(source, engine=engine)[0].num_rows == 37
    assert engine.done == []
    fill(source, ["p00/zz.png"], pool)
    assert run(source, engine=engine)[0].num_rows == 38
    assert engine.done == [5]


@pytest.mark.parametrize("name", ["mean", "norm-weighted"])
def test_adding_them_to_states_is_a_full_run(tmp_path, run, pool, name):
    source = tmp_path / "faces"
    fill(source, OLD, pool)
    _, folder = run(source)
    fuser = load_fuser(name, num_threads=1)
    states = tmp_path / "states"
    fuse_archive(open_archive(folder), fuser, tmp_path / "a.npz", keep_states=states)
    fill(source, NEW, pool)
    run(source)
    report = fuse_archive(open_archive(folder), fuser, tmp_path / "b.npz", add_to=states)
    assert (report.num_passed_over, report.num_images) == (4, 37)
    fuse_archive(open_archive(folder), fuser, tmp_path / "c.npz")
    added, whole = (TemplateSet.load(tmp_path / name) for name in ("b.npz", "c.npz"))
    assert list(added) == list(whole)
    assert len(whole) == 13
    for person in whole:
        np.testing.assert_array_equal(added[person].vector, whole[person].vector)
        assert added[person].num_images == whole[person].num_images


def test_stopped_in_the_middle(tmp_path, run, pool):
    source = tmp_path / "faces"
    fill(source, OLD, pool)
    with pytest.raises(Stopped):
        run(source, engine=InOrder(order=reversed, most=2))  # chunks 2 and 3 are done
    shutil.copytree(tmp_path / "out", tmp_path / "other")
    fill(source, NEW, pool)
    report, folder = run(source)
    assert (report.num_rows, report.num_chunks_before) == (37, 2)
    assert sorted(rows_of(folder)) == sorted(OLD + NEW)
    with pytest.raises(Stopped):
        run(source, "other", engine=InOrder(order=reversed, most=1))
    assert run(source, "other")[0].num_chunks_before == 3
    assert files_of(tmp_path / "other") == files_of(folder)


def test_in_a_zip_archive(tmp_path, run, pool):
    def pack(names):
        with zipfile.ZipFile(tmp_path / "faces.zip", "w") as archive:
            for name in sorted(names):
                archive.write(tmp_path / "faces" / name, name)

    fill(tmp_path / "faces", OLD, pool)
    pack(OLD)
    run(tmp_path / "faces.zip")
    fill(tmp_path / "faces", NEW, pool)
    pack(OLD + NEW)
    report, folder = run(tmp_path / "faces.zip", engine=(engine := InOrder()))
    assert (engine.done, report.num_rows) == ([4], 37)
    assert sorted(rows_of(folder)) == sorted(OLD + NEW)
    fill(tmp_path / "faces", [OLD[3]], pool[::-1])
    pack(OLD + NEW)
    with pytest.raises(ConfigError, match=r"p01/0\.png was changed"):
        run(tmp_path / "faces.zip")


def test_of_all_kinds_at_once(tmp_path, run, pool):
    source = tmp_path / "mixed"
    fill(source, OLD[:10], pool)
    write_shard(source / "m.tar", [(f"s{k}/1.png", pool[k]) for k in range(3)])
    report, folder = run(source)
    assert (report.num_rows, report.num_chunks) == (13, 3)
    before = files_of(folder)
    fill(source, NEW, pool)
    write_shard(source / "a.tar", [(f"t{k}/1.png", pool[k]) for k in range(2)])
    report, _ = run(source, engine=(engine := InOrder()))
    assert (engine.done, report.num_rows) == ([3, 4], 13 + 7 + 2)
    assert {name: files_of(folder)[name] for name in before} == before
    (source / "m.tar").unlink()
    with pytest.raises(ConfigError, match=r"chunk 2 \(m\.tar\) was changed, or is not there"):
        run(source)


def test_clips_come_later(tmp_path, run, draw, videos, detector, embedder):
    source = tmp_path / "clips"

    def write(*names):
        for name in names:
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            videos.write_video(source / name, [draw(red=60)] * 4)

    given = {"embedder": embedder, "detector": detector, "aligned": False, "every": 2}
    write("ann/2.mp4", "ben/1.mp4")
    assert run(source, **given)[0].num_rows == 4
    write("ann/1.mp4", "carl/1.mp4")
    report, folder = run(source, engine=(engine := InOrder()), **given)
    assert (engine.done, report.num_rows) == ([1], 8)
    assert {row["subject_id"] for row in rows_of(folder).values()} == {"ann", "ben", "carl"}


def test_what_is_not_as_it_was_is_refused(tmp_path, run, pool):
    source = tmp_path / "faces"
    fill(source, OLD, pool)
    _, folder = run(source)
    before = files_of(folder)
    (source / OLD[4]).unlink()
    fill(source, NEW, pool)
    with pytest.raises(
        ConfigError,
        match=r"1 of the 8 images of chunk 0 are not there any more.*--force",
    ):
        run(source)
    fill(source, [OLD[4]], pool[::-1])
    with pytest.raises(ConfigError, match=r"p01/1\.png was changed.*--force"):
        run(source)
    assert files_of(folder) == before


def test_folders_that_would_be_other_people_are_refused(tmp_path, run, pool):
    source = tmp_path / "faces"
    fill(source, [f"all/{name}" for name in OLD], pool)
    _, folder = run(source)
    assert rows_of(folder)["all/p00/0.png"]["subject_id"] == "p00"
    fill(source, ["beside/1.png"], pool)
    with pytest.raises(ConfigError, match=r"lay 1 folders deep in the source, now 0.*Put new peop"):
        run(source)
    shutil.move(source / "beside", source / "all" / "beside")
    assert run(source)[0].num_rows == 31
    assert rows_of(folder)["all/beside/1.png"]["subject_id"] == "beside"


def test_who_was_erased_does_not_come_back(tmp_path, run, pool):
    source = tmp_path / "faces"
    fill(source, OLD, pool)
    _, folder = run(source)
    erase_from_archive(people=["p03"], archives=[folder], by="subject_id")
    fill(source, [name for name in NEW if not name.startswith("p03")], pool)
    report, _ = run(source, engine=(engine := InOrder()))
    assert engine.done == [4]
    found = rows_of(folder)
    assert report.num_rows == len(found) == 30 - 3 + 5
    assert not any(name.startswith("p03/") for name in found)
    text = (folder / "_embed_archive.json").read_text(encoding="utf-8")
    assert "p03" not in text


def test_a_damaged_file_is_named_with_what_to_do(tmp_path, run, pool):
    source = tmp_path / "faces"
    fill(source, OLD, pool)
    _, folder = run(source)
    expected = files_of(folder)
    for number in (1, 2):
        path = folder / f"chunk-000000{number}.parquet"
        path.write_bytes(path.read_bytes()[:500])
    told = r"2 of its 4 files cannot be read: chunk-0000001\.parquet .*Delete them and give the command"
    with pytest.raises(FileFormatError, match=told):
        run(source)
    for number in (1, 2):
        (folder / f"chunk-000000{number}.parquet").unlink()
    run(source, engine=(engine := InOrder()))
    assert engine.done == [1, 2]
    assert files_of(folder) == expected


def test_what_an_older_release_wrote(tmp_path, run, pool, monkeypatch):
    from probefusion.archives.images import chunk_file

    monkeypatch.setattr(chunk_file, "known_text", lambda names, marks: "")
    source = tmp_path / "faces"
    fill(source, OLD, pool)
    run(source)
    run(source, engine=(engine := InOrder()))  # unchanged, it is as before
    assert engine.done == []
    fill(source, NEW, pool)
    with pytest.raises(ConfigError, match=r"older release, which did not note .*--force"):
        run(source)


def test_images_that_could_not_be_used_are_mended_or_go(tmp_path, run, pool):
    source = tmp_path / "faces"
    fill(source, OLD, pool)
    for name in (OLD[2], OLD[5], OLD[20]):
        (source / name).write_bytes(b"broken")
    report, folder = run(source)
    assert (report.num_rows, report.num_skipped) == (27, 3)
    before = files_of(folder)
    fill(source, [OLD[2]], pool)
    (source / OLD[20]).unlink()
    report, _ = run(source, engine=(engine := InOrder()))
    assert engine.done == [4]
    assert (report.num_rows, [image.source for image in report.skipped]) == (28, [OLD[5]])
    assert {name: files_of(folder)[name] for name in before} == before
    assert sorted(rows_of(folder)) == sorted(set(OLD) - {OLD[5], OLD[20]})
    fill(source, [OLD[5], OLD[20]], pool)
    report, _ = run(source, engine=(engine := InOrder()))
    assert (engine.done, report.num_rows, report.num_skipped) == ([5], 30, 0)
    assert sorted(rows_of(folder)) == sorted(OLD)


def test_who_was_erased_may_go_from_the_source_or_change(tmp_path, run, pool):
    source = tmp_path / "faces"
    fill(source, OLD, pool)
    _, folder = run(source)
    erase_from_archive(people=["p03", "p04"], archives=[folder], by="subject_id")
    shutil.rmtree(source / "p03")
    fill(source, [name for name in OLD if name.startswith("p04/")], pool[::-1])
    fill(source, ["new/1.png"], pool)
    report, _ = run(source, engine=(engine := InOrder()))
    assert (engine.done, report.num_rows) == ([4], 25)
    expected = {name for name in OLD if name[:3] not in ("p03", "p04")} | {"new/1.png"}
    assert set(rows_of(folder)) == expected
