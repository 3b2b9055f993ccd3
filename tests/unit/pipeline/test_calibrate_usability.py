"""`calibrate` also measures what can be expected of templates, and `fuse` says it; too little data is refused."""

from __future__ import annotations

import json

import numpy as np
import pytest

import probefusion
from probefusion.cli.main import main
from probefusion.errors import FuserMismatchError
from probefusion.evaluation.drawn_people import draw_crop
from probefusion.pipeline import calibrate_usability
from probefusion.pipeline.calibrate import calibrate
from probefusion.pipeline.calibrate_usability import LEAST_PEOPLE
from probefusion.pipeline.kinship import Kinship
from probefusion.screening.usability_record import read_usability
from probefusion.zoo import load_embedder

cv2 = pytest.importorskip("cv2")

SETTINGS = {"sizes": (1,), "num_poor": 30, "num_threads": 1, "trust_alignment": True}


def draw_people(folder, count, images=3):
    for person in range(count):
        (folder / f"p{person:03}").mkdir(parents=True)
        for number in range(images):
            crop = draw_crop(person, number)[..., ::-1]
            cv2.imwrite(str(folder / f"p{person:03}" / f"{number}.png"), crop)
    return folder


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    return draw_people(tmp_path_factory.mktemp("people"), LEAST_PEOPLE)


@pytest.fixture(scope="module")
def embedder():
    return load_embedder(num_threads=1)


@pytest.fixture
def coarse(monkeypatch):
    """Fewer pictures and comparisons, so that the test is short."""
    monkeypatch.setattr(calibrate_usability, "_MIXES", (("clean", 2), ("hard", 4), ("mixed", 4)))
    monkeypatch.setattr(calibrate_usability, "_SET_SIZES", (1, 2, 4))
    monkeypatch.setattr(calibrate_usability, "_NON_FACES", 6)
    monkeypatch.setattr(calibrate_usability, "_RATE", 0.03)


def test_it_is_measured_kept_and_said(people, embedder, coarse, tmp_path, capsys) -> None:
    # the fuser is not the package's, so that what is known can only come from here
    fuser = probefusion.load_fuser("norm-weighted", num_threads=1)
    given = probefusion.EmbeddingSet.concatenate(
        [embedder.embed_set(draw_crop(900, number)[None]) for number in range(3)]
    )
    path = tmp_path / "mine.json"
    found = calibrate(fuser, people, embedder=embedder, output=path, **SETTINGS)
    assert found.why_no_usability is None
    assert found.usability_path == tmp_path / "mine.usability.json"
    record = read_usability(found.usability_path)
    assert record == found.usability
    assert (record.fuser, record.embedder) == (fuser.fingerprint, embedder.fingerprint)
    assert record.fitted_on["num_people"] == LEAST_PEOPLE
    assert record.fitted_on["num_non_faces"] == 6 * 8
    said = probefusion.Pipeline(fuser=fuser, calibration=path).fuse(given).usability
    before = probefusion.Pipeline(fuser=fuser).fuse(given).usability
    assert (before.verdict, said.verdict) != ("not known", "not known")
    assert said.level == pytest.approx(record.level)
    low, high = said.interval
    assert low <= said.similarity <= high
    noise = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3)).astype(np.uint8)
    worse = probefusion.Pipeline(fuser=fuser, calibration=path).fuse(embedder.embed_set(noise))
    assert worse.usability.similarity < said.similarity
    # a calibration of another fuser says nothing about this one
    with pytest.raises(FuserMismatchError, match=r"mine\.json: made for templates of "):
        probefusion.Pipeline(fuser="mean", calibration=path).fuse(given)
    # the command says so
    given.save(tmp_path / "given.npz")
    argv = ["fuse", str(tmp_path / "given.npz"), "--fuser", "norm-weighted", "--json"]
    argv += ["--calibration", str(path), "-o", str(tmp_path / "fused.npz")]
    assert main(argv) in (0, 3)
    assert json.loads(capsys.readouterr().out)["usability"]["level"] == pytest.approx(record.level)


def test_a_record_that_is_there_stays_unless_forced(people, embedder, coarse, tmp_path) -> None:
    (tmp_path / "mine.usability.json").write_text("{}")
    found = calibrate("mean", people, embedder=embedder, output=tmp_path / "mine.json", **SETTINGS)
    assert "stays as it is" in found.why_no_usability
    assert (tmp_path / "mine.usability.json").read_text() == "{}"


def test_relatives_are_not_compared(people, embedder, coarse) -> None:
    settings = {"num_people": 1000, "leave_out": (), "num_threads": 1}
    read = probefusion.protocols.read_people(people)
    plain, kin = (
        calibrate_usability.fit_usability_to(
            probefusion.load_fuser("mean", num_threads=1),
            embedder,
            read,
            (0, 1, 2, 3),
            kinship=Kinship(related_by=by),
            **settings,
        )
        for by in (None, "3")
    )
    assert plain.level != kin.level


@pytest.mark.parametrize(
    ("count", "images", "why"),
    [
        (
            LEAST_PEOPLE - 1,
            3,
            f"takes {LEAST_PEOPLE} people with 3 or more images each, there are 59",
        ),
        (
            LEAST_PEOPLE + 5,
            1,
            f"takes {LEAST_PEOPLE} people with 3 or more images each, there are 0",
        ),
        (LEAST_PEOPLE, 3, "takes 30,000 comparisons of different people to say what is usable"),
    ],
    ids=["few", "pile", "few-comparisons"],
)
def test_too_little_data_is_refused_with_the_reason(tmp_path, count, images, why) -> None:
    folder = tmp_path / "data"
    for person in range(count):
        (folder / f"p{person}").mkdir(parents=True)
        for number in range(images):
            (folder / f"p{person}" / f"{number}.jpg").write_bytes(b"\xff\xd8\xff")
    read = probefusion.protocols.read_people(folder)
    assert why in calibrate_usability.why_no_usability(
        read, (0, 1, 2, 3), num_people=1000, leave_out=()
    )


def test_the_command_tells_why_not(people, tmp_path, capsys) -> None:
    argv = ["calibrate", "mean", "--data", str(people), "-o", str(tmp_path / "a.json")]
    argv += [
        "--trust-alignment",
        "--threads",
        "1",
        "--poor-people",
        "2000",
        "--people",
        "55",
        "--json",
    ]
    assert main(argv) == 0
    captured = capsys.readouterr()
    assert "usability was not measured: it takes 60 people" in captured.err
    facts = json.loads(captured.out)
    assert facts["usability"] is None
    assert "60 people" in facts["why_no_usability"]
    assert not (tmp_path / "a.usability.json").exists()
    assert main([*argv, "--no-usability", "--force"]) == 0
    assert "usability was not measured" not in capsys.readouterr().err


def test_degraded_sets_of_too_few_people_are_refused(people, embedder, tmp_path) -> None:
    settings = {**SETTINGS, "num_poor": 1, "with_usability": False}
    with pytest.raises(probefusion.errors.EmptySetError, match="--poor-people"):
        calibrate("mean", people, embedder=embedder, output=tmp_path / "a.json", **settings)
