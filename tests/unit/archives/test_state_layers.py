"""States in layers: what is added costs what is new; whatever is added, erased or killed ends as if there were none."""

from __future__ import annotations

import shutil
import sys
from itertools import pairwise

import numpy as np
import pytest
import small_archive

from probefusion.archives import erase_from_archive, fuse_archive, open_archive
from probefusion.archives.fusing import planning
from probefusion.archives.partials import bucket_entries, encoding
from probefusion.archives.partials.bucket_entries import stored_entries
from probefusion.archives.partials.partials import open_partials
from probefusion.archives.states import states
from probefusion.archives.states.states import open_states
from probefusion.errors import IntegrityError, MissingFileError
from probefusion.types import TemplateSet
from probefusion.zoo import load_fuser

pytest.importorskip("pyarrow")

BORDERS = (0, 300, 330, 360, 400)
"""Rows of the first run, and of three additions."""


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch):
    monkeypatch.setattr(planning, "_FEWEST_ROWS", 50)
    monkeypatch.setattr(planning, "_MOST_ROWS", 50)


@pytest.fixture(params=["integers", "texts"])
def columns(request):
    return small_archive.rows(text=request.param == "texts")


def write_parts(tmp_path, columns, keeps=slice(None)):
    """The rows in four files of one folder, and each in a folder of its own."""
    number = np.arange(len(columns[0]))[keeps]
    folders = []
    for part, (start, stop) in enumerate(pairwise(BORDERS)):
        chosen = number[(number >= start) & (number < stop)]
        path = small_archive.write(tmp_path / "whole" / f"{part}.parquet", columns, chosen)
        folders.append(tmp_path / f"folder{part}")
        folders[-1].mkdir()
        shutil.copy2(path, folders[-1])
    return tmp_path / "whole", folders


def add_all(folders, fuser, output, kept, **options):
    """The first run and the additions."""
    fuse_archive(open_archive(folders[0]), fuser, output, keep_states=kept, **options)
    for folder in folders[1:]:
        fuse_archive(open_archive(folder), fuser, output, add_to=kept, force=True, **options)


def records(folder):
    """Of everybody who is stored the last record, but for which rows were kept to be looked at."""
    stored = open_states(folder)
    found = {}
    for bucket, layers in enumerate(stored.buckets(folder)):
        for entry in stored_entries(layers, bucket, stored.settings.num_buckets):
            with open_partials(entry.source.place) as file:
                part = file.read(entry.batch)
            places = np.arange(len(part)) if entry.picks is None else entry.picks
            for place, name in zip(places.tolist(), part.ids[places].tolist(), strict=True):
                own = part.chosen(np.array([place]))
                assert name not in found
                state = (int(own.num_images[0]), own.states.tobytes())
                template = own.extra["template"].tobytes()
                found[name] = (int(own.first[0]), state, template, len(own.embeddings))
    return found


@pytest.mark.parametrize("kind", ["mean", "exact"])
def test_additions_give_what_one_run_gives_to_the_bit(
    tmp_path, columns, fuser_folders, kind
) -> None:
    fuser = load_fuser(fuser_folders.get(kind, kind))
    whole, folders = write_parts(tmp_path, columns)
    fuse_archive(open_archive(whole), fuser, tmp_path / "whole.npz", keep_states=tmp_path / "once")
    add_all(folders, fuser, tmp_path / "added.npz", tmp_path / "kept")
    assert (tmp_path / "added.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert len(open_states(tmp_path / "kept").layers) == 3
    assert records(tmp_path / "kept") == records(tmp_path / "once")


def test_a_layer_holds_only_whom_something_was_added_to(tmp_path) -> None:
    columns = small_archive.rows()
    few = tuple(column[:20] for column in columns)
    few = (np.where(np.arange(20) < 10, 3, 77), *few[1:])
    old = small_archive.write(tmp_path / "old" / "a.parquet", columns)
    new = small_archive.write(tmp_path / "new" / "b.parquet", few)
    kept, fuser = tmp_path / "kept", load_fuser("mean")
    fuse_archive(open_archive(old), fuser, tmp_path / "t.npz", keep_states=kept)
    before = {path: path.stat().st_ino for path in kept.glob("*/*.arrow")}
    report = fuse_archive(open_archive(new), fuser, tmp_path / "t.npz", add_to=kept, force=True)
    assert (report.num_images, report.num_templates) == (420, 24)
    stored = open_states(kept)
    names = set()
    for path in (kept / stored.layers[0]).iterdir():
        with open_partials(str(path)) as file:
            names |= set(file.people(0).ids.tolist())
    assert names == {3, 77}
    assert all(path.stat().st_ino == number for path, number in before.items())


@pytest.mark.parametrize(
    ("name", "value"), [("_MOST_LAYERS", 1), ("_SMALLEST_BYTES", 0), ("_LARGEST_ADDITION", 0.0)]
)
def test_layers_that_are_many_or_large_are_written_together(
    tmp_path, monkeypatch, name, value
) -> None:
    columns = small_archive.rows()
    fuser, kept = load_fuser("mean"), tmp_path / "kept"
    whole, folders = write_parts(tmp_path, columns)
    fuse_archive(open_archive(whole), fuser, tmp_path / "whole.npz")
    monkeypatch.setattr(states, name, value)
    monkeypatch.setattr(states, "_LARGEST_SHARE", 0.01)
    add_all(folders, fuser, tmp_path / "added.npz", kept)
    assert len(open_states(kept).layers) < 3
    assert (tmp_path / "added.npz").read_bytes() == (tmp_path / "whole.npz").read_bytes()
    named = set(open_states(kept).generations)
    assert {path.name for path in kept.iterdir() if path.is_dir()} == named


def test_people_are_erased_from_all_layers(tmp_path, columns) -> None:
    fuser, kept, output = load_fuser("mean"), tmp_path / "kept", tmp_path / "t.npz"
    _, folders = write_parts(tmp_path, columns)
    add_all(folders, fuser, output, kept)
    gone = columns[0][[0, 310, 399]].tolist()
    before = records(kept)
    erase_from_archive(people=gone, states=kept, templates=output)
    assert records(kept) == {name: found for name, found in before.items() if name not in gone}
    for path in kept.glob("*/*.arrow"):
        with open_partials(str(path)) as file:
            for index in range(file.num_batches):
                assert not set(file.people(index).ids.tolist()) & set(gone)
    assert not {str(name) for name in gone} & set(TemplateSet.load(output).ids)


def test_images_are_erased_from_layers_and_the_rest_is_as_if_never_held(
    tmp_path, fuser_folders, monkeypatch
) -> None:
    monkeypatch.setattr(planning, "_FEWEST_ROWS", 400)  # a file is one chunk, whatever is erased
    monkeypatch.setattr(planning, "_MOST_ROWS", 400)
    columns = small_archive.rows()
    fuser, kept, output = load_fuser(fuser_folders["exact"]), tmp_path / "kept", tmp_path / "t.npz"
    _, folders = write_parts(tmp_path, columns)
    add_all(folders, fuser, output, kept)
    rows = [3, 299, 305, 340, 399]
    erase_from_archive(
        images=columns[3][rows].tolist(),
        archives=folders,
        states=kept,
        templates=output,
        fuser=fuser,
    )
    keeps = np.ones(400, bool)
    keeps[rows] = False
    (tmp_path / "never").mkdir()
    _, others = write_parts(tmp_path / "never", columns, keeps)
    add_all(others, fuser, tmp_path / "never.npz", tmp_path / "other")
    assert output.read_bytes() == (tmp_path / "never.npz").read_bytes()
    mine, other = records(kept), records(tmp_path / "other")
    assert {name: found[1:] for name, found in mine.items()} == {
        name: found[1:] for name, found in other.items()
    }


def test_an_erasure_that_is_cut_off_between_layers_can_be_repeated(tmp_path, monkeypatch) -> None:
    from probefusion.archives.erasing import erased_states

    columns = small_archive.rows()
    fuser, kept, output = load_fuser("mean"), tmp_path / "kept", tmp_path / "t.npz"
    _, folders = write_parts(tmp_path, columns)
    add_all(folders, fuser, output, kept, screening=False)
    before = records(kept)
    options = {"images": ["0-0.jpg"], "archives": folders, "states": kept, "fuser": fuser}
    options |= {"templates": output}
    person = int(columns[0][0])
    real, calls = erased_states.ErasedStates._write_layer, []

    def write(self, place, names, more):
        if calls:
            raise KeyboardInterrupt
        calls.append(place)
        real(self, place, names, more)

    with monkeypatch.context() as patch:
        patch.setattr(erased_states.ErasedStates, "_write_layer", write)
        with pytest.raises(KeyboardInterrupt):
            erase_from_archive(**options)
    assert records(kept) == before  # of whom a layer holds a record that one holds still
    erase_from_archive(**options)
    after = records(kept)
    assert after[person][1][0] == before[person][1][0] - 1
    assert {name: found for name, found in after.items() if name != person} == {
        name: found for name, found in before.items() if name != person
    }


@pytest.mark.parametrize("step", ["finish", "commit", "reduce"])
def test_an_addition_that_is_killed_is_repeated_and_gives_the_same(
    tmp_path, monkeypatch, step
) -> None:
    columns = small_archive.rows()
    fuser, kept, output = load_fuser("mean"), tmp_path / "kept", tmp_path / "t.npz"
    whole, folders = write_parts(tmp_path, columns)
    fuse_archive(open_archive(whole), fuser, tmp_path / "whole.npz")
    add_all(folders[:3], fuser, output, kept)
    run = sys.modules["probefusion.archives.fusing.archive_run"]
    reduce = sys.modules["probefusion.archives.fusing.reducing"]
    real, calls = reduce.stored_entries, []

    def stop(*arguments, **options):
        calls.append(arguments)
        if step == "reduce" and len(calls) < 4:
            return real(*arguments, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(*((reduce, "stored_entries") if step == "reduce" else (run, step)), stop)
        with pytest.raises(KeyboardInterrupt):
            fuse_archive(open_archive(folders[3]), fuser, output, add_to=kept, force=True)
    assert len(open_states(kept).layers) == 2
    draft = kept / open_states(kept).generation / f".probefusion-{'0' * 16}"
    draft.write_bytes(b"half written")
    fuse_archive(open_archive(folders[3]), fuser, output, add_to=kept, force=True)
    assert output.read_bytes() == (tmp_path / "whole.npz").read_bytes()
    assert not draft.exists()
    assert not list(tmp_path.glob("*.work"))


def test_two_ids_of_one_hash_stay_two_people_in_layers(tmp_path, monkeypatch) -> None:
    from probefusion.archives.fusing import mapping

    def same(ids):
        return np.full(len(ids), 1 << 40, np.uint64)

    monkeypatch.setattr(mapping, "hash_ids", same)
    columns = small_archive.rows(text=True)
    fuser, kept, output = load_fuser("mean"), tmp_path / "kept", tmp_path / "t.npz"
    whole, folders = write_parts(tmp_path, columns)
    fuse_archive(open_archive(whole), fuser, tmp_path / "whole.npz", screening=False)
    add_all(folders, fuser, output, kept, screening=False)
    assert output.read_bytes() == (tmp_path / "whole.npz").read_bytes()


def test_what_is_damaged_in_a_layer_is_found(tmp_path) -> None:
    columns = small_archive.rows()
    fuser, kept, output = load_fuser("mean"), tmp_path / "kept", tmp_path / "t.npz"
    _, folders = write_parts(tmp_path, columns)
    add_all(folders[:3], fuser, output, kept)
    layer = kept / open_states(kept).layers[-1]
    path = max(layer.iterdir(), key=lambda each: each.stat().st_size)
    sound = path.read_bytes()
    with open_partials(str(path)) as file:
        template = file.templates(0)[0].tobytes()
    data = bytearray(sound)
    data[data.index(template) + 5] ^= 4
    path.write_bytes(data)
    with pytest.raises(IntegrityError, match="not what was written"):
        fuse_archive(open_archive(folders[3]), fuser, output, add_to=kept, force=True)
    path.unlink()
    with pytest.raises(MissingFileError, match=r"is not there\. Put it back .*--keep-states"):
        fuse_archive(open_archive(folders[3]), fuser, output, add_to=kept, force=True)
    path.write_bytes(sound)
    assert (
        fuse_archive(open_archive(folders[3]), fuser, output, add_to=kept, force=True).num_images
        == 400
    )


def test_who_is_not_wanted_is_not_read(tmp_path, monkeypatch) -> None:
    columns = small_archive.rows()
    fuser, kept, output = load_fuser("mean"), tmp_path / "kept", tmp_path / "t.npz"
    _, folders = write_parts(tmp_path, columns)
    add_all(folders[:1], fuser, output, kept)
    seen = []
    real = bucket_entries.read_again

    def read_again(entries):
        for place, part in real(entries):
            if entries[place].source.is_stored:
                seen.extend(part.ids.tolist())
            yield place, part

    monkeypatch.setattr(
        sys.modules["probefusion.archives.fusing.reducing"], "read_again", read_again
    )
    small_archive.write(tmp_path / "one.parquet", columns, np.flatnonzero(columns[0] == 7)[:1])
    fuse_archive(open_archive(tmp_path / "one.parquet"), fuser, output, add_to=kept, force=True)
    assert seen == [7]


def test_who_is_looked_at_by_the_same_rows_is_not_judged_again(tmp_path, monkeypatch) -> None:
    reducing = sys.modules["probefusion.archives.fusing.reducing"]
    ids = np.repeat(np.arange(8), 60)
    columns = (ids, *small_archive.rows(num_images=480, num_people=8)[1:])
    fuser, kept, output = load_fuser("mean"), tmp_path / "kept", tmp_path / "t.npz"
    old = small_archive.write(tmp_path / "a.parquet", columns)
    few = (np.arange(8), *(column[:8] for column in small_archive.rows(1, 8)[1:]))
    new = small_archive.write(tmp_path / "b.parquet", few)
    fuse_archive(open_archive(old), fuser, output, keep_states=kept)
    real, judged = reducing.judge, []

    def judge(images, borders, fuser):
        judged.append(len(borders) - 1)
        return real(images, borders, fuser)

    monkeypatch.setattr(reducing, "judge", judge)
    fuse_archive(open_archive(new), fuser, output, add_to=kept, force=True)
    assert sum(judged) < 8
    stored = open_states(kept)
    for layers in stored.buckets(kept):
        with open_partials(layers[-1]) as file:
            part = file.read(0)
        if len(part):
            borders = np.concatenate([[0], np.cumsum(part.row_counts)])
            images = encoding.image_set(part, np.arange(borders[-1]), stored.settings)
            verdicts = real(images, borders, fuser)
            assert verdicts.codes.tolist() == part.extra["verdict"].tolist()
            np.testing.assert_allclose(verdicts.lighter, part.extra["lighter"], atol=1e-5)


def test_an_addition_that_is_killed_when_all_is_done_ends_when_it_is_repeated(
    tmp_path, monkeypatch
) -> None:
    columns = small_archive.rows()
    fuser, kept, output = load_fuser("mean"), tmp_path / "kept", tmp_path / "t.npz"
    whole, folders = write_parts(tmp_path, columns)
    fuse_archive(open_archive(whole), fuser, tmp_path / "whole.npz")
    add_all(folders[:2], fuser, output, kept)

    def stop(*_):
        raise KeyboardInterrupt  # before the work folder goes

    options = {"add_to": kept, "force": True}
    for folder, again in ((folders[2], folders[2]), (folders[3], None)):
        with monkeypatch.context() as patch:
            patch.setattr(sys.modules["probefusion.archives.fusing.archive_run"], "forget", stop)
            with pytest.raises(KeyboardInterrupt):
                fuse_archive(open_archive(folder), fuser, output, **options)
        (tmp_path / "t.npz.work" / "output.npz").write_bytes(b"a draft of templates")
        written = output.read_bytes()
        if again is not None:
            report = fuse_archive(open_archive(again), fuser, output, **options)
            assert (report.num_images, report.resumed_at) == (360, 30)
            assert output.read_bytes() == written
            assert not (tmp_path / "t.npz.work").exists()
    assert written == (tmp_path / "whole.npz").read_bytes()
    assert len(open_states(kept).layers) == 3
    more = small_archive.write(tmp_path / "more.parquet", small_archive.rows(1, 20))
    assert fuse_archive(open_archive(more), fuser, output, **options).num_images == 420
