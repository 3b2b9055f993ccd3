"""Times on the command line."""

from __future__ import annotations

import argparse
from datetime import datetime, timezone

__all__ = ["moment"]


def moment(text: str) -> datetime:
    """A time as in ISO 8601, for argparse; UTC without a zone."""
    try:
        found = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError as error:
        raise argparse.ArgumentTypeError(
            f"expected a time as 2026-11-28T08:00:00+01:00, got {text!r}"
        ) from error
    return found if found.tzinfo is not None else found.replace(tzinfo=timezone.utc)
