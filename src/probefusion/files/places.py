"""Where files lie: the package's own, and the user's home."""

from __future__ import annotations

import os
from importlib.resources import files
from pathlib import Path

__all__ = [
    "bundled_folder",
    "home_path",
]


def bundled_folder() -> Path:
    """The folder of the package that holds its trained networks and the demonstration's data."""
    return Path(str(files("probefusion"))).absolute() / "zoo" / "weights"


def home_path(path: str | Path) -> Path:
    """The path with a `~` at its beginning resolved.

    Where nobody knows the user's home, as in some containers, it becomes a path at which nothing can be:
    such places are passed over, and a `~` is never taken for a folder's name.
    """
    text = os.fspath(path)
    resolved = os.path.expanduser(text)  # noqa: PTH111 - pathlib raises a RuntimeError
    return Path(os.devnull) / "no-home" / text if resolved.startswith("~") else Path(resolved)
