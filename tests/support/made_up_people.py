"""Made-up people: by name only, and as image files in a folder or an archive."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest

from probefusion.protocols.degraded_folder import People

ALL = (0, 1, 2, 3)


def make_people(num_people: int = 12, *, start: int = 0) -> People:
    """Person i has 1 + i % 6 images."""
    return People(
        images={
            f"Person_{i:03}": tuple(f"Person_{i:03}/{j}.png" for j in range(1 + i % 6))
            for i in range(start, start + num_people)
        }
    )


def write_image(path: Path, level: int) -> None:
    cv2 = pytest.importorskip("cv2", reason="images need OpenCV")
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.full((112, 112, 3), level, np.uint8)
    path.write_bytes(cv2.imencode(".png", pixels)[1].tobytes())


def pack(folder: Path, archive: Path, *, prefix: str = "") -> Path:
    with zipfile.ZipFile(archive, "w") as target:
        for path in sorted(folder.rglob("*"), reverse=True):
            target.write(path, prefix + path.relative_to(folder).as_posix())
    return archive
