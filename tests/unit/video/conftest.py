"""Made-up people: unit vectors with noise, seen frame by frame."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.fusion import MeanFuser
from probefusion.video.spill import Spill
from probefusion.video.track import Sighting, Workshop

pytest.importorskip("cv2")

DIM = 32
RATE = 25


@pytest.fixture
def workshop():
    with Spill() as spill:
        yield Workshop(
            fuser=MeanFuser(),
            embedder="net@1",
            norms_known=True,
            spill=spill,
            chunk_size=8,
            max_gap=0.5,
        )


@pytest.fixture
def faces():
    """Makes sightings of person `who` in a frame; `poor` ones carry little of the person."""
    rng = np.random.default_rng(5)
    people = rng.standard_normal((10, DIM))
    people /= np.linalg.norm(people, axis=1, keepdims=True)

    def make(who: int, frame: int, *, noise: float = 0.3, box=(0, 0, 10, 10)) -> Sighting:
        disturbance = rng.standard_normal(DIM) / np.sqrt(DIM)
        vector = people[who] + noise * disturbance
        unit = (vector / np.linalg.norm(vector)).astype(np.float32)
        return Sighting(
            frame=frame,
            time=frame / RATE,
            box=np.array(box, np.float32),
            score=0.9,
            crop=np.full((112, 112, 3), 20 * who, np.uint8),
            embedding=(10 * unit).astype(np.float32),
            style=None,
            alone=unit,
        )

    make.people = people.astype(np.float32)
    return make
