"""Files of an archive that are replaced, mended or seen again between runs: nothing old stays, nothing counts twice."""

from __future__ import annotations

import json
import os
import shutil
import sys

import numpy as np
import pytest
import small_archive

from probefusion.archives import erase_from_archive, fuse_archive, open_archive
from probefusion.archives.fusing import planning
from probefusion.archives.partials import partial_batches
from probefusion.archives.states.states import open_states
from probefusion.errors import MismatchError, MissingNormsError, OutputExistsError
from probefusion.files.hashed_json import hashed_json
from probefusion.types import TemplateSet
from probefusion.zoo import load_fuser

pyarrow = pytest.importorskip("pyarrow")
parquet = pytest.importorskip("pyarrow.parquet")


def fuse(archive, output, fuser="mean", **options):
    return fuse_archive(
        open_archive(archive), load_fuser(fuser), output, screening=False, force=True, **options
    )


def write(path, ids, rows):
    lists = pyarrow.FixedSizeListArray.from_arrays(pyarrow.array(rows.ravel()), rows.shape[1])
    path.parent.mkdir(exist_ok=True)
    parquet.write_table(pyarrow.table({"template_id": ids, "embedding": lists}), path)
    return path


def interrupt(monkeypatch, archive, output, **options):
    """A run that is killed when all is read."""

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(sys.modules["probefusion.archives.fusing.archive_run"], "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            fuse(archive, output, **options)


@pytest.mark.parametrize("way", ["moved", "written over"])
def test_a_file_of_the_same_size_and_time_is_read_again(tmp_path, monkeypatch, way) -> None:
    columns = small_archive.rows(0, 90, 6)
    other = (columns[0], -columns[1], *columns[2:])
    for folder, content in (("archive", columns), ("fresh", other)):
        small_archive.write_folder(tmp_path / folder, content, num_files=2)
    shutil.copy2(tmp_path / "archive" / "part-01.parquet", tmp_path / "fresh")
    old, new = (tmp_path / name / "part-00.parquet" for name in ("archive", "fresh"))
    found = old.stat()
    os.utime(new, ns=(found.st_atime_ns, found.st_mtime_ns))
    assert new.stat().st_size == found.st_size
    output = tmp_path / "t.npz"
    interrupt(monkeypatch, tmp_path / "archive", output)
    if way == "moved":
        shutil.copy2(new, tmp_path / "moved")
        (tmp_path / "moved").replace(old)
    else:
        shutil.copy2(new, old)
    assert (old.stat().st_size, old.stat().st_mtime_ns) == (found.st_size, found.st_mtime_ns)
    report = fuse(tmp_path / "archive", output)
    fuse(tmp_path / "fresh", tmp_path / "u.npz")
    assert report.resumed_at == 45  # the other file's rows
    assert output.read_bytes() == (tmp_path / "u.npz").read_bytes()


def test_a_file_whose_permissions_change_while_it_is_read_is_the_same(
    tmp_path, monkeypatch
) -> None:
    from probefusion.archives.fusing import mapping

    path = small_archive.write(tmp_path / "a.parquet", small_archive.rows(0, 30, 3))
    real = mapping.chunk_partials

    def chunk_partials(*arguments):
        path.chmod(0o600)
        os.link(path, tmp_path / "snapshot")
        return real(*arguments)

    monkeypatch.setattr(mapping, "chunk_partials", chunk_partials)
    assert fuse(path, tmp_path / "t.npz").failed_files == ()


def test_arrays_that_are_replaced_while_they_are_read_are_left_out(tmp_path, monkeypatch) -> None:
    from probefusion.archives.fusing import mapping
    from probefusion.errors import FileFormatError

    np.save(tmp_path / "template_ids.npy", np.arange(30))
    rows = np.random.default_rng(0).standard_normal((30, 8)).astype(np.float32)
    np.save(tmp_path / "embeddings.npy", rows)
    real = mapping.chunk_partials

    def chunk_partials(*arguments):
        (tmp_path / "embeddings.npy").unlink()
        np.save(tmp_path / "embeddings.npy", -rows)
        return real(*arguments)

    monkeypatch.setattr(mapping, "chunk_partials", chunk_partials)
    with pytest.raises(FileFormatError, match="was changed since the run began"):
        fuse(tmp_path, tmp_path / "t.npz")


def test_unit_rows_are_refused_in_whichever_file_they_stand(tmp_path) -> None:
    rng = np.random.default_rng(0)
    raw = 20 * rng.standard_normal((5000, 8)).astype(np.float32)
    unit = raw / np.linalg.norm(raw, axis=1, keepdims=True)
    ids = np.arange(5000) % 7
    write(tmp_path / "a" / "0.parquet", ids, raw)
    fuse(tmp_path / "a", tmp_path / "t.npz", "norm-weighted")
    write(tmp_path / "a" / "1.parquet", ids, unit)
    with pytest.raises(MissingNormsError, match=r"1\.parquet, counted from row 0"):
        fuse(tmp_path / "a", tmp_path / "t.npz", "norm-weighted")
    assert fuse(tmp_path / "a", tmp_path / "u.npz").num_images == 10_000  # weighs by no length
    write(tmp_path / "b" / "0.parquet", ids, np.concatenate([raw[:4096], unit[4096:]]))
    with pytest.raises(MissingNormsError, match=r"0\.parquet, counted from row 4096"):
        fuse(tmp_path / "b", tmp_path / "v.npz", "norm-weighted")


def test_a_first_file_that_is_mended_may_be_of_another_type(tmp_path) -> None:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((40, 8))
    ids = np.arange(40) % 5
    first = tmp_path / "a" / "0.parquet"
    write(first, ids, rows.astype(np.float16))
    write(tmp_path / "a" / "1.parquet", ids, rows)
    whole, first_bytes = tmp_path / "whole.npz", first.read_bytes()
    first.write_bytes(b"PAR1 broken")
    report = fuse(tmp_path / "a", tmp_path / "t.npz")
    assert [name for name, _ in report.failed_files] == ["0.parquet"]
    first.write_bytes(first_bytes)
    report = fuse(tmp_path / "a", tmp_path / "t.npz")
    assert (report.num_images, report.resumed_at, report.failed_files) == (80, 40, ())
    fuse(tmp_path / "a", whole)
    found, expected = TemplateSet.load(tmp_path / "t.npz"), TemplateSet.load(whole)
    np.testing.assert_allclose(found.vectors, expected.vectors, atol=1e-6)


def test_files_that_were_fused_are_passed_over_where_new_ones_come(tmp_path) -> None:
    columns = small_archive.rows(0, 100, 6)
    archive = small_archive.write_folder(tmp_path / "archive", columns, num_files=3)
    states, output = tmp_path / "states", tmp_path / "t.npz"
    fuse(archive, output, keep_states=states)
    with pytest.raises(MismatchError, match=r"already, and so were the other 2\. Give new files"):
        fuse(archive, output, add_to=states)
    more = small_archive.rows(1, 20, 6)
    small_archive.write(archive / "part-03.parquet", more)
    report = fuse(archive, output, add_to=states)
    assert (report.num_passed_over, report.num_images) == (3, 120)
    fuse(archive, tmp_path / "u.npz")
    assert output.read_bytes() == (tmp_path / "u.npz").read_bytes()
    small_archive.write(archive / "part-04.parquet", small_archive.rows(2, 20, 6))
    small_archive.write(archive / "part-00.parquet", small_archive.rows(3, 20, 6))
    with pytest.raises(MismatchError, match=r"part-00\.parquet: .* was changed since"):
        fuse(archive, output, add_to=states)


def test_states_of_the_former_format_are_added_to_and_erased_from(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(planning, "_FEWEST_ROWS", 400)
    monkeypatch.setattr(planning, "_MOST_ROWS", 400)
    columns = small_archive.rows()
    archive = small_archive.write_folder(tmp_path / "archive", columns, num_files=5)
    new = tmp_path / "new"
    new.mkdir()
    (archive / "part-04.parquet").rename(new / "part-04.parquet")
    states, output = tmp_path / "states", tmp_path / "t.npz"
    with monkeypatch.context() as patch:
        patch.setattr(partial_batches, "_TEMPLATE", "no column")  # one checksum for all people
        fuse(archive, output, keep_states=states)
    card = states / "states.json"
    plain = json.loads(card.read_bytes())
    del plain["content_sha256"], plain["layers"], plain["settings"]["norms_seen"]
    for fused in plain["files"]:
        del fused["file"]["stamp"]
    card.write_bytes(hashed_json(plain | {"format_version": 1}))
    fuse(new, output, add_to=states)
    assert (open_states(states).format_version, len(open_states(states).layers)) == (2, 1)
    shutil.copytree(archive, tmp_path / "whole", dirs_exist_ok=True)
    shutil.copy2(new / "part-04.parquet", tmp_path / "whole")
    fuse(tmp_path / "whole", tmp_path / "u.npz")
    assert output.read_bytes() == (tmp_path / "u.npz").read_bytes()
    options = {"archives": [archive, new], "states": states, "fuser": load_fuser("mean")}
    receipt = erase_from_archive(people=[5], images=["0-0.jpg"], templates=output, **options)
    found = TemplateSet.load(output)
    assert receipt.recomputed == (int(columns[0][0]),)
    gone = (columns[0] == 5).sum() + 1
    assert sum(found[name].num_images for name in found.ids) == 400 - gone


def test_a_folder_of_rows_that_would_go_holds_nothing_else(tmp_path) -> None:
    from probefusion.pipeline.fuse_images import fuse_images

    notes = tmp_path / "t.npz.rows" / "notes.txt"
    notes.parent.mkdir()
    notes.write_text("mine")
    with pytest.raises(OutputExistsError, match=r"holds other files, as notes\.txt"):
        fuse_images(tmp_path, tmp_path / "t.npz", fuser="mean", embedding={"aligned": True})
    assert notes.read_text() == "mine"


def test_who_is_erased_from_rows_leaves_no_name_in_what_is_told_of_images(tmp_path) -> None:
    columns = small_archive.rows(0, 30, 3, text=True)
    path = small_archive.write(tmp_path / "chunk-0000000.parquet", columns)
    name = columns[0][0]
    facts = {
        "number": 0,
        "tag": "t",
        "num_rows": 30,
        "skipped": [
            {"source": f"{name}/dark.jpg", "reason": "no face"},
            {"source": "somebody/dark.jpg", "reason": "no face"},
        ],
        "doubtful": {"tiny": 2},
        "examples": {"tiny": [f"{name}/small.jpg", "somebody/small.jpg"]},
    }
    table = parquet.read_table(path)
    metadata = {**table.schema.metadata, b"probefusion_chunk": json.dumps(facts).encode()}
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    erase_from_archive(people=[name], archives=[path])
    kept = parquet.read_schema(path).metadata
    told = json.loads(kept[b"probefusion_chunk"])
    assert told["num_rows"] == parquet.read_metadata(path).num_rows == (columns[0] != name).sum()
    assert told["skipped"] == [{"source": "somebody/dark.jpg", "reason": "no face"}]
    assert told["examples"] == {"tiny": ["somebody/small.jpg"]}
    assert kept[b"embedder"] == b"net@1"
    assert name.encode() not in path.read_bytes()


def test_who_is_erased_is_not_taken_for_others_whose_names_begin_alike(tmp_path) -> None:
    columns = small_archive.rows(0, 30, 3, text=True)
    path = small_archive.write(tmp_path / "chunk-0000000.parquet", columns)
    name = str(columns[0][0])
    his = [f"{name}/1.jpg", f"faces.zip/{name}/2.jpg", f"clips/{name}.mp4#t=1.000", f"{name}.png"]
    others = [f"{name}0/1.jpg", f"x{name}/1.jpg", f"{name}.5/1.jpg", f"somebody/{name} and me.jpg"]
    skipped = [{"source": source, "reason": "no face"} for source in [*his, *others]]
    facts = {"number": 0, "tag": "t", "num_rows": 30, "skipped": skipped}
    table = parquet.read_table(path)
    metadata = {**table.schema.metadata, b"probefusion_chunk": json.dumps(facts).encode()}
    parquet.write_table(table.replace_schema_metadata(metadata), path)
    erase_from_archive(people=[name], archives=[path])
    told = json.loads(parquet.read_schema(path).metadata[b"probefusion_chunk"])
    assert [image["source"] for image in told["skipped"]] == others


def test_templates_of_ids_of_another_kind_are_refused(tmp_path) -> None:
    texts = small_archive.rows(0, 30, 3, text=True)
    texts = (np.array([name.removeprefix("person ") for name in texts[0]]), *texts[1:])
    archive = small_archive.write(tmp_path / "a.parquet", texts)
    numbers = small_archive.write(tmp_path / "b.parquet", small_archive.rows(0, 30, 3))
    fuse(numbers, tmp_path / "t.npz")
    before = archive.read_bytes(), (tmp_path / "t.npz").read_bytes()
    with pytest.raises(MismatchError, match="their ids are integers, those of the archive"):
        erase_from_archive(people=["5"], archives=[archive], templates=tmp_path / "t.npz")
    assert (archive.read_bytes(), (tmp_path / "t.npz").read_bytes()) == before
