"""Pictures of made-up people, a folder each."""

from __future__ import annotations

import numpy as np
import pytest

cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="session")
def people_folder(tmp_path_factory):
    """30 people with 1 to 4 crops each: blurred noise that is alike within a person."""
    root = tmp_path_factory.mktemp("people")
    rng = np.random.default_rng(3)
    for person in range(30):
        base = cv2.resize(rng.integers(0, 256, (6, 6, 3)).astype(np.uint8), (112, 112))
        folder = root / f"person_{person:02d}"
        folder.mkdir()
        for number in range(1 + person % 4):
            noise = rng.integers(-15, 16, base.shape)
            crop = np.clip(base + noise, 0, 255).astype(np.uint8)
            cv2.imwrite(str(folder / f"{number}.png"), crop)
    return root
