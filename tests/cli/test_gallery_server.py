"""Every command on an encrypted gallery in PostgreSQL does as on a file; and what a run that is ended leaves."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time

import pytest
from interruptible import interruptible

from probefusion.errors import ProbeFusionError
from probefusion.gallery import Gallery, write_master_key

pytest.importorskip("cryptography")


@pytest.fixture
def people(people_folder, tmp_path):
    root = tmp_path / "people"
    for name in ("person_03", "person_07", "person_11"):  # 4 images each
        shutil.copytree(people_folder / name, root / name)
    return root


@pytest.fixture
def crops(tiny_embedder):
    return ("--aligned", "--embedder", tiny_embedder)


def test_every_command_on_an_encrypted_server(
    command, people, crops, tmp_path, postgres_server
) -> None:
    address = postgres_server.new_database()
    write_master_key(tmp_path / "master.key")
    keys = ("--keys", tmp_path / "master.key", "--key-file", tmp_path / "wrapped.keys")

    def on_server(name, *arguments, code=0):
        got, out, err = command(*name.split(), address, *arguments, *keys, "--json")
        assert got == code, (name, out, err)
        assert address not in out + err  # it holds a password
        facts = json.loads(out)
        assert facts["gallery"].startswith("postgresql://")
        return facts

    on_server("enroll", people, "--people", *crops, "--fuser", "mean", "--keep-chips")
    on_server("gallery export", "--archive", "-o", tmp_path / "archive")
    on_server("update", people, "--people", *crops)
    probe = people / "person_03"
    assert on_server("search", probe, *crops, "--threshold", "0.9")["match"] == "person_03"
    assert on_server("verify", "person_03", probe, *crops, "--threshold", "0.9", "--explain")
    held = on_server("update", "person_03", people / "person_07", *crops, code=3)
    waiting = on_server("gallery held")["held"]
    assert waiting[0]["doubts"]
    on_server("gallery reject", held["contribution_id"])
    on_server("undo")
    on_server("gallery accept", held["contribution_id"])
    on_server("gallery move", "person_07", "--contributions", held["contribution_id"])
    on_server("split", "person_07", "else", "--contributions", held["contribution_id"])
    on_server("merge", "person_07", "else")
    on_server("gallery removed")
    on_server("gallery rename", "person_11", "eleven")
    on_server("gallery ignore", "eleven")
    on_server("gallery cannot-link", "eleven", "person_03")
    on_server("remove", "eleven")
    on_server("undo")
    parts = on_server("gallery show", "person_03")["contributions"]
    image = parts[0]["images"][0]["id"]
    on_server("gallery chip", image, "-o", tmp_path / "chip.jpg")
    on_server("gallery template", "person_03", "-o", tmp_path / "template.npz")
    on_server("gallery list")
    on_server("gallery stats")
    on_server("gallery wait", "--for", "0", code=3)
    model = on_server("gallery re-fuse", "--fuser", "norm-weighted")["model"]
    assert on_server("gallery missing", model)["missing"] == []
    on_server("gallery serve", model)
    on_server("gallery rollback")
    on_server("gallery drop-model", model)
    on_server("gallery models")
    on_server("gallery plain-templates")
    on_server("gallery export", "-o", tmp_path / "all.parquet")
    on_server("gallery import", tmp_path / "all.parquet", "--collection", "second")
    loaded = (tmp_path / "archive", "--by", "subject_id", "--collection", "third")
    assert on_server("gallery load", *loaded)["num_people"] == 3
    on_server("gallery check")
    on_server("gallery audit")
    on_server("gallery history")
    for name, arguments in (
        ("gallery compact", ("person_07", "--yes")),
        ("gallery forget", ("person_03", "eleven", "--yes")),
        ("gallery receipts", ("--finish",)),
    ):  # what still keeps bytes of a server is told, with 3
        code, out, err = command(*name.split(), address, *arguments, *keys, "--json")
        assert code in (0, 3), (name, out, err)
    assert on_server("gallery list")["people"] == ["person_07"]
    write_master_key(tmp_path / "next.key")
    code, _, _ = command(
        "gallery", "rotate-key", address, "--new-key", tmp_path / "next.key", *keys
    )
    assert code in (0, 3)
    code, out, err = command("gallery", "list", address, *keys)
    assert (code, out, err.count("\n")) == (1, "", 1)


def started(*words):
    return subprocess.Popen(
        interruptible(["-m", "probefusion", *map(str, words)]),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )


@pytest.mark.skipif(os.name == "nt", reason="signals of POSIX")
def test_ctrl_c_in_the_middle_of_a_folder_and_again(command, people, crops, tmp_path) -> None:
    for number in range(60):
        shutil.copytree(people / "person_03", people / f"more_{number:03d}")
    library = tmp_path / "library.db"
    words = ("enroll", library, people, "--people", *crops, "--fuser", "mean")
    process = started(*words)
    while process.poll() is None and not _size(library):
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate()
    assert process.returncode == 130, err
    assert "kept. Run the same command again to go on." in err
    kept = _size(library)
    assert 0 < kept < 63
    _, out, err = command(*words, "--json")
    facts = json.loads(out)
    assert (facts["num_added"], facts["num_there_already"]) == (63 - kept, kept), err
    assert command("gallery", "check", library)[1] == "63 people checked, 0 faults\n"


def test_two_processes_enroll_one_folder(command, people, crops, tmp_path) -> None:
    library = tmp_path / "library.db"
    words = ("enroll", library, people, "--people", *crops, "--fuser", "mean")
    both = [started(*words, "--json") for _ in range(2)]
    told = [process.communicate() for process in both]
    assert [process.returncode for process in both] == [0, 0], told
    facts = [json.loads(out) for out, _ in told]
    assert sum(each["num_added"] for each in facts) == 3
    assert sum(each["num_there_already"] for each in facts) == 3
    with Gallery(library) as gallery:
        assert [len(gallery.person(name).contributions) for name in gallery.list()] == [1, 1, 1]


def _size(library) -> int:
    try:
        with Gallery(library, create=False) as gallery:
            return len(gallery)
    except ProbeFusionError:  # not there yet, or not whole
        return 0
