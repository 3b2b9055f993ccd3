"""Stored states that several commands change: nobody comes back, nothing is counted twice or lost."""

from __future__ import annotations

import errno
import os
import shutil
import sys

import pytest
import small_archive

from probefusion.archives import erase as erasing
from probefusion.archives import erase_from_archive, fuse_archive, open_archive
from probefusion.archives.partials.partials import open_partials
from probefusion.archives.states.states import open_states
from probefusion.errors import ConfigError, IntegrityError, MismatchError, OutputExistsError
from probefusion.types import TemplateSet
from probefusion.zoo import load_fuser

pytest.importorskip("pyarrow")


@pytest.fixture
def places(tmp_path):
    """An archive of two files, one more file, and where states and templates go."""
    columns = small_archive.rows(0, 60, 6)
    archive = small_archive.write_folder(tmp_path / "archive", columns, num_files=2)
    more = small_archive.write(tmp_path / "more" / "b.parquet", small_archive.rows(1, 30, 6))
    return columns, archive, more, tmp_path / "states", tmp_path / "t.npz"


def fuse(archive, output, **options):
    return fuse_archive(
        open_archive(archive), load_fuser("mean"), output, screening=False, force=True, **options
    )


def count_of(templates, name) -> int:
    found = TemplateSet.load(templates)
    return found[name].num_images if name in found.ids else 0


def test_states_made_anew_hold_who_was_erased_from_the_old_ones(places) -> None:
    columns, archive, _, states, output = places
    fuse(archive, output, keep_states=states)
    whole = output.read_bytes()
    erase_from_archive(people=[5], states=states, templates=output)
    assert count_of(output, "5") == 0
    fuse(archive, output, keep_states=states)
    assert output.read_bytes() == whole
    assert count_of(output, "5") == (columns[0] == 5).sum()


def test_states_that_are_damaged_are_made_anew(places) -> None:
    _, archive, _, states, output = places
    fuse(archive, output, keep_states=states)
    whole = output.read_bytes()
    bucket = max(states.glob("*/*.arrow"), key=lambda path: path.stat().st_size)
    bucket.write_bytes(b"nothing")
    fuse(archive, output, keep_states=states)
    assert output.read_bytes() == whole


def test_an_interrupted_run_does_not_bring_back_who_was_erased(places, monkeypatch) -> None:

    module = sys.modules["probefusion.archives.fusing.archive_run"]
    _, archive, more, states, output = places
    fuse(archive, output, keep_states=states)

    def stop(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(module, "finish", stop)
        with pytest.raises(KeyboardInterrupt):
            fuse(more, output, add_to=states)
    assert len([place for place in states.iterdir() if place.is_dir()]) == 2
    erase_from_archive(people=[5], states=states, templates=output)
    assert [place.name for place in states.iterdir() if place.is_dir()] == [
        open_states(states).generation
    ]
    assert not output.with_name("t.npz.work").exists()
    fuse(more, output, add_to=states)
    assert count_of(output, "5") == (small_archive.rows(1, 30, 6)[0] == 5).sum()


def meanwhile(monkeypatch, act) -> None:
    """Does something when a run has added up everything and is about to change the states."""
    module = sys.modules["probefusion.archives.fusing.archive_run"]
    real = module.changing

    def changing(folder):
        monkeypatch.setattr(module, "changing", real)
        act()
        return real(folder)

    monkeypatch.setattr(module, "changing", changing)


@pytest.mark.parametrize("num_images", [10, 30], ids=["layer", "anew"])
def test_the_later_of_two_additions_is_refused_and_can_be_repeated(
    places, tmp_path, monkeypatch, num_images
) -> None:
    columns, archive, _, states, output = places
    fuse(archive, output, keep_states=states)
    whole = output.read_bytes()
    first, second = (
        small_archive.write(
            tmp_path / name / f"{name}.parquet", small_archive.rows(seed, num_images, 6)
        )
        for seed, name in enumerate("xy", start=2)
    )
    meanwhile(monkeypatch, lambda: fuse(first, tmp_path / "first.npz", add_to=states))
    with pytest.raises(MismatchError, match=r"changed by another command.* again"):
        fuse(second, output, add_to=states)
    assert output.read_bytes() == whole  # nothing of what was refused is seen
    stored = open_states(states)
    assert [fused.file.name for fused in stored.files][2:] == ["x.parquet"]
    assert {place.name for place in states.iterdir() if place.is_dir()} == set(stored.generations)
    assert fuse(second, output, add_to=states).num_images == 60 + 2 * num_images
    counts = sum(
        (rows[0] == 5).sum() for rows in (columns, *map(_rows_of, (2, 3), [num_images] * 2))
    )
    assert count_of(output, "5") == counts


def _rows_of(seed, num_images):
    return small_archive.rows(seed, num_images, 6)


def test_who_is_erased_while_files_are_added_does_not_come_back(places, monkeypatch) -> None:
    _, archive, more, states, output = places
    fuse(archive, output, keep_states=states)
    meanwhile(
        monkeypatch,
        lambda: erase_from_archive(people=[5], archives=[archive], states=states, templates=output),
    )
    with pytest.raises(MismatchError, match="changed by another command"):
        fuse(more, output, add_to=states)
    assert count_of(output, "5") == 0
    assert fuse(more, output, add_to=states).num_images > 30
    assert count_of(output, "5") == (small_archive.rows(1, 30, 6)[0] == 5).sum()


def test_one_command_at_a_time_changes_states(places, monkeypatch) -> None:
    module = sys.modules["probefusion.archives.fusing.archive_run"]
    _, archive, more, states, output = places
    fuse(archive, output, keep_states=states)
    seen = []
    real = module.finish

    def add() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(module, "finish", real)
            fuse(more, output.with_name("u.npz"), add_to=states)

    def finish(*arguments, **options):
        for act in (add, lambda: erase_from_archive(people=[5], states=states)):
            with pytest.raises(MismatchError, match="another command is changing them") as told:
                act()
            seen.append(str(told.value))
        return real(*arguments, **options)

    monkeypatch.setattr(module, "finish", finish)
    fuse(more, output, add_to=states)
    assert len(seen) == 2


def test_a_second_run_with_the_same_output_is_refused(places, monkeypatch) -> None:
    module = sys.modules["probefusion.archives.fusing.archive_run"]
    _, archive, _, _, output = places
    real = module.finish

    def finish(*arguments, **options):
        with pytest.raises(MismatchError, match="another run with this output is under way"):
            fuse(archive, output)
        return real(*arguments, **options)

    monkeypatch.setattr(module, "finish", finish)
    assert fuse(archive, output).num_images == 60
    assert not output.with_name("t.npz.work").exists()


def test_a_file_is_known_whatever_its_name_and_times(places, tmp_path) -> None:
    _, archive, _, states, output = places
    fuse(archive, output, keep_states=states)
    copied = shutil.copy(archive / "part-01.parquet", tmp_path / "z.parquet")
    with pytest.raises(MismatchError, match="already"):
        fuse(copied, output, add_to=states)
    os.utime(archive / "part-01.parquet")
    with pytest.raises(MismatchError, match="already"):
        fuse(archive / "part-01.parquet", output, add_to=states)
    erase_from_archive(people=[5], archives=[archive])
    with pytest.raises(MismatchError, match="changed since"):
        fuse(archive / "part-01.parquet", output, add_to=states)


def test_an_interrupted_erasure_is_finished_before_anything_is_added(places, monkeypatch) -> None:
    _, archive, more, states, output = places
    fuse(archive, output, keep_states=states)
    options = {"images": ["0-3.jpg"], "archives": [archive], "states": states}
    options |= {"templates": output, "fuser": load_fuser("mean")}

    def stop(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(erasing, "measured", stop)
        with pytest.raises(KeyboardInterrupt):
            erase_from_archive(**options)
    with pytest.raises(MismatchError, match="Give the erasure again"):
        fuse(more, output, add_to=states)
    erase_from_archive(people=[999], states=states)  # knows nothing of the files
    assert open_states(states).unsettled
    erase_from_archive(**options)
    assert not open_states(states).unsettled
    assert open_states(states).files[0].file.num_rows == 29
    with pytest.raises(MismatchError, match="already"):
        fuse(archive, output, add_to=states)
    fuse(more, output, add_to=states)
    found = TemplateSet.load(output)
    assert sum(found[name].num_images for name in found.ids) == 89


def test_a_bucket_in_the_place_of_another_is_refused(places) -> None:
    _, archive, more, states, output = places
    fuse(archive, output, keep_states=states)
    full = []
    for path in sorted(states.glob("*/*.arrow")):
        with open_partials(str(path)) as file:
            if len(file.people(0).ids):
                full.append(path)
    shutil.copy(full[1], full[0])
    with pytest.raises(IntegrityError, match="expected people of bucket"):
        fuse(more, output, add_to=states)


def test_states_and_other_files_in_the_work_folder_are_refused(places, tmp_path) -> None:
    _, archive, _, _, output = places
    with pytest.raises(ConfigError, match="work folder"):
        fuse(archive, output, keep_states=f"{output}.work")
    with pytest.raises(ConfigError, match="work folder"):
        fuse(archive, output, keep_states=f"file://{output}.work/states")
    work = tmp_path / "t.npz.work"
    work.mkdir()
    (work / "notes.txt").write_text("mine")
    with pytest.raises(OutputExistsError, match="not of an interrupted run"):
        fuse(archive, output)
    assert (work / "notes.txt").read_text() == "mine"


def test_an_output_that_is_an_input_is_refused_as_a_url_too(places) -> None:
    _, archive, *_ = places
    file = archive / "part-00.parquet"
    before = file.read_bytes()
    with pytest.raises(ConfigError, match="also an input"):
        fuse(archive, f"file://{file}")
    assert file.read_bytes() == before


def test_a_few_images_are_added_without_other_processes(places, monkeypatch) -> None:
    from probefusion.archives.engines import local

    _, archive, more, states, output = places
    fuse(archive, output, keep_states=states)

    def begin(*_):
        raise AssertionError("a process was started")

    monkeypatch.setattr(local, "_Worker", begin)
    with local.LocalEngine(2) as engine:
        assert fuse(more, output, add_to=states, engine=engine).num_images == 90


def test_hidden_files_are_of_no_archive(tmp_path) -> None:
    columns = small_archive.rows(0, 20, 3)
    for folder in ("archive", "archive/.snapshot", "archive/_temporary"):
        small_archive.write(tmp_path / folder / "a.parquet", columns)
    small_archive.write(tmp_path / "archive" / "_a.parquet", columns)
    assert [file.name for file in open_archive(tmp_path / "archive").files] == ["a.parquet"]
    alone = open_archive(tmp_path / "archive" / "_a.parquet")
    assert alone.num_images == 20


def test_what_a_run_writes_that_will_be_refused_stops_no_other(places, monkeypatch) -> None:
    commits = sys.modules["probefusion.archives.states.state_commits"]
    _, archive, more, states, output = places
    fuse(archive, output, keep_states=states)
    left = states / ("0" * 20)
    left.mkdir()
    (left / "00000.arrow").write_bytes(b"half")
    real, troubles = commits.remove_folder, [errno.ENOENT, errno.ENOTEMPTY]

    def remove_folder(folder):
        if troubles:
            raise OSError(troubles.pop(), "somebody else writes or removes it")
        real(folder)

    monkeypatch.setattr(commits, "remove_folder", remove_folder)
    erase_from_archive(people=[5], states=states, templates=output)
    assert not troubles
    assert not left.exists()
    assert fuse(more, output, add_to=states).num_images > 0
