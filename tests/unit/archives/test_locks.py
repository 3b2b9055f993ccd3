"""Locks of folders: one holder at a time, on disks and in object stores; on a disk none outlives its process."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import small_archive
from s3_server import S3Server, s3_server

from probefusion.archives import erase_from_archive, fuse_archive, open_archive
from probefusion.archives.files import locks, remote_files, storage
from probefusion.archives.fusing import planning
from probefusion.archives.states.states import open_states
from probefusion.errors import MismatchError, StorageError
from probefusion.zoo import load_fuser

PROBLEM = "states 'S': another command is changing them. Give yours again."


@pytest.fixture
def s3() -> Iterator[S3Server]:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server", exc_type=ImportError)
    with s3_server() as server:
        yield server


def test_one_at_a_time_and_then_the_next(tmp_path) -> None:
    with locks.locked(tmp_path / "S", PROBLEM):
        with (
            pytest.raises(MismatchError, match="another command"),
            locks.locked(f"file://{tmp_path}/S", PROBLEM),
        ):
            pass
        assert storage.list_files(tmp_path / "S") == []  # a lock is no file of the folder
    with locks.locked(tmp_path / "S", PROBLEM):
        pass


def test_a_process_that_is_killed_holds_no_lock(tmp_path) -> None:
    code = (
        "import sys\nfrom probefusion.archives.files.locks import locked\n"
        "with locked(sys.argv[1], 'held'):\n    print('held', flush=True)\n    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout.readline() == b"held\n"
        with pytest.raises(MismatchError, match="another command"), locks.locked(tmp_path, PROBLEM):
            pass
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    with locks.locked(tmp_path, PROBLEM):
        pass


def test_a_file_in_the_place_of_the_folder_is_told(tmp_path) -> None:
    (tmp_path / "S").write_text("mine")
    with (
        pytest.raises(StorageError, match="is a file, a folder is needed"),
        locks.locked(tmp_path / "S", PROBLEM),
    ):
        pass


def test_a_file_system_without_locks_gets_a_file(tmp_path, monkeypatch) -> None:
    def acquire(self, timeout=None):
        raise NotImplementedError

    monkeypatch.setattr(locks.FileLock, "acquire", acquire)
    held = locks.locked(tmp_path, PROBLEM)
    with held, pytest.raises(MismatchError, match="another command"):
        locks.locked(tmp_path, PROBLEM).__enter__()
    with locks.locked(tmp_path, PROBLEM):
        pass


def test_drafts_of_killed_processes_go_where_nobody_writes(tmp_path) -> None:
    draft, other = tmp_path / f".probefusion-{'0a' * 8}", tmp_path / ".probefusion-mine"
    for path in (draft, other):
        path.write_bytes(b"half")
    locks.clean_drafts(tmp_path, unchanged_for=3600)
    assert draft.exists()
    os.utime(draft, (0, 0))
    locks.clean_drafts(tmp_path, unchanged_for=3600)
    assert not draft.exists()
    assert other.exists()
    locks.clean_drafts(tmp_path / "nowhere")


def test_of_many_that_put_one_object_at_once_one_succeeds(s3) -> None:
    url = f"{s3.make_bucket('faces')}/S/lock"
    start = threading.Barrier(4)

    def put(number: int) -> bool:
        start.wait()
        return remote_files.create_file(url, f"{number}".encode())

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(put, range(4)))
    assert done.count(True) == 1
    assert storage.read_bytes(url) == f"{done.index(True)}".encode()


@pytest.mark.parametrize("protocol", ["s3", "memory"])
def test_the_lock_behind_a_url_tells_who_holds_it(request, protocol) -> None:
    pytest.importorskip("fsspec")
    url = "memory://locks/S"
    if protocol == "s3":
        url = f"{request.getfixturevalue('s3').make_bucket('faces')}/S"
    with locks.locked(url, PROBLEM):
        told = rf"process {os.getpid()} of .*; if that was killed, delete '{url}/.probefusion-lock'"
        with pytest.raises(MismatchError, match=told), locks.locked(url, PROBLEM):
            pass
        assert storage.list_files(url, missing_ok=True) == []
    with locks.locked(url, PROBLEM):
        pass
    assert not storage.exists(f"{url}/.probefusion-lock")


def test_states_in_a_bucket_are_added_to_by_one_command_at_a_time(
    s3, tmp_path, monkeypatch
) -> None:
    pytest.importorskip("pyarrow")
    monkeypatch.setattr(planning, "buckets_for", lambda *_: 2)
    bucket = s3.make_bucket("faces")
    states, fuser = f"{bucket}/states", load_fuser("mean")
    columns = small_archive.rows(0, 200, 6)
    old = small_archive.write(tmp_path / "a.parquet", columns)
    more = small_archive.write(tmp_path / "b.parquet", small_archive.rows(1, 30, 6))
    output = tmp_path / "t.npz"
    fuse_archive(open_archive(old), fuser, output, keep_states=states, screening=False)
    options = {"screening": False, "force": True}
    with locks.locked(states, PROBLEM):
        with pytest.raises(MismatchError, match=r"delete 's3://faces/states/\.probefusion-lock'"):
            fuse_archive(open_archive(more), fuser, output, add_to=states, **options)
        with pytest.raises(MismatchError, match="another command is changing them"):
            erase_from_archive(people=[5], states=states)
    report = fuse_archive(open_archive(more), fuser, output, add_to=states, **options)
    assert report.num_images == 230
    assert len(open_states(states).layers) == 1
    erase_from_archive(people=[5], states=states, templates=output)
    fuse_archive(
        open_archive(small_archive.write(tmp_path / "c.parquet", small_archive.rows(2, 30, 6))),
        fuser,
        output,
        add_to=states,
        **options,
    )
    erased = (columns[0] == 5).sum() + (small_archive.rows(1, 30, 6)[0] == 5).sum()
    from probefusion.types import TemplateSet

    found = TemplateSet.load(output)
    assert sum(found[name].num_images for name in found.ids) == 260 - erased
