"""Parsing, exit codes and error lines, common to all commands."""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from probefusion.cli.streams import safe_streams
from probefusion.errors import ProbeFusionError, in_one_line
from probefusion.version import __version__

__all__ = ["EXIT_ERROR", "EXIT_INTERRUPTED", "EXIT_USAGE", "main"]

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_INTERRUPTED = 130

_COMPLETION = "_ARGCOMPLETE"
"""Stands in the environment where the shell asks for completions."""
_OF_GALLERIES = frozenset(
    {"enroll", "update", "search", "verify", "merge", "split", "remove", "undo", "gallery"}
)
_COMMANDS = (
    "embed",
    "embed-archive",
    "fuse",
    "fuse-archive",
    "archive",
    "compare",
    "video",
    "enroll",
    "update",
    "search",
    "verify",
    "merge",
    "split",
    "remove",
    "undo",
    "gallery",
    "serve",
    "serve-keys",
    "serve-log",
    "train",
    "evaluate",
    "calibrate",
    "models",
    "doctor",
    "demo",
)
"""In the order of the help."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        arguments: Command and options; None takes those of the process.

    Returns:
        0 done; 1 a known error, told in one line; 2 wrong usage; 3 done, but some inputs were
        skipped and listed; 130 interrupted.
    """
    with safe_streams():
        try:
            return _run(arguments)
        except ProbeFusionError as error:
            return _fail(error)
        except KeyboardInterrupt:
            print("probefusion: interrupted", file=sys.stderr)
            return EXIT_INTERRUPTED
        except BrokenPipeError:  # the reader of our output went away, as with `| head`
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return EXIT_ERROR
        except OSError as error:  # disk full, no permission, a folder where a file was expected
            return _fail(error)
        except MemoryError as error:
            return _fail(f"not enough memory{f': {error}' if str(error) else ''}")


def _fail(error: object) -> int:
    print(f"probefusion: error: {error}", file=sys.stderr)
    return EXIT_ERROR


def _run(arguments: Sequence[str] | None) -> int:
    words = sys.argv[1:] if arguments is None else arguments
    parser = build_parser(() if _COMPLETION in os.environ else words)
    _complete(parser)
    if words and not words[0].startswith("-") and words[0] not in _COMMANDS:
        print(f"probefusion: error: {_unknown(words[0])}", file=sys.stderr)
        return EXIT_USAGE
    try:
        options = parser.parse_args(words)
    except (
        SystemExit
    ) as stop:  # after --help and --version too, whose text may still wait to be written
        sys.stdout.flush()
        return int(stop.code or 0)
    if not hasattr(options, "run"):  # no command was given
        parser.print_help(sys.stderr)
        return EXIT_USAGE
    from probefusion.cli.interrupt import sigterm_as_interrupt
    from probefusion.cli.log import log_to_stderr

    with sigterm_as_interrupt(), log_to_stderr():
        result: int = options.run(options)
        sys.stdout.flush()
    return result


def _unknown(word: str) -> str:
    """What to say of a word that is no command."""
    from difflib import get_close_matches

    near = get_close_matches(word.lower(), _COMMANDS, n=1)
    hint = f"Did you mean {near[0]}? " if near else ""
    return f"there is no command {in_one_line(word)!r}. {hint}All commands: probefusion --help"


def build_parser(words: Sequence[str] = ()) -> argparse.ArgumentParser:
    """The parser of a command.

    Args:
        words: What was given; where it begins with the name of a command, no other one is declared, so that
            starting is quick. Without: the parser of all commands.
    """
    from probefusion.cli.intermixed import IntermixedParser

    parser = argparse.ArgumentParser(
        prog="probefusion",
        description="One face template from many poor images.",
        epilog="Use it with consent and within the law: see 'Responsible use' in the README. Commands and "
        "options are completed by the tab key after pip install 'probefusion[completion]' and, in the shell, "
        'eval "$(register-python-argcomplete probefusion)".',
    )
    parser.add_argument("--version", action="version", version=f"probefusion {__version__}")
    commands = parser.add_subparsers(
        title="commands", metavar="COMMAND", parser_class=IntermixedParser
    )
    wanted = words[0] if words and words[0] in _COMMANDS else None
    for name in _COMMANDS if wanted is None else [wanted]:
        if name == "gallery":
            _module(name).add_parser(commands, words[1] if len(words) > 1 else None)
        else:
            _module(name).add_parser(commands)
    return parser


def _module(command: str) -> Any:
    """The module that declares a command. Imported here: what is imported at the top cannot answer Ctrl-C."""
    room = "probefusion.cli.gallery" if command in _OF_GALLERIES else "probefusion.cli"
    module = "commands" if command == "gallery" else command.replace("-", "_")
    return importlib.import_module(f"{room}.{module}")


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answers the shell's question for completions, where it asks one and argcomplete is installed."""
    if _COMPLETION not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser)
