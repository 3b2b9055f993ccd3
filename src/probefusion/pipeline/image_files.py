"""What is given as images and is none, known by its ending."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from probefusion.errors import FileFormatError
from probefusion.files.reading import in_one_line
from probefusion.io import advice_for, readable_suffixes

__all__ = ["refuse_embeddings"]


def refuse_embeddings(paths: Any) -> None:
    """Refuses files of embeddings, of states and of other things that are no images, by their ending.

    Args:
        paths: What `Pipeline.embed` takes; a list if there are several.

    Raises:
        FileFormatError: If one is named.
    """
    given = paths if isinstance(paths, list | tuple) else [paths]
    for path in (Path(path) for path in given if isinstance(path, str | os.PathLike)):
        if path.suffix.lower() in (*readable_suffixes(), ".safetensors") and path.is_file():
            raise FileFormatError(
                f"{in_one_line(path)}: expected images, got a file of embeddings or a state, which needs no embedding. "
                f"Fuse it: probefusion fuse {in_one_line(path)}"
            )
        advice = advice_for(path) if path.is_file() else None
        if advice is not None:
            raise FileFormatError(advice)
