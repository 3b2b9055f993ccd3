"""Made-up people: unit vectors with noise, seen frame by frame."""

from __future__ import annotations

import numpy as np
import pytest
from drawn_video import ColourEmbedder, SquareDetector, two_people

from probefusion.fusion import MeanFuser
from probefusion.video.row_file import RowFile
from probefusion.video.sighting import Sighting
from probefusion.video.track import TrackSettings

pytest.importorskip("cv2")

DIM = 32
RATE = 25


@pytest.fixture
def track_settings():
    with RowFile() as row_file:
        yield TrackSettings(
            fuser=MeanFuser(),
            embedder="net@1",
            norms_known=True,
            row_file=row_file,
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
            own_template=unit,
        )

    make.people = people.astype(np.float32)
    return make


@pytest.fixture
def square_detector():
    return SquareDetector()


@pytest.fixture
def colour_embedder():
    return ColourEmbedder()


@pytest.fixture(scope="session")
def two_people_clip(tmp_path_factory, videos):
    """40 frames: red is there all the time, green leaves after 15 and blue comes after 25."""
    path = tmp_path_factory.mktemp("clip") / "two people.mp4"
    return videos.write_video(path, two_people(), options={"crf": "10"})
