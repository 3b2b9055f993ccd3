"""A parser that takes options and arguments in any order, also where arguments may be left out."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

__all__ = ["IntermixedParser"]


class IntermixedParser(argparse.ArgumentParser):
    """As `argparse.ArgumentParser`, which by itself takes an argument that may be left out before an option or never.

    `undo GALLERY --json 3` is an example. A parser of commands below it works as usual.
    """

    _is_inside = False

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parses; see `argparse.ArgumentParser.parse_known_intermixed_args`."""
        words: Sequence[str] | None = args
        if self._is_inside or self._subparsers is not None or (words and "--" in words):
            return super().parse_known_args(args, namespace)
        self._is_inside = True
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._is_inside = False
