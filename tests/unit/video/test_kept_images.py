"""The images of a video's people are kept, so that a gallery has their features and not only a state."""

from __future__ import annotations

import numpy as np
import pytest

import probefusion as pf
from probefusion.errors import InvalidInputError
from probefusion.faces.frames import VideoReader
from probefusion.video import merge_clip, process_video, record
from probefusion.video.clip import Person
from probefusion.video.track import Track
from probefusion.zoo import load_fuser

pytest.importorskip("av")
pytest.importorskip("edgefirst.tracker")


@pytest.mark.parametrize("fuser", ["mean", "norm-weighted", "universal"])
def test_the_images_give_the_state_again(
    two_people_clip, square_detector, colour_embedder, fuser
) -> None:
    loaded = load_fuser(fuser)
    with (
        VideoReader(two_people_clip) as reader,
        process_video(reader, square_detector, colour_embedder, loaded) as clip,
    ):
        for person in clip.people:
            images = person.images
            assert len(images) == person.num_images
            assert images.embedder == colour_embedder.fingerprint
            assert images.sources[0] == f"{two_people_clip}#t={person.segments[0].first_time:.3f}"
            state = loaded.encode(images)
            assert np.allclose(state.sums, person.state.sums, rtol=1e-6, atol=1e-9)
            assert np.allclose(state.mass, person.state.mass, rtol=1e-6)
            rows = np.concatenate([rows["own_template"] for rows, _ in person.blocks()])
            alone = loaded.fuse_many(images, np.arange(len(images) + 1))
            assert np.abs(rows - alone).max() < 1e-3  # in the same order


def test_merged_people_have_the_images_of_both(
    two_people_clip, square_detector, colour_embedder
) -> None:
    with (
        VideoReader(two_people_clip) as reader,
        process_video(reader, square_detector, colour_embedder, load_fuser("mean")) as clip,
    ):
        before = {p.number: p.images for p in clip.people}
        merge_clip(clip, -1)
        (merged,) = [person for person in clip.people if len(person.tracks) == 2]
        both = np.concatenate([before[track.number].embeddings for track in merged.tracks])
        assert np.array_equal(merged.images.embeddings, both)
        assert merged.images.sources[0].startswith(str(two_people_clip))
        assert merged.match is None


def test_above_the_limit_only_the_state_is_kept(track_settings, faces, monkeypatch) -> None:
    monkeypatch.setattr(record, "MOST_IMAGES", 20)
    short, long = Track(1, track_settings), Track(2, track_settings)
    for frame in range(20):
        short.add(faces(1, frame))
    for frame in range(21):
        long.add(faces(2, frame))
    assert len(Person([short], track_settings.fuser).images) == 20
    person = Person([long], track_settings.fuser)
    assert person.images is None
    assert person.state.num_images == 21
    assert Person([short, long], track_settings.fuser).images is None


def test_a_gallery_keeps_features_of_people_of_videos(
    two_people_clip, square_detector, colour_embedder, tmp_path
) -> None:
    pipeline = pf.Pipeline(colour_embedder, detector=square_detector, fuser="mean", num_threads=1)
    with pf.Gallery(tmp_path / "door.db", fuser="mean") as gallery:
        with pipeline.read_video(two_people_clip) as clip:
            person = clip.people[0]
            added = gallery.enroll("red", person)
            assert (added.keep, added.num_images) == ("features", 40)
            (contribution,) = gallery.person("red").contributions
            assert contribution.images[0].source == f"{two_people_clip}#t=0.000"
            similarity = gallery.search(person.template, threshold=0.9).candidates[0].similarity
            assert similarity == pytest.approx(1, abs=1e-5)
            before = gallery.template("red")
            gallery.remove(image=contribution.images[20].id)
            assert gallery.template("red").num_images == 39
            gallery.undo()
            assert np.array_equal(gallery.template("red").vector, before.vector)
        with pytest.raises(InvalidInputError, match="it was closed"):
            gallery.enroll("again", person)
        assert gallery.list() == ("red",)
        fused = pipeline.fuse(two_people_clip)
        assert len(fused.images) == fused.num_images == 40
        assert gallery.enroll("fused", fused).keep == "features"
        assert np.abs(gallery.template("fused").vector - fused.template.vector).max() < 1e-3


def test_who_is_only_watched_is_a_state(
    two_people_clip, square_detector, colour_embedder, tmp_path
) -> None:
    pipeline = pf.Pipeline(colour_embedder, detector=square_detector, fuser="mean", num_threads=1)
    with pf.Gallery(tmp_path / "door.db", fuser="mean") as gallery:
        last = list(pipeline.watch(two_people_clip, gallery=gallery))[-1]
        assert gallery.enroll("last", last.person).keep == "state"
