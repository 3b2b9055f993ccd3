"""A folder of people with images."""

from __future__ import annotations

from pathlib import Path

import pytest
from made_up_people import write_image


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """Three people with 3, 1 and 2 images, and files that are no images."""
    root = tmp_path / "faces"
    for level, name in enumerate(
        ("Ann_Lee/b.png", "Ann_Lee/a.PNG", "Ann_Lee/c.jpg", "Bo/x.png", "Cy/2.png", "Cy/10.png")
    ):
        write_image(root / name, 10 * level)
    (root / "Bo" / "notes.txt").write_text("seen twice")
    (root / "README.txt").write_text("faces")
    (root / ".cache" / "thumb.png").parent.mkdir()
    write_image(root / ".cache" / "thumb.png", 9)
    return root
