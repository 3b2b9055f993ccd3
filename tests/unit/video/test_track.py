"""A track: sums that grow, rows that leave memory, weights that come back."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.video.clip import Person
from probefusion.video.row_file import RowFile
from probefusion.video.thumbnails import Thumbnail, ThumbnailShelf
from probefusion.video.track import Track, TrackSettings, as_set


@pytest.fixture(params=["mean", "norm-weighted", "exact", "official"])
def any_track_settings(request, fuser_folders):
    """A track_settings for every fuser, for (N, 16) embeddings with style."""
    from probefusion.zoo import load_fuser

    fuser = load_fuser(fuser_folders.get(request.param, request.param))
    with RowFile() as row_file:
        yield TrackSettings(
            fuser=fuser,
            embedder="net@1",
            norms_known=True,
            row_file=row_file,
            chunk_size=6,
            max_gap=0.5,
        )


def sightings(track_settings, count: int):
    from probefusion.video.sighting import Sighting

    rng = np.random.default_rng(2)
    found = []
    for frame in range(count):
        embedding = rng.standard_normal(16).astype(np.float32) * rng.uniform(1, 20)
        found.append(
            Sighting(
                frame=frame,
                time=frame / 25,
                box=np.array([frame, 1, 2, 3], np.float32),
                score=0.8,
                crop=np.full((112, 112, 3), frame, np.uint8),
                embedding=embedding,
                style=rng.standard_normal((6, 2)).astype(np.float32),
                own_template=embedding / np.linalg.norm(embedding),
            )
        )
    return found


def test_state_and_weights_are_those_of_the_whole_set(any_track_settings) -> None:
    images = sightings(any_track_settings, 23)
    track = Track(1, any_track_settings)
    for sighting in images:
        track.add(sighting)
    person = Person([track], any_track_settings.fuser)
    whole = any_track_settings.fuser.fuse(as_set(images, any_track_settings), chunk_size=6)
    weights = np.concatenate([block for _, block in person.blocks()])
    assert np.abs(person.template.vector - whole.vector).max() < 1e-6
    assert np.abs(weights - whole.weights).max() < 1e-6
    rows = np.concatenate([block for block, _ in person.blocks()])
    assert rows["frame"].tolist() == list(range(23))
    assert np.allclose(rows["box"][:, 0], np.arange(23))
    assert np.abs(rows["own_template"] - np.stack([s.own_template for s in images])).max() < 1e-3
    assert person.growth()[-1].state.num_images == 23
    mean = MeanFuser().fuse(as_set(images, any_track_settings)).vector
    assert np.abs(MeanFuser().finish(person.mean_state).vector - mean).max() < 1e-6


def test_growth_has_few_points_whatever_the_length(track_settings, faces) -> None:
    track = Track(1, track_settings)
    for frame in range(3000):
        track.add(faces(0, frame))
    counts = [point.state.num_images for point in track.growth()]
    assert counts[:5] == [1, 2, 3, 4, 6]
    assert counts[-1] == 3000
    assert counts == sorted(set(counts))
    assert len(counts) < 25


def test_memory_holds_no_rows_of_the_past(track_settings, faces) -> None:
    track = Track(1, track_settings)
    for frame in range(2000):
        track.add(faces(0, frame))
        assert sum(len(part) for part in track._record._rows) < 600
        assert len(track._waiting) <= 8
    assert len(track.thumbnails()) <= 30


def test_merged_tracks_give_their_images_in_order(track_settings, faces) -> None:
    first, second = Track(1, track_settings), Track(2, track_settings)
    for frame in [*range(10), *range(40, 50)]:
        first.add(faces(0, frame))
    for frame in range(20, 30):
        second.add(faces(0, frame))
    person = Person([second, first], track_settings.fuser)
    rows = np.concatenate([block for block, _ in person.blocks()])
    assert rows["frame"].tolist() == [*range(10), *range(20, 30), *range(40, 50)]
    assert person.num_images == 30
    assert person.number == 1
    assert sum(block.sum() for _, block in person.blocks()) == pytest.approx(1)
    assert person.growth()[-1].state.num_images == 30
    assert [s.first_frame for s in person.segments] == [0, 20, 40]


def test_the_shelf_keeps_the_heaviest_apart_in_time_and_some_light_ones() -> None:
    shelf = ThumbnailShelf(num_heavy=4, num_light=2)
    rng = np.random.default_rng(0)
    weights = rng.random(1000)
    for frame, weight in enumerate(weights):
        shelf.offer(
            np.zeros((8, 8, 3), np.uint8),
            float(weight),
            frame=frame,
            time=frame / 10,
            shares=np.array([weight]),
            own_template=np.ones(3, np.float32),
        )
    thumbnails = shelf.thumbnails()
    assert len(thumbnails) == 6
    kept = sorted(float(thumbnail.shares[0]) for thumbnail in thumbnails)
    slots = weights.reshape(-1, 5)  # half seconds
    assert np.allclose(kept[2:], np.sort(slots.max(axis=1))[-4:])
    assert np.allclose(kept[:2], np.sort(slots.min(axis=1))[:2])


def test_thumbnails_survive_the_temporary_file() -> None:
    thumbnail = Thumbnail(
        frame=7,
        time=1.5,
        shares=np.array([1, 2], np.float32),
        own_template=np.arange(5, dtype=np.float32),
        jpeg=b"\xff\xd8data",
    )
    again = Thumbnail.from_bytes(thumbnail.to_bytes())
    assert (again.frame, again.time, again.jpeg) == (7, 1.5, thumbnail.jpeg)
    assert again.shares.tolist() == [1, 2]
    assert again.own_template.tolist() == [0, 1, 2, 3, 4]


def test_images_that_weigh_nothing_count_the_same(track_settings, faces) -> None:
    del track_settings
    with RowFile() as row_file:
        ground = TrackSettings(
            fuser=NormWeightedFuser(),
            embedder="net@1",
            norms_known=True,
            row_file=row_file,
            chunk_size=8,
            max_gap=0.5,
        )
        track = Track(1, ground)
        for frame in range(5):
            track.add(faces(0, frame))
        person = Person([track], ground.fuser)
        assert person.weights(np.zeros((2, 1))).tolist() == [0, 0]
