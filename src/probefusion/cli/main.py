"""Parsing, exit codes and error lines, common to all commands."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from probefusion.cli.streams import safe_streams
from probefusion.errors import ProbeFusionError
from probefusion.version import __version__

__all__ = ["EXIT_ERROR", "EXIT_INTERRUPTED", "EXIT_SKIPPED", "EXIT_USAGE", "main"]

EXIT_ERROR = 1
EXIT_USAGE = 2
EXIT_SKIPPED = 3
EXIT_INTERRUPTED = 130


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
    parser = build_parser()
    _complete(parser)
    try:
        options = parser.parse_args(arguments)
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


def build_parser() -> argparse.ArgumentParser:
    """The parser of all commands."""
    # Not at the top: what is imported there cannot answer Ctrl-C.
    from probefusion.cli import (
        archive,
        calibrate,
        compare,
        demo,
        doctor,
        embed,
        embed_archive,
        evaluate,
        fuse,
        fuse_archive,
        models,
        serve,
        serve_keys,
        serve_log,
        train,
        video,
    )
    from probefusion.cli.gallery import (
        commands as gallery,
    )
    from probefusion.cli.gallery import (
        enroll,
        merge,
        remove,
        search,
        split,
        undo,
        update,
        verify,
    )
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
    for command in (
        embed,
        embed_archive,
        fuse,
        fuse_archive,
        archive,
        compare,
        video,
        enroll,
        update,
        search,
        verify,
        merge,
        split,
        remove,
        undo,
        gallery,
        serve,
        serve_keys,
        serve_log,
        train,
        evaluate,
        calibrate,
        models,
        doctor,
        demo,
    ):
        command.add_parser(commands)
    return parser


def _complete(parser: argparse.ArgumentParser) -> None:
    """Answers the shell's question for completions, where it asks one and argcomplete is installed."""
    if "_ARGCOMPLETE" not in os.environ:
        return
    try:
        import argcomplete
    except ImportError:
        return
    argcomplete.autocomplete(parser)
