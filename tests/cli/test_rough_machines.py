"""Machines without a home, a terminal or a wide alphabet; names that terminals obey; far too many faults."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest

from probefusion.cli import main
from probefusion.cli.log import log_to_stderr
from probefusion.cli.pipeline_options import report_skipped
from probefusion.cli.streams import plain
from probefusion.faces import SkippedImage
from probefusion.files import home_path
from probefusion.types import EmbeddingSet, Template


@pytest.fixture
def person(tmp_path: Path) -> Path:
    path = tmp_path / "person.npz"
    rng = np.random.default_rng(0)
    EmbeddingSet(embeddings=rng.standard_normal(8) + rng.standard_normal((5, 8))).save(path)
    return path


def shell(line: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    """What a shell does with `$P`, the command, in a folder."""
    return subprocess.run(
        ["bash", "-c", line],
        cwd=folder,
        env={**os.environ, **variables, "P": f"{sys.executable} -m probefusion"},
        capture_output=True,
        text=True,
        errors="surrogateescape",
        timeout=600,
        check=False,
    )


def test_closed_streams_do_not_get_into_the_result(person: Path) -> None:
    open_result = shell("$P fuse person.npz --fuser mean -o open.npz", person.parent)
    assert (open_result.returncode, open_result.stderr) == (0, "")
    for closed in (">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-"):
        found = shell(
            f"$P fuse person.npz --fuser mean -o closed.npz --force {closed}", person.parent
        )
        assert (found.returncode, found.stderr) == (0, ""), closed
        right = Template.load(person.parent / "open.npz")
        assert np.array_equal(Template.load(person.parent / "closed.npz").vector, right.vector)


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_narrow_alphabets(person: Path, encoding: str) -> None:
    folder = person.parent
    person.rename(folder / "jürgen-陳.npz")
    variables = {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"}
    found = shell("$P fuse j*.npz --fuser mean -o t-陳.npz", folder, **variables)
    assert (found.returncode, found.stderr) == (0, "")
    shown = "t-陳.npz" if encoding == "utf-8" else "t-\\u9673.npz"
    assert found.stdout.startswith(f"{shown}: 5 images fused")
    assert Template.load(folder / "t-陳.npz").num_images == 5
    told = shell("$P fuse j*.npz --fuser mean -o u.npz --json", folder, **variables)
    assert json.loads(told.stdout)["num_images"] == 5


def test_names_that_are_no_utf8(person: Path) -> None:
    name = os.fsdecode(b"\xff\xfe.npz")
    person.rename(person.parent / name)
    found = shell("$P fuse *.npz --fuser mean -o t.npz; $P fuse x*.npz -o u.npz", person.parent)
    assert "Traceback" not in found.stderr
    assert Template.load(person.parent / "t.npz").num_images == 5


def test_names_that_a_terminal_would_obey(command, person: Path) -> None:
    name = "red\x1b[31m\x07\x9b2J\u202enpz.npz"
    person.rename(person.parent / name)
    for code, out, err in (
        command("fuse", person.parent / name, "--fuser", "mean", "-o", person.parent / f"t{name}"),
        command("fuse", person.parent / f"none{name}", "-o", person.parent / "u.npz"),
        command(f"--{name}"),
        command("fuse", person.parent / name, "--fuser", name, "-o", person.parent / "v.npz"),
    ):
        assert code in (0, 1, 2)
        assert out + err
        for obeyed in ("\x1b", "\x07", "\x9b", "\u202e"):
            assert obeyed not in out + err
    assert plain("a\tb\nc\x1b[0m ü 陳") == "a\tb\nc\\x1b[0m ü 陳"


def test_many_broken_images_are_counted(capsys) -> None:
    skipped = [
        SkippedImage(source=f"{number}.jpg", reason=f"could not be read: {number} bytes")
        for number in range(50_000)
    ]
    report_skipped(skipped)
    lines = capsys.readouterr().err.splitlines()
    assert lines[0] == "skipped 50000 images:"
    assert lines[1] == "  0.jpg: could not be read: 0 bytes"
    assert lines[-2:] == ["  and 49980 more:", "    49980 x could not be read: N bytes"]
    assert len(lines) == 23
    report_skipped(skipped[:20])
    assert len(capsys.readouterr().err.splitlines()) == 21


def test_a_command_in_another_thread(person: Path) -> None:
    codes = []
    output = person.parent / "t.npz"
    arguments = ["fuse", str(person), "--fuser", "mean", "-o", str(output)]
    thread = threading.Thread(target=lambda: codes.append(main(arguments)))
    thread.start()
    thread.join(600)
    assert codes == [0]
    assert Template.load(output).num_images == 5


def test_ctrl_c_while_commands_are_imported(command, monkeypatch) -> None:
    from probefusion.cli import main as function

    def interrupted(words) -> None:
        raise KeyboardInterrupt

    monkeypatch.setitem(function.__globals__, "build_parser", interrupted)
    assert command("models", "list") == (130, "", "probefusion: interrupted\n")


def test_memory_that_is_not_there(command, monkeypatch) -> None:
    from probefusion.cli import main as function

    def greedy(words) -> None:
        raise MemoryError("Unable to allocate 9 TiB")

    monkeypatch.setitem(function.__globals__, "build_parser", greedy)
    code, _, err = command("models", "list")
    assert (code, err) == (1, "probefusion: error: not enough memory: Unable to allocate 9 TiB\n")


def test_no_home(monkeypatch, tmp_path: Path, command, person: Path) -> None:
    from probefusion.zoo import models_folder

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(os.path, "expanduser", lambda path: os.fspath(path))
    for name in (
        "PROBEFUSION_HOME",
        "INSIGHTFACE_HOME",
        "HF_HOME",
        "HF_HUB_CACHE",
        "XDG_CACHE_HOME",
    ):
        monkeypatch.delenv(name, raising=False)
    assert home_path("~/.cache") == Path("/dev/null/no-home/~/.cache")
    assert home_path("/data") == Path("/data")
    assert str(models_folder()).startswith("/dev/null/")
    assert command("fuse", person, "--fuser", "mean", "-o", tmp_path / "t.npz")[0] == 0
    code, _, err = command(
        "fuse", person, "--embedder", "insightface_w600k_r50", "-o", tmp_path / "u.npz"
    )
    assert code == 1
    assert err.startswith("probefusion: error:")
    assert not (tmp_path / "~").exists()


@pytest.mark.parametrize("given", ["100000", "0", "-1", "many"])
def test_threads_that_no_machine_has(command, person: Path, given: str) -> None:
    code, _, err = command("fuse", person, "--threads", given, "-o", person.parent / "t.npz")
    assert code == 2
    assert "--threads" in err


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize("command", [["--help"], ["--version"], ["compare", "A", "A"]])
def test_a_full_standard_output_is_named(person: Path, command: list[str], unbuffered: str) -> None:
    given = [str(person) if word == "A" else word for word in command]
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "probefusion", *given],
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    assert done.returncode == 1
    told = [line for line in done.stderr.splitlines() if not line.startswith("fuser: ")]
    assert told == [
        "probefusion: error: standard output cannot be written: no space left on device. Make room there, or "
        "send it elsewhere."
    ]


LINE_FEED = "a\nprobefusion: error: all fine"


@pytest.fixture
def forging(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files whose names hold a line feed; as some systems take none, it may be skipped."""
    monkeypatch.chdir(tmp_path)
    folder = tmp_path / "folder"
    folder.mkdir()
    try:
        (folder / f"{LINE_FEED}.jpg").write_bytes(b"no image")
    except OSError:
        pytest.skip("no file can have such a name here")
    (tmp_path / f"{LINE_FEED}.npz").write_bytes(b"no archive")
    (tmp_path / f"{LINE_FEED}.csv").write_bytes(b"no table")
    (tmp_path / f"{LINE_FEED}.safetensors").write_bytes(b"no state")
    return folder


@pytest.mark.parametrize(
    "arguments",
    [
        ["embed", "folder", "--aligned", "-o", "out.npz"],
        *(
            ["fuse", f"{LINE_FEED}{end}", "-o", "out.npz"]
            for end in (".npz", ".csv", ".safetensors")
        ),
        ["fuse", f"{LINE_FEED} absent.npz", "-o", "out.npz"],
        ["compare", f"{LINE_FEED}.npz", f"{LINE_FEED}.npz"],
        ["embed", f"{LINE_FEED}.npz", "--aligned", "-o", "out.npz"],
    ],
)
def test_names_with_line_feeds_forge_no_line(command, forging: Path, arguments: list[str]) -> None:
    code, out, err = command(*arguments)
    assert (code, out) == (1, "")
    assert "a\\nprobefusion: error: all fine" in err
    assert sum(line.startswith("probefusion: error: ") for line in err.splitlines()) == 1
    assert "probefusion: error: all fine" not in [line[:28] for line in err.splitlines()]


def test_skipped_names_with_line_feeds_stay_in_their_line(capsys) -> None:
    skipped = [
        SkippedImage(source=f"{LINE_FEED}{end}", reason="why") for end in (".jpg", "\n", "\r")
    ]
    report_skipped(skipped)
    assert capsys.readouterr().err.splitlines() == [
        "skipped 3 images:",
        "  'a\\nprobefusion: error: all fine.jpg': why",
        "  'a\\nprobefusion: error: all fine\\n': why",
        "  'a\\nprobefusion: error: all fine\\r': why",
    ]


def test_a_note_of_the_log_stays_in_its_line(capsys) -> None:
    with log_to_stderr():
        logging.getLogger("probefusion").warning("%s: left out", f"{LINE_FEED}.jpg")
    assert capsys.readouterr().err == ("warning: a\\nprobefusion: error: all fine.jpg: left out\n")
