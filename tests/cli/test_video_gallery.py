"""`probefusion video --gallery` with a gallery that is kept."""

from __future__ import annotations

import json

import numpy as np
import pytest
from drawn_gallery import drawn_crops
from drawn_video import SquareDetector, two_people
from tests.support.judged_fusers import record_beside

from probefusion.fusion import MeanFuser
from probefusion.gallery import Gallery, write_master_key
from probefusion.pipeline import Pipeline

pytest.importorskip("cv2")
pytest.importorskip("edgefirst.tracker")


@pytest.fixture(scope="module")
def clip(tmp_path_factory, videos):
    path = tmp_path_factory.mktemp("clip") / "people.mp4"
    return videos.write_video(path, two_people(), options={"crf": "10"})


@pytest.fixture
def options(monkeypatch, tiny_embedder):
    """The squares are found; the tiny embedder embeds them."""
    monkeypatch.setattr("probefusion.zoo.load_detector", lambda name: SquareDetector())
    return ["--detector", "squares", "--embedder", str(tiny_embedder), "--threads", "1"]


@pytest.fixture
def images(tiny_embedder):
    """The red person as the tiny embedder sees it."""
    return Pipeline(str(tiny_embedder), num_threads=1).embedder.embed_set(drawn_crops("red"))


def test_matches_are_printed_and_written_as_the_gallery_gives_them(
    command, clip, options, images, tmp_path
) -> None:
    with Gallery(tmp_path / "door.db", fuser="mean") as gallery:
        person = gallery.enroll("red", images).person_id
    code, out, err = command(
        "video", clip, "--events", "-o", tmp_path / "out", "--gallery", tmp_path / "door.db",
        "--threshold", "0.5", *options,
    )  # fmt: skip
    assert code == 0, err
    events = [json.loads(line) for line in out.splitlines()]
    facts = json.loads((tmp_path / "out" / "tracks.json").read_text())
    assert facts["fuser"].startswith("mean@")  # the gallery's
    assert facts["settings"]["gallery"] == [str(tmp_path / "door.db")]
    last = {event["number"]: event for event in events}
    with Gallery(tmp_path / "door.db") as gallery:
        for track in facts["tracks"]:
            template = np.load(tmp_path / "out" / track["template"])
            similarity = float(template["vector"] @ gallery.template("red").vector)
            (candidate,) = track["match"]["candidates"]
            assert candidate["similarity"] == pytest.approx(similarity, abs=2e-6)
            assert (candidate["name"], candidate["person_id"]) == ("red", person)
            assert track["match"]["is_match"] is (similarity >= 0.5)
            assert track["match"]["revision"] == gallery.revision
            assert last[track["track"]]["match"] == track["match"]
    assert "red" in err


def test_the_other_collection_of_an_encrypted_gallery(
    command, clip, options, images, tmp_path
) -> None:
    write_master_key(tmp_path / "master.key")
    with Gallery(tmp_path / "door.db", "night", fuser="mean", keys=tmp_path / "master.key") as made:
        made.enroll("red", images)
        made.ignore("red")
    known = ["--gallery", tmp_path / "door.db", "--threshold", "-1"]
    keys = ["--keys", tmp_path / "master.key"]
    code, out, err = command(
        "video", clip, "-o", tmp_path / "out", *known, *keys, "--collection", "night", *options
    )
    assert code == 3, (
        err
    )  # all tracks match the one person of the gallery, and two were seen together
    assert "; match red " in out
    assert "(threshold -1.000), to be ignored" in out
    for given, message in (
        (known, "keys"),
        ([*known, *keys, "--collection", "nihgt"], "nihgt"),
        (["--gallery", tmp_path / "dor.db"], "dor.db"),
        (["--keys", tmp_path / "master.key"], "--keys: expected a gallery with it"),
        (["--collection", "night"], "--collection: expected a gallery with it"),
        ([*known[:2], tmp_path / "out", *keys], "expected one gallery, or stills alone"),
    ):
        code, out, err = command("video", clip, "--events", *given, *options)
        assert (code, out) == (1, ""), given
        assert message in err
    assert not (tmp_path / "dor.db").exists()


def test_a_rate_of_searches_is_decided_at_or_said_to_be_unknown(
    command, clip, options, images, tmp_path
) -> None:
    with Gallery(tmp_path / "door.db", fuser="mean") as gallery:
        gallery.enroll("red", images)
    watched = ["video", clip, "--events", "--gallery", tmp_path / "door.db", *options]
    code, out, err = command(*watched, "--fpir", "0.01")
    assert code == 0, err
    for match in (json.loads(line)["match"] for line in out.splitlines()):
        assert match["false_positive_rate"] == 0.01
        assert match["false_match_rate"] is None
        assert (match["is_match"], match["threshold"]) == (None, None)
        assert match["why_none"]  # nothing was measured for this embedder
    for given in (["--fpir", "2"], ["--fpir", "0.1", "--calibration", tmp_path / "none.json"]):
        code, out, err = command(*watched, *given)
        assert (code, out, err.count("\n")) == (1, "", 1)
    assert command(*watched, "--fpir", "0.1", "--threshold", "0.5")[0] == 2
    code, out, err = command("video", clip, "--events", "--fpir", "0.1", *options)
    assert (code, out) == (1, "")
    assert "--fpir: expected a gallery with it" in err


def test_a_fuser_that_is_not_the_gallerys_is_refused_before_the_video(
    command, clip, options, images, tmp_path
) -> None:
    with Gallery(tmp_path / "door.db", fuser="mean") as gallery:
        gallery.enroll("red", images)
    for output in (["--events"], ["-o", tmp_path / "out"]):
        code, out, err = command(
            "video", clip, *output, "--gallery", tmp_path / "door.db", "--fuser", "universal",
            *options,
        )  # fmt: skip
        assert (code, out) == (1, "")
        assert "the gallery's templates are by mean@" in err
    assert not (tmp_path / "out").exists()


def test_a_gallery_on_a_server_whose_password_stays_hidden(
    command, clip, options, images, tmp_path, postgres_server
) -> None:
    address = postgres_server.new_database()
    assert address.startswith("postgresql://postgres:")
    password = address.split("@")[0].split(":")[-1]
    with Gallery(address, fuser="mean") as gallery:
        gallery.enroll("red", images)
    _, out, err = command(
        "video", clip, "-o", tmp_path / "out", "--gallery", address, "--threshold", "0.5", *options
    )
    facts = json.loads((tmp_path / "out" / "tracks.json").read_text())
    assert facts["tracks"][0]["match"]["candidates"][0]["name"] == "red"
    (shown,) = facts["settings"]["gallery"]
    assert shown.startswith("postgresql://")
    assert f":{password}@" not in shown
    for file in (tmp_path / "out").rglob("*.*"):
        assert address.encode() not in file.read_bytes()
    assert address not in out + err


def test_a_calibration_judges_people_of_a_video_alone(command, clip, options, images, tmp_path):
    watched = ["video", clip, "--events", "--fuser", "mean", *options, "--calibration"]
    code, out, err = command(*watched, tmp_path / "own.json")
    assert (code, out) == (1, "")
    assert "own.json is no file. Name one that probefusion calibrate -o wrote." in err
    (tmp_path / "own.json").write_text("{}")
    code, out, err = command(*watched, tmp_path / "own.json")
    assert (code, out) == (1, "")
    assert "own.json: format_version" in err
    record_beside(tmp_path / "own.json", MeanFuser().encode(images), 0.8)
    code, out, err = command(*watched, tmp_path / "own.json")
    assert code == 0, err
    code, out, err = command(*watched[:4], "norm-weighted", *watched[5:], tmp_path / "own.json")
    assert (code, out) == (1, "")
    assert "own.json: made for templates of mean@1, got those of norm-weighted@1" in err
    code, out, err = command(
        "video", clip, "-o", tmp_path / "out", "--fuser", "mean", *options,
        "--calibration", tmp_path / "own.json",
    )  # fmt: skip
    assert code == 0, err
    tracks = json.loads((tmp_path / "out" / "tracks.json").read_text())["tracks"]
    assert {track["usability"]["verdict"] for track in tracks} == {"not usable"}
    images.save(tmp_path / "ann.npz")
    code, out, err = command(
        *watched, tmp_path / "own.json", "--gallery", tmp_path / "ann.npz", "--threshold", "0.5"
    )
    assert (code, out) == (1, "")
    assert "--calibration: has no effect on stills" in err
