"""OpenCV: imported when first needed, and kept from writing to standard error."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from probefusion.checks import import_extra

__all__ = ["import_cv2", "quiet"]

_SILENT = 0
"""OpenCV's LOG_LEVEL_SILENT."""


def import_cv2(purpose: str) -> Any:
    """The `cv2` module.

    Args:
        purpose: What it is needed for, as a gerund.

    Raises:
        MissingExtraError: If OpenCV is not installed.
    """
    return import_extra("cv2", extra="faces", purpose=purpose)


_lock = threading.Lock()
_levels: list[int] = []


@contextmanager
def quiet(cv2: Any) -> Iterator[None]:
    """Silences OpenCV's own log inside the block; failures are reported by us, with the file name."""
    # OpenCV 5 moved these functions from cv2 to cv2.utils.logging.
    logging = cv2 if hasattr(cv2, "setLogLevel") else cv2.utils.logging
    with _lock:
        _levels.append(logging.getLogLevel())
        logging.setLogLevel(_SILENT)
    try:
        yield
    finally:
        with _lock:
            before = _levels.pop()
            if not _levels:  # the last thread inside restores what the first one found
                logging.setLogLevel(before)
