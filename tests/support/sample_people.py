"""Drawn faces of three people, aligned crops in a folder each: what `probefusion demo --crops` writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

PEOPLE = ("anna", "ben", "clara")


def write_people(folder: Path, images: int = 6) -> None:
    cv2 = pytest.importorskip("cv2")
    for number, name in enumerate(PEOPLE):
        (folder / name).mkdir(parents=True)
        face = np.random.default_rng(number)
        skin, hair = face.integers(120, 230, 3).tolist(), face.integers(20, 120, 3).tolist()
        width, mouth = int(face.integers(26, 36)), int(face.integers(8, 18))
        for image in range(images):
            rng = np.random.default_rng([number, image])
            crop = np.full((112, 112, 3), int(rng.integers(60, 200)), np.uint8)
            cv2.ellipse(crop, (56, 50), (width + 8, 48), 0, 180, 360, hair, -1)
            cv2.ellipse(crop, (56, 62), (width, 44), 0, 0, 360, skin, -1)
            for x in (38, 74):
                cv2.circle(crop, (x, 52), 5, (255, 255, 255), -1)
                cv2.circle(crop, (x, 52), 2 + number, (30, 30, 30), -1)
            cv2.line(crop, (56, 56), (54, 72), (80, 60, 60), 2)
            cv2.ellipse(crop, (56, 90), (mouth, 4), 0, 0, 360, (60, 40, 170), -1)
            crop = cv2.GaussianBlur(crop, (0, 0), 0.3 + image / 2)
            cv2.imwrite(str(folder / name / f"{name}_{image}.png"), crop)
