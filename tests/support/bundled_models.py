"""The embedder inside the package and the fusers made for it, whatever their revision is."""

from __future__ import annotations

import json
from pathlib import Path

from probefusion.files import bundled_folder
from probefusion.zoo import DEFAULT_EMBEDDER

(EMBEDDER_FOLDER,) = bundled_folder().glob(f"{DEFAULT_EMBEDDER}.*")
"""Its folder in the package."""

COMPACT: str = json.loads((EMBEDDER_FOLDER / "embedder.json").read_text("utf-8"))["fingerprint"]
"""Its fingerprint."""


def bundled_fuser(architecture: str) -> Path:
    """The folder of the fuser in the package that is made for that embedder.

    Args:
        architecture: What the name of the folder begins with, "exact", "exact-fast" or "exact-embedding".
    """
    (found,) = bundled_folder().glob(f"{architecture}.{DEFAULT_EMBEDDER}-*")
    return found
