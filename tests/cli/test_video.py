"""`probefusion video`: results, events, and the fuser that is chosen."""

from __future__ import annotations

import io
import json
import signal
import sys

import numpy as np
import pytest
from drawn_video import SquareDetector, two_people

from probefusion.faces import Face, align_face
from probefusion.faces.frames import VideoReader
from probefusion.types import TemplateSet

cv2 = pytest.importorskip("cv2")
pytest.importorskip("edgefirst.tracker")


@pytest.fixture(scope="module")
def clip(tmp_path_factory, videos):
    """Three people, drawn as squares."""
    path = tmp_path_factory.mktemp("clip") / "people.mp4"
    return videos.write_video(path, two_people(), options={"crf": "10"})


@pytest.fixture
def options(monkeypatch, tiny_embedder):
    """The squares are found; the tiny embedder embeds them."""
    monkeypatch.setattr("probefusion.zoo.load_detector", lambda name: SquareDetector())
    return ["--detector", "squares", "--embedder", str(tiny_embedder), "--threads", "1"]


def lines(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def test_watching_prints_a_line_for_each_event_and_writes_nothing(
    command, clip, options, tmp_path, monkeypatch
) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, err = command("video", clip, "--events", *options)
    assert code == 0, err
    events = lines(out)
    assert list(events[0]) == [
        "kind", "time", "number", "num_images", "first_time", "last_time", "match",
    ]  # fmt: skip
    assert events[0]["kind"] == "appeared"
    assert events[-1]["kind"] == "left"
    assert [e["time"] for e in events] == sorted(e["time"] for e in events)
    assert max(e["num_images"] for e in events) >= 40
    assert all(e["match"] is None for e in events)
    assert list(tmp_path.iterdir()) == []


def test_events_and_results_together(command, clip, options, tmp_path) -> None:
    folder = tmp_path / "out"
    code, out, err = command("video", clip, "--events", "-o", folder, *options)
    assert code == 0, err
    assert out == command("video", clip, "--events", *options)[1]
    last = {event["number"]: event for event in lines(out)}
    facts = json.loads((folder / "tracks.json").read_text())
    assert {t["track"]: t["num_images"] for t in facts["tracks"]} == {
        number: event["num_images"] for number, event in last.items()
    }
    people = TemplateSet.load(folder / "templates.npz")
    assert {int(name) for name in people} == set(last)
    assert f"report.html: {len(last)} track" in err
    code, out, _ = command("video", clip, "-o", folder, "--force", *options)
    assert code == 0
    assert f"report.html: {len(last)} track" in out


def test_each_event_is_flushed_at_once(clip, options, monkeypatch) -> None:
    from probefusion.cli import main

    class Pipe(io.StringIO):
        flushed = 0

        def flush(self) -> None:
            assert self.getvalue().count("\n") <= self.flushed + 1
            self.flushed = self.getvalue().count("\n")

    pipe = Pipe()
    monkeypatch.setattr(sys, "stdout", pipe)
    assert main(["video", str(clip), "--events", *options]) == 0
    assert pipe.flushed == len(lines(pipe.getvalue())) > 3


def test_ctrl_c_lets_people_leave_and_is_told_by_the_exit_code(
    command, clip, options, monkeypatch
) -> None:
    class Interrupted(SquareDetector):
        num_seen = 0

        def detect(self, image):
            self.num_seen += 1
            if self.num_seen == 10:
                signal.raise_signal(signal.SIGINT)
            return super().detect(image)

    monkeypatch.setattr("probefusion.zoo.load_detector", lambda name: Interrupted())
    code, out, err = command("video", clip, "--events", *options)
    assert code == 130
    assert "stopping; what was read is finished (again: at once)" in err
    events = lines(out)
    assert events[-1]["kind"] == "left"
    assert max(event["time"] for event in events) == pytest.approx(9 / 25)


def test_ctrl_c_while_models_load_ends_at_once(command, clip, options, monkeypatch) -> None:
    def interrupted(name):
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr("probefusion.zoo.load_detector", interrupted)
    code, out, err = command("video", clip, "--events", *options)
    assert (code, out) == (130, "")
    assert err == "probefusion: interrupted\n"


def test_wrong_options_are_refused_in_one_line(command, clip, options, tmp_path) -> None:
    for given, message in (
        ([], "-o, --events: expected at least one"),
        (["--events", "--json"], "--events, --json: expected one of the two"),
        (["--events", "--annotate"], "--annotate: needs a folder"),
        (["--events", "--merge-tracks", "0.5"], "--merge-tracks: needs a folder"),
        (["-o", tmp_path / "out", "--fmr", "2"], "--fmr"),
        (["--events", "--threshold", "3"], "--threshold"),
    ):
        code, out, err = command("video", clip, *given, *options)
        assert (code, out) == (1, ""), given
        assert message in err
        assert err.count("\n") == 1


def write_person(folder, clip_frames) -> None:
    """The crops of the red square as files."""
    folder.mkdir()
    for number, frame in enumerate(clip_frames):
        face: Face = SquareDetector().detect(frame)[0]
        crop = align_face(frame, face.landmarks)
        cv2.imwrite(str(folder / f"{number}.png"), crop[..., ::-1])


@pytest.mark.parametrize(("embedder", "expected"), [("tiny", "universal"), (None, "exact")])
def test_images_and_videos_of_one_embedder_get_the_same_fuser(
    command, clip, options, tmp_path, embedder, expected
) -> None:
    """An unknown embedder takes the universal fuser for both, one of the package its own fuser."""
    write_person(tmp_path / "person", list(two_people())[:6])
    models = options if embedder else [*options[:2], "--threads", "1"]
    told = 0 if embedder else 3  # a red square looks like no face to the one of the package
    code, out, err = command("fuse", tmp_path / "person", "--aligned", "--json", *models[2:])
    assert code == told, err
    of_images = json.loads(out)["fuser"]
    code, out, err = command("video", clip, "-o", tmp_path / "out", "--json", *models)
    assert code == 0, err
    of_video = json.loads(out)["fuser"]
    code, out, err = command("fuse", clip, "--json", *models)
    assert code == told, err
    assert of_images == of_video == json.loads(out)["fuser"]
    assert of_images.startswith(expected)


def test_the_universal_fuser_works_on_videos_where_it_is_named(
    command, clip, options, tmp_path
) -> None:
    """Results, merging, a gallery of crops' sets, and states that add to those of images."""
    write_person(tmp_path / "person", list(two_people())[:6])
    universal = ["--fuser", "universal"]
    folder = tmp_path / "out"
    code, out, err = command(
        "video", clip, "-o", folder, "--json", "--merge-tracks", "0.9999", *universal, *options
    )
    assert code == 0, err
    facts = json.loads(out)
    assert facts["fuser"].startswith("universal@")
    track = json.loads((folder / "tracks.json").read_text())["tracks"][0]
    weights = np.array([image["weight"] for image in track["images"]])
    assert weights.sum() == pytest.approx(1, abs=1e-4)
    assert weights.std() > 0
    code, _, err = command(
        "fuse", tmp_path / "person", "--aligned", "--state", tmp_path / "s.safetensors",
        "-o", tmp_path / "person.npz", *universal, *options[2:],
    )  # fmt: skip
    assert code == 0, err
    code, out, err = command(
        "fuse", folder / track["state"], tmp_path / "s.safetensors", "--json", *universal
    )
    assert code == 0, err
    assert json.loads(out)["num_images"] == track["num_images"] + 6
    code, out, err = command(
        "video", clip, "--events", "--gallery", tmp_path / "person.npz", "--threshold", "0.5",
        *universal, *options,
    )  # fmt: skip
    assert code == 0, err
    last = lines(out)[-1]["match"]
    assert last["candidates"][0]["name"] == "person"
    assert last["threshold"] == 0.5


def test_people_of_the_gallery_that_cannot_be_used_are_recorded(
    command, clip, options, tmp_path
) -> None:
    """A clip and a damaged image among the stills are told in the results, not on standard error alone."""
    gallery = tmp_path / "gallery"
    gallery.mkdir()
    cv2.imwrite(str(gallery / "ann.png"), next(iter(two_people()))[..., ::-1])
    (gallery / "bob.mp4").write_bytes(clip.read_bytes())
    (gallery / "eve.jpg").write_bytes(b"no image")
    folder = tmp_path / "out"
    code, out, err = command("video", clip, "-o", folder, "--gallery", gallery, "--json", *options)
    assert code == 3, err
    problems = json.loads(out)["problems"]
    assert [problem.partition(": ")[0] for problem in problems] == ["gallery"] * 3
    (unsure,) = (problem for problem in problems if "several faces of about one size" in problem)
    assert "ann" in unsure  # the still shows two people
    assert f"gallery: {gallery}/bob.mp4: a video: give its own path" in problems
    assert sum(f"{gallery}/eve.jpg" in problem for problem in problems) == 1
    assert json.loads((folder / "tracks.json").read_text())["problems"] == problems
    page = (folder / "report.html").read_text()
    assert page.count("bob.mp4: a video: give its own path.") == 1
    assert page.count("eve.jpg") >= 1


def test_merges_are_told(command, clip, options, tmp_path) -> None:
    """Green has left when blue comes: the only two that may be merged."""
    given = ("--merge-tracks", "-1", "--fuser", "mean", "--min-images", "5")
    code, out, err = command("video", clip, "-o", tmp_path / "out", *given, *options)
    assert code == 0, err
    (made,) = [
        decision
        for decision in json.loads((tmp_path / "out" / "tracks.json").read_text())["decisions"]
        if decision["kind"] == "merge"
    ]
    similarity = f"{made['similarity']:.3f}"
    assert out.splitlines()[0] == (
        f"merged track {made['other_track']} into {made['track']} ({similarity})"
    )
    assert out.count("merged track") == 1


def test_the_total_counts_the_frames_that_are_asked_for(command, clip, options) -> None:
    code, _, err = command("video", clip, "--events", "--stop", "0.8", *options)
    assert code == 0, err
    rate = VideoReader(clip).facts.frame_rate
    expected = int(np.ceil(0.8 * rate - 1e-6))
    assert f"{expected}/{expected} frames" in err
