"""`probefusion models inspect`."""

from __future__ import annotations

from typing import Any


def add_parser(actions: Any) -> None:
    """Declares the command."""
