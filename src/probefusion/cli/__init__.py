# PYTHON_ARGCOMPLETE_OK
"""The command line: `probefusion COMMAND ...`. Each command parses, calls, prints."""

from __future__ import annotations

from probefusion.cli.main import main

__all__ = ["main"]
