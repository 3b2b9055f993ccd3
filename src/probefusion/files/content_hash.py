"""SHA-256 over what a file holds, not over its bytes: the same for the same arrays and texts."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["content_hash"]

_BYTES_AT_ONCE = 1 << 22


def content_hash(content: Mapping[str, Any]) -> str:
    """The SHA-256 of named arrays, texts and bytes, in whatever order they are given.

    Names, types, shapes and values all count; how arrays lie in memory does not.

    Args:
        content: Arrays of numbers or texts, texts, or bytes, by name. None is left out.

    Returns:
        64 hexadecimal digits.
    """
    whole = hashlib.sha256()
    for name in sorted(content):
        value = content[name]
        if value is None:
            continue
        if isinstance(value, str | bytes):
            kind = type(value).__name__
            digest = hashlib.sha256(value.encode() if isinstance(value, str) else value)
        else:
            array = np.asarray(value)
            kind = f"{array.dtype.str}{array.shape}"
            digest = _array_hash(array)
        whole.update(f"{name}\0{kind}\0{digest.hexdigest()}\n".encode())
    return whole.hexdigest()


def _array_hash(array: npt.NDArray[Any]) -> Any:
    """The values in C order, some rows at a time: an array mapped from a file is not copied whole."""
    digest = hashlib.sha256()
    rows = array.reshape(1) if array.ndim == 0 else array
    step = max(1, _BYTES_AT_ONCE // max(1, rows.nbytes // max(1, len(rows))))
    for start in range(0, len(rows) if rows.size else 0, step):
        part: Any = np.ascontiguousarray(rows[start : start + step])
        digest.update(part.tobytes() if part.dtype.kind == "U" else part.view(np.uint8))
    return digest
