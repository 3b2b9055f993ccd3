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


def test_arguments_that_may_be_left_out_stand_anywhere(command, tmp_path) -> None:
    place = tmp_path / "none.db"
    for words in (
        ("undo", place, "--actor", "me", "3"),
        ("undo", "--actor", "me", place, "3"),
        ("update", place, "--aligned", "ann", "--json", "1.png"),
        ("update", place, "ann", "--aligned", "1.png", "2.png"),
        ("gallery", "history", "--limit", "3", place, "ann"),
        ("gallery", "forget", place, "--yes", "ann", "bob"),
        ("remove", place, "--json", "ann"),
        ("gallery", "show", place, "--", "-x"),
    ):
        code, out, err = command(*words)
        assert (code, out) == (1, ""), words
        assert "none.db: expected a gallery, and there is no such file" in err
    code, _, err = command("undo", place, "3", "4")
    assert (code, err.splitlines()[-1]) == (2, "probefusion: error: unrecognized arguments: 4")


def test_the_commands_on_galleries_are_told_in_groups_of_narrow_lines(command) -> None:
    code, out, _ = command("gallery", "--help")
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "arrange people:\n  rename            give a person another name\n" in out


@pytest.mark.parametrize("words", [["fuse", "--help"], ["gallery", "show", "--help"]])
def test_a_command_declares_itself_alone(words) -> None:
    from probefusion.cli.main import build_parser

    parser = build_parser(words)
    for word in words[:-1]:
        [commands] = [action for action in parser._actions if action.choices]
        assert list(commands.choices) == [word]
        parser = commands.choices[word]
    with pytest.raises(SystemExit):
        build_parser(words).parse_args(words)


@pytest.mark.parametrize(
    "words", [[], ["--help"], ["fus"], ["--nosuch", "fuse"], ["gallery"], ["gallery", "--help"]]
)
def test_where_no_command_is_named_all_are_declared(words) -> None:
    from probefusion.cli.main import build_parser

    [commands] = [action for action in build_parser(words)._actions if action.choices]
    if words[:1] == ["gallery"]:
        [commands] = [action for action in commands.choices["gallery"]._actions if action.choices]
        assert {"list", "show", "export", "import", "new-key"} < set(commands.choices)
    else:
        assert {"fuse", "enroll", "gallery", "serve-keys"} < set(commands.choices)


def test_each_command_is_the_same_alone_and_among_all() -> None:
    from probefusion.cli.main import build_parser

    def below(parser):
        found = [action for action in parser._actions if hasattr(action, "_parser_class")]
        return found[0].choices if found else {}

    everything = build_parser()
    for name, parser in below(everything).items():
        alone = below(build_parser([name]))
        assert list(alone) == [name]
        assert alone[name].format_help() == parser.format_help()
    for name, parser in below(below(everything)["gallery"]).items():
        alone = below(below(build_parser(["gallery", name]))["gallery"])
        assert list(alone) == [name]
        assert alone[name].format_help() == parser.format_help()
