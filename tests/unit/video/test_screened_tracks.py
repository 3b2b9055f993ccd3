"""Whether a track is of one person: a sample of its images is kept, and looked at in the end."""

from __future__ import annotations

import numpy as np
import pytest
from planted_people import planted

from probefusion.fusion import MeanFuser
from probefusion.types import EmbeddingSet
from probefusion.video.clip import Person
from probefusion.video.row_file import RowFile
from probefusion.video.sample import ImageSample
from probefusion.video.sighting import Sighting
from probefusion.video.track import Track, TrackSettings


def numbered(count: int, **columns) -> EmbeddingSet:
    """Embeddings that tell which image they are."""
    rows = np.c_[np.arange(1, count + 1), np.ones(count)]
    return EmbeddingSet(embeddings=rows, embedder="net@1", norms_known=True, **columns)


@pytest.mark.parametrize(
    ("count", "step"), [(1, 1), (127, 1), (128, 2), (254, 2), (255, 4), (1000, 8)]
)
def test_every_kth_image_is_kept(count, step) -> None:
    sample = ImageSample()
    for begin in range(0, count, 50):
        block = range(begin, min(begin + 50, count))
        sample.offer(numbered(count)[begin : begin + 50], [number / 10 for number in block])
    images = ImageSample.read(sample.to_bytes(), "a.mp4")
    assert images is not None
    assert images.embeddings[:, 0].tolist() == list(range(1, count + 1, step))
    assert images.sources[-1] == f"a.mp4#t={(count - 1) // step * step / 10:.3f}"
    assert (images.embedder, images.norms_known) == ("net@1", True)


def test_all_columns_come_back(rng) -> None:
    given = numbered(
        5,
        style=rng.standard_normal((5, 6, 2)).astype(np.float32),
        quality=rng.standard_normal(5).astype(np.float32),
    )
    sample = ImageSample()
    sample.offer(given, range(5))
    images = ImageSample.read(sample.to_bytes(), "a")
    assert np.array_equal(images.style, given.style)
    assert np.array_equal(images.quality, given.quality)
    assert ImageSample.read(ImageSample().to_bytes(), "a") is None


@pytest.fixture
def track_of():
    """Makes a track of an embedding set, image by image."""
    with RowFile() as row_file:
        settings = TrackSettings(
            fuser=MeanFuser(),
            embedder="net@1",
            norms_known=True,
            row_file=row_file,
            chunk_size=8,
            max_gap=10.0,
        )

        def make(number: int, images: EmbeddingSet) -> Track:
            track = Track(number, settings)
            for frame, embedding in enumerate(images.embeddings):
                track.add(
                    Sighting(
                        frame=frame,
                        time=frame / 10,
                        box=np.array([0, 0, 10, 10], np.float32),
                        score=0.9,
                        crop=np.zeros((112, 112, 3), np.uint8),
                        embedding=embedding.astype(np.float32),
                        style=None,
                        own_template=(embedding / np.linalg.norm(embedding)).astype(np.float32),
                    )
                )
            return track

        yield make


def test_a_track_that_went_over_to_somebody_else_falls_apart(track_of) -> None:
    person = Person([track_of(1, planted(20, 10))], MeanFuser())
    screening = person.screen("a.mp4")
    assert screening.falls_apart
    assert screening.parts[1].rows == tuple(range(20, 30))
    assert screening.name_of(20) == "a.mp4#t=2.000"
    alone = Person([track_of(2, planted(20))], MeanFuser()).screen("a.mp4")
    assert alone.verdict == "one person"
    assert alone.num_images == 20


def test_tracks_of_two_people_that_were_merged_fall_apart(track_of) -> None:
    images = planted(20, 10)
    merged = Person([track_of(1, images[:20]), track_of(2, images[20:])], MeanFuser())
    assert [len(part.rows) for part in merged.screen("a").parts] == [20, 10]
    same = planted(30)
    merged = Person([track_of(3, same[:20]), track_of(4, same[20:])], MeanFuser())
    assert merged.screen("a").verdict == "one person"
