"""Optional dependencies: imported when first needed; where one is missing the error names the extra."""

from __future__ import annotations

import importlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from probefusion.errors import MissingExtraError

__all__ = ["import_cv2", "import_extra", "quiet_cv2"]

_SILENT = 0
"""OpenCV's LOG_LEVEL_SILENT."""


def import_extra(package: str, *, extra: str, purpose: str) -> Any:
    """Imports an optional dependency.

    Args:
        package: Module to import.
        extra: The extra of probefusion that brings it.
        purpose: What it is needed for, as a gerund.

    Returns:
        The module.

    Raises:
        MissingExtraError: If it is not installed.
    """
    try:
        module: ModuleType = importlib.import_module(package)
    except ModuleNotFoundError as error:
        if error.name is not None and error.name.split(".")[0] != package.split(".")[0]:
            raise
        raise MissingExtraError(package, extra, purpose) from error
    return module


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
def quiet_cv2(cv2: Any) -> Iterator[None]:
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
