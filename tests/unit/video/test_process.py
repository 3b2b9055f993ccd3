"""From a drawn video to people, records, report and annotated video."""

from __future__ import annotations

import json
import re

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    EmptySetError,
    FuserMismatchError,
    MissingFileError,
    OutputExistsError,
)
from probefusion.faces.frames import VideoReader
from probefusion.gallery.stills import read_stills, search_stills
from probefusion.reports.video import write_report
from probefusion.types import EmbeddingSet, FusionState, Template, TemplateSet
from probefusion.video import VideoSettings, process_video
from probefusion.video.annotate import annotate_video
from probefusion.video.explanation import doubtful_names, explain_clip, explain_person
from probefusion.video.result_files import check_folder, result_folder, write_results
from probefusion.zoo import load_fuser

pytest.importorskip("av")
pytest.importorskip("edgefirst.tracker")


@pytest.fixture
def process(square_detector, colour_embedder):
    """Processes a video with the made-up detector and embedder."""

    def run(path, settings=None, *, reading=None, **hooks):
        with VideoReader(path, **(reading or {})) as reader:
            return process_video(
                reader, square_detector, colour_embedder, load_fuser("mean"), settings, **hooks
            )

    return run


def spans(clip):
    """First and last frame of each person, most images first."""
    return [(p.segments[0].first_frame, p.segments[-1].last_frame) for p in clip.people]


def test_three_people_are_found_with_all_their_images(process, two_people_clip) -> None:
    with process(two_people_clip) as clip:
        assert spans(clip) == [(0, 39), (0, 14), (25, 39)]
        assert [person.num_images for person in clip.people] == [40, 15, 15]
        assert clip.counts.frames_read == clip.counts.frames_used == 40
        assert clip.counts.faces_found == 70
        assert clip.problems == ()
        for person in clip.people:
            weights = np.concatenate([block for _, block in person.blocks()])
            assert weights.sum() == pytest.approx(1)


def test_halves_add_up_to_the_whole(process, two_people_clip) -> None:
    def state(**reading):
        with process(two_people_clip, reading=reading) as clip:
            return clip.people[0].state, clip.fuser

    whole, fuser = state()
    parts = state(stop=0.8)[0] + state(start=0.8)[0]
    assert whole.num_images == parts.num_images == 40
    assert np.abs(fuser.finish(whole).vector - fuser.finish(parts).vector).max() < 1e-6


def test_settings_leave_out_and_count(process, two_people_clip) -> None:
    with process(two_people_clip, VideoSettings(max_faces=1)) as clip:
        assert clip.counts.faces_beyond_limit == 30
    with process(two_people_clip, VideoSettings(min_images=20)) as clip:
        assert [person.num_images for person in clip.people] == [40]
        assert (clip.counts.tracks_too_short, clip.counts.images_in_short_tracks) == (2, 30)
    with process(two_people_clip, reading={"every": 4}) as clip:
        assert clip.counts.frames_used == 10
        assert clip.people[0].num_images == 10
    with pytest.raises(EmptySetError, match="70 faces 70 were smaller than 500 pixels"):
        process(two_people_clip, VideoSettings(min_size=500))


def test_progress_and_stopping(process, two_people_clip) -> None:
    seen = []
    with process(
        two_people_clip,
        progress=lambda done, total: seen.append((done, total)),
        should_stop=lambda: len(seen) >= 20,
    ) as clip:
        assert seen == [(k, 40) for k in range(1, 21)]
        assert clip.counts.frames_read == 20
        assert spans(clip) == [(0, 19), (0, 14)]


def test_no_face_at_all(process, tmp_path, videos) -> None:
    frames = [np.zeros((64, 64, 3), np.uint8)] * 5
    path = videos.write_video(tmp_path / "black.mp4", frames)
    with pytest.raises(EmptySetError, match="no person found in 5 frames: they show no face"):
        process(path)


def test_wrong_settings() -> None:
    for wrong in (
        {"max_faces": 0},
        {"min_images": 0},
        {"min_size": -1},
        {"min_size": float("nan")},
        {"chunk_size": 0},
        {"max_gap": 0},
        {"split_below": 2},
        {"reenter_from": float("nan")},
    ):
        with pytest.raises(ConfigError, match=next(iter(wrong))):
            VideoSettings(**wrong)


@pytest.fixture
def gallery(tmp_path, colour_embedder):
    """An embedding set of red, a template of green."""
    crop = np.zeros((2, 112, 112, 3), np.uint8)
    crop[0], crop[1] = (250, 40, 40), (40, 250, 40)
    embeddings, _ = colour_embedder.embed(crop)
    red = EmbeddingSet(embeddings=embeddings[:1], embedder=colour_embedder.fingerprint)
    green = EmbeddingSet(embeddings=embeddings[1:], embedder=colour_embedder.fingerprint)
    folder = tmp_path / "gallery"
    folder.mkdir()
    red.save(folder / "Red <b>.npz")
    load_fuser("mean").fuse(green).save(folder / "green.npz")
    (folder / ".hidden.npz").write_bytes(b"")
    (folder / "notes.txt").write_text("not a person")
    return folder


def test_gallery_matches(process, two_people_clip, gallery, square_detector, colour_embedder):
    fuser = load_fuser("mean")
    stills = read_stills(gallery, colour_embedder, square_detector, fuser)
    assert stills.names == ("Red <b>", "green")
    with process(two_people_clip) as clip:
        matches = [
            search_stills(person.template, stills, fuser, threshold=0.9) for person in clip.people
        ]
        assert [match.name for match in matches] == ["Red <b>", "green", None]
        assert [match.is_match for match in matches] == [True, True, False]
        unsure = search_stills(clip.people[0].template, stills, fuser)
        assert (unsure.threshold, unsure.is_match, unsure.name) == (None, None, None)
        assert [c.name for c in unsure.candidates] == ["Red <b>", "green"]


def test_one_name_for_two_faces_of_one_frame_is_told(
    process, two_people_clip, gallery, square_detector, colour_embedder
) -> None:
    """Green and blue are never seen together; red is there all the time."""
    fuser = load_fuser("mean")
    stills = read_stills(gallery / "green.npz", colour_embedder, square_detector, fuser)
    with process(two_people_clip) as clip:
        numbers = [person.number for person in clip.people]
        told = doubtful_names(explain_clip(clip, stills, threshold=-1.0))
        assert told == [
            f"tracks {numbers[0]} and {other} were seen in one frame, and both match green: one of "
            f"them is somebody else"
            for other in numbers[1:]
        ]
        assert doubtful_names(explain_clip(clip, stills, threshold=0.9)) == []
        assert doubtful_names(explain_clip(clip)) == []


def test_gallery_refusals(tmp_path, gallery, square_detector, colour_embedder) -> None:
    def read(paths, fuser="mean"):
        return read_stills(paths, colour_embedder, square_detector, load_fuser(fuser))

    with pytest.raises(ConfigError, match="two people are named 'green'"):
        read([gallery, gallery / "green.npz"])
    with pytest.raises(FuserMismatchError, match="mean@1, expected norm-weighted@1"):
        read([gallery / "green.npz"], "norm-weighted")
    (tmp_path / "face.png").write_bytes(b"no image")
    with pytest.raises(EmptySetError, match="nobody could be read"):
        read([tmp_path / "face.png"])
    stills = read([gallery / "green.npz", tmp_path / "face.png"])
    assert [item.source.endswith("face.png") for item in stills.skipped] == [True]


@pytest.fixture
def written(process, two_people_clip, gallery, square_detector, colour_embedder, tmp_path):
    """A folder with everything written, and the clip."""
    fuser = load_fuser("mean")
    stills = read_stills(gallery, colour_embedder, square_detector, fuser)
    with process(two_people_clip) as clip:
        explanations = [
            explain_person(
                person, fuser, stills, search_stills(person.template, stills, fuser, threshold=0.9)
            )
            for person in clip.people
        ]
        folder = tmp_path / "out"
        with result_folder(folder) as draft:
            write_results(clip, explanations, draft, settings={"every": 1})
            write_report(clip, explanations, draft / "report.html")
            with VideoReader(two_people_clip) as again:
                annotate_video(clip, explanations, again, draft / "annotated.mp4")
        yield folder, clip, explanations


def test_tracks_json(written) -> None:
    folder, clip, _ = written
    facts = json.loads((folder / "tracks.json").read_text())
    assert (facts["schema"], facts["schema_version"]) == ("probefusion/tracks", 1)
    assert facts["video"]["num_frames"] == 40
    assert facts["counts"]["faces_found"] == 70
    assert facts["settings"] == {"every": 1}
    red, green, blue = facts["tracks"]
    assert red["match"]["name"] == "Red <b>"
    assert green["reference"] == "green"
    assert blue["match"]["is_match"] is False
    assert blue["reference"] is None
    for track, person in zip(facts["tracks"], clip.people, strict=True):
        images = track["images"]
        assert len(images) == track["num_images"] == person.num_images
        assert sum(image["weight"] for image in images) == pytest.approx(1, abs=1e-4)
        assert [image["frame"] for image in images] == sorted(image["frame"] for image in images)
        assert images[0].keys() == {"frame", "time", "box", "score", "weight", "similarity"}
        template = Template.load(folder / track["template"])
        assert np.abs(template.vector - person.template.vector).max() < 1e-6
        assert template.weights.shape == (person.num_images,)
        state = FusionState.load(folder / track["state"])
        assert state.num_images == person.num_images
    assert red["images"][10]["box"] == pytest.approx([20, 20, 40, 40], abs=3)


def test_all_templates_and_states_are_in_one_file(written) -> None:
    folder, clip, _ = written
    facts = json.loads((folder / "tracks.json").read_text())
    people = TemplateSet.load(folder / facts["templates"])
    assert facts["templates"] == "templates.npz"
    assert list(people) == [str(track["track"]) for track in facts["tracks"]]
    assert people.num_images.tolist() == [40, 15, 15]
    assert (people.fuser, people.embedder) == (clip.fuser.fingerprint, clip.embedder)
    for person, state in zip(clip.people, people.states, strict=True):
        template = people[str(person.number)]
        assert np.array_equal(template.vector, person.template.vector)
        assert np.array_equal(state.sums, person.state.sums)
        assert state.num_images == person.num_images
    with pytest.raises(OutputExistsError, match="--force"):
        check_folder(folder)
    assert folder / "templates.npz" in check_folder(folder, force=True)


def test_explanation(written) -> None:
    _, clip, explanations = written
    red = explanations[0]
    assert red.reference == "Red <b>"
    assert red.fused_similarity > 0.99
    assert red.num_carrying_half == 20  # the mean weighs all 40 alike
    assert 0 <= red.share_beaten <= 1
    assert [point.num_images for point in red.growth][:4] == [1, 2, 3, 4]
    assert red.growth[-1].num_images == 40
    assert red.growth[-1].fused == pytest.approx(red.fused_similarity, abs=1e-6)
    assert clip.people[0] is red.person


def test_the_report_is_one_file_that_asks_for_nothing(written) -> None:
    folder, _, _ = written
    page = (folder / "report.html").read_text()
    assert "default-src 'none'" in page
    assert "Red &lt;b&gt;" in page
    assert "<b>.npz" not in page
    assert page.count("data:image/jpeg;base64,") >= 3
    assert not re.search(r"(?i)<script|<link|<iframe|javascript:", page)
    assert not re.search(r"""(?i)(src|href)\s*=\s*["'](?!data:|#)""", page)
    assert not re.search(r"https?://", page)


def test_matched_names_have_a_colour_in_the_timelines_and_others_are_grey(written) -> None:
    folder, _, explanations = written
    page = (folder / "report.html").read_text()
    drawings = re.findall(r"<svg [^>]*aria-label='Timeline of tracks'>(.*?)</svg>", page, re.DOTALL)
    assert len(drawings) == 2  # for wide and for narrow screens
    for drawing in drawings:
        lanes = re.findall(r"<rect [^>]*fill='([^']*)'><title>([^<]*)</title>", drawing)
        assert len(lanes) == sum(len(item.person.segments) for item in explanations)
        for item in explanations:
            name = item.match.name
            fills = {
                fill for fill, label in lanes if label.startswith(f"Track {item.person.number}:")
            }
            assert len(fills) == 1
            assert (fills == {"#8d8d8d"}) == (name is None)


def test_cosine_axes_end_at_1_and_no_label_stands_twice(written) -> None:
    folder, _, explanations = written
    assert max(item.fused_similarity for item in explanations) > 0.99
    page = (folder / "report.html").read_text()
    charts = re.findall(r"<svg [^>]*aria-label='Similarity[^>]*>(.*?)</svg>", page, re.DOTALL)
    assert len(charts) == 2 * len(explanations)
    for chart in charts:
        labels = re.findall(r"class='tick' text-anchor='end'>(-?\d\.\d\d)<", chart)
        assert labels
        assert len(set(labels)) == len(labels)
        assert max(map(float, labels)) <= 1
    assert "&#8804; " in page  # lighter weights share the last colour


def test_the_annotated_video_shows_the_boxes_at_the_same_times(written, two_people_clip) -> None:
    folder, _, _ = written
    with VideoReader(folder / "annotated.mp4") as reader:
        frames = list(reader)
    with VideoReader(two_people_clip) as reader:
        originals = list(reader)
    assert len(frames) == 40
    assert np.allclose([f.time for f in frames], [f.time for f in originals], atol=2e-3)
    assert frames[0].image.shape == (360, 600, 3)  # enlarged three times, for labels to be read
    enlarged = np.repeat(np.repeat(originals[10].image, 3, axis=0), 3, axis=1)
    changed = np.abs(frames[10].image.astype(int) - enlarged).max(axis=2) > 60
    edge = changed[60:180, 58:64].any(axis=1).mean()
    assert edge > 0.8  # the left edge of red's box
    assert not changed[250:, :300].any()


def files_in(folder):
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_results_are_not_overwritten_unasked(written) -> None:
    folder, _, _ = written
    with pytest.raises(OutputExistsError, match="--force"):
        check_folder(folder)
    (folder / "mine.txt").write_text("keep")
    before = files_in(folder)
    with pytest.raises(IsADirectoryError), result_folder(folder, force=True) as draft:
        (draft / "templates").write_text("fails, as on a full disk")
    assert files_in(folder) == before  # nothing lost, nothing left behind
    with result_folder(folder, force=True) as draft:
        (draft / "tracks.json").write_text("new")
        assert files_in(folder).items() >= before.items()
    assert files_in(folder) == {"mine.txt": b"keep", "tracks.json": b"new"}
    (folder / "file").write_text("")
    with pytest.raises(OutputExistsError, match="is a file"):
        check_folder(folder / "file")
    with pytest.raises(MissingFileError, match="no folder"):
        check_folder(folder / "file" / "inside")
