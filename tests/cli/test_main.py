"""What the command does before a command."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def test_without_a_command_the_help_is_printed(command) -> None:
    code, out, err = command()
    assert (code, out) == (2, "")
    assert err.startswith("usage: probefusion")
    assert "fuse all images of one person" in err


def test_an_unknown_option_is_named(command) -> None:
    code, out, err = command("--nosuch")
    assert (code, out) == (2, "")
    assert err.splitlines()[-1] == "probefusion: error: unrecognized arguments: --nosuch"


def test_an_unknown_command_is_named(command) -> None:
    code, _, err = command("fusion")
    assert code == 2
    assert "'fusion'" in err


def test_the_log_is_given_back(command, tmp_path) -> None:
    import logging

    log = logging.getLogger("probefusion")
    before = (log.level, list(log.handlers))
    assert command("fuse", tmp_path / "none.npz", "--json")[0] == 1
    assert (log.level, list(log.handlers)) == before


def completions(line: str, tmp_path) -> list[str]:
    answer = tmp_path / "answer"
    subprocess.run(
        [sys.executable, "-m", "probefusion"],
        env={
            **os.environ,
            "_ARGCOMPLETE": "1",
            "_ARGCOMPLETE_IFS": "\n",
            "_ARGCOMPLETE_STDOUT_FILENAME": str(answer),
            "COMP_LINE": line,
            "COMP_POINT": str(len(line)),
        },
        check=True,
        timeout=600,
    )
    return [word.strip() for word in answer.read_text().splitlines()]


def test_the_shell_completes_commands_and_options(tmp_path) -> None:
    pytest.importorskip("argcomplete")
    assert completions("probefusion fus", tmp_path) == ["fuse", "fuse-archive"]
    assert set(completions("probefusion fuse --pe", tmp_path)) == {"--people"}
