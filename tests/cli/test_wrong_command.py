"""A word that is no command: the nearest one is named, in one line."""

from __future__ import annotations

import pytest

from probefusion.cli.main import EXIT_USAGE, main


@pytest.mark.parametrize(
    ("word", "hint"),
    [
        ("fuze", "Did you mean fuse? "),
        ("FUSE", "Did you mean fuse? "),
        ("serve-key", "Did you mean serve-keys? "),
        ("xyzzy", ""),
    ],
)
def test_the_nearest_command_is_named(word, hint, capsys) -> None:
    assert main([word, "photos"]) == EXIT_USAGE
    told = capsys.readouterr().err
    expected = f"there is no command {word!r}. {hint}All commands: probefusion --help"
    assert told == f"probefusion: error: {expected}\n"
