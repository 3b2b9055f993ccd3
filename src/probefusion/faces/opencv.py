"""OpenCV: imported when first needed, and kept from writing to standard error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from probefusion.checks import import_extra

__all__ = ["import_cv2", "quiet"]


def import_cv2(purpose: str) -> Any:
    """The `cv2` module.

    Args:
        purpose: What it is needed for, as a gerund.

    Raises:
        MissingExtraError: If OpenCV is not installed.
    """
    return import_extra("cv2", extra="faces", purpose=purpose)


@contextmanager
def quiet(cv2: Any) -> Iterator[None]:
    """Silences OpenCV's own log inside the block; failures are reported by us, with the file name."""
    logging = cv2.utils.logging
    before = logging.getLogLevel()
    logging.setLogLevel(logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        logging.setLogLevel(before)
