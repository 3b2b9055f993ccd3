"""Times on the command line."""

from __future__ import annotations

import argparse
import math
from datetime import datetime, timezone

__all__ = ["moment", "seconds"]


def moment(text: str) -> datetime:
    """A time as in ISO 8601, for argparse; UTC without a zone."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected a time as 2026-11-28T08:00:00+01:00, got {text!r}"
        ) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)


def seconds(text: str) -> float:
    """0 seconds or more, for argparse."""
    try:
        value = float(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"expected seconds, got {text!r}") from error
    if not (math.isfinite(value) and value >= 0):
        raise argparse.ArgumentTypeError(f"expected 0 seconds or more, got {text!r}")
    return value
