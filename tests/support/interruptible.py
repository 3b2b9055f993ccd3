"""Commands that Ctrl-C reaches, also where the tests themselves run in the background, where shells ignore it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

_BEGIN = (
    "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_DFL); "
    "os.execv(sys.executable, [sys.executable, *sys.argv[1:]])"
)


def interruptible(arguments: Sequence[str]) -> list[str]:
    """The command of Python with these arguments, in a process that does not ignore SIGINT."""
    return [sys.executable, "-c", _BEGIN, *arguments]
