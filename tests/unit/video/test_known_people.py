"""People of a video are searched in a gallery that is kept, with its thresholds, while it changes."""

from __future__ import annotations

import json

import numpy as np
import pytest
from drawn_gallery import NAMES, drawn_images

import probefusion as pf
from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmbedderMismatchError,
    FuserMismatchError,
    MissingFileError,
)
from probefusion.faces.frames import VideoReader
from probefusion.gallery import Gallery, Match
from probefusion.pipeline.video_gallery import gallery_address
from probefusion.reports.video import write_report
from probefusion.video import explain_clip, process_video, watch_video
from probefusion.video.result_files import event_facts, person_facts
from probefusion.zoo import load_fuser

pytest.importorskip("av")
pytest.importorskip("edgefirst.tracker")

OTHER = "other@123456789abc"


@pytest.fixture
def gallery(tmp_path, colour_embedder):
    """Red and green are known; blue is not."""
    with Gallery(tmp_path / "door.db", fuser="mean") as opened:
        for name in ("red", "green"):
            opened.enroll(name, drawn_images(name, colour_embedder))
        yield opened


@pytest.fixture
def pipeline(colour_embedder, square_detector):
    return pf.Pipeline(colour_embedder, detector=square_detector, num_threads=1)


def left(events) -> set[tuple[str | None, bool | None]]:
    """Whom those who left were found to be."""
    return {(event.match.name, event.match.is_match) for event in events if event.kind == "left"}


def same_match(one: Match, other: Match) -> bool:
    return (one.candidates, one.threshold, one.place) == (
        other.candidates,
        other.threshold,
        other.place,
    )


def test_each_event_is_what_the_gallery_says(pipeline, two_people_clip, gallery) -> None:
    events = list(pipeline.watch(two_people_clip, gallery=gallery, threshold=0.9))
    found = {(e.person.num_images, e.person.first_time): e for e in events if e.kind == "left"}
    red, green, blue = (found[40, 0], found[15, 0], found[15, 1])
    assert [event.match.name for event in (red, green, blue)] == ["red", "green", None]
    assert [event.match.is_match for event in (red, green, blue)] == [True, True, False]
    for event in events:
        answer = gallery.search(event.person.template, threshold=0.9)
        first = answer.candidates[0]
        assert event.match.result == answer
        assert event.match.similarity == first.similarity == event.match.best.similarity
        assert event.match.threshold == first.threshold == 0.9
        assert event.match.false_match_rate is None
        assert [c.name for c in event.match.candidates] == [c.name for c in answer.candidates]
    vector = load_fuser("mean").fuse(drawn_images("red", pipeline.embedder)).vector
    assert red.match.similarity == pytest.approx(
        float(vector @ red.person.template.vector), abs=1e-3
    )
    assert red.match.similarity > 0.99


def test_the_rate_is_the_gallerys(pipeline, two_people_clip, gallery) -> None:
    """The plain mean of this embedder was never calibrated: no threshold, and the gallery says why."""
    for event in pipeline.watch(two_people_clip, gallery=gallery, false_match_rate=1e-4):
        assert event.match.result == gallery.search(event.person.template, fmr=1e-4)
        assert event.match.result.false_match_rate == 1e-4
        assert event.match.result.why_none
        assert (event.match.threshold, event.match.is_match, event.match.name) == (None, None, None)
        assert event_facts(event)["match"]["why_none"] == event.match.result.why_none


def test_who_is_enrolled_or_removed_while_it_runs_is_known_at_once(
    pipeline, two_people_clip, gallery, tmp_path
) -> None:
    events = pipeline.watch(two_people_clip, gallery=gallery, threshold=0.9)
    first = next(events)
    assert first.match.name in ("red", "green")
    with Gallery(tmp_path / "door.db", fuser="mean") as office:  # as another process does
        revision = office.enroll("blue", drawn_images("blue", pipeline.embedder)).revision
        office.remove(first.match.name)
    rest = list(events)
    names = {event.match.name for event in rest}
    assert names == {"red", "green", "blue", None} - {first.match.name}
    assert {event.match.result.revision for event in rest} == {revision + 1}
    assert first.match.result.revision == revision - 1


def test_an_address_is_opened_and_closed_again(
    pipeline, two_people_clip, gallery, tmp_path, monkeypatch
) -> None:
    closed = []
    close = Gallery.close
    monkeypatch.setattr(Gallery, "close", lambda self: (closed.append(self.address), close(self)))
    for address in (tmp_path / "door.db", str(tmp_path / "door.db")):
        events = list(pipeline.watch(two_people_clip, gallery=address, threshold=0.9))
        assert left(events) == {("red", True), ("green", True), (None, False)}
    begun = pipeline.watch(two_people_clip, gallery=[tmp_path / "door.db"], threshold=0.9)
    assert next(begun).match is not None
    assert len(closed) == 2
    begun.close()
    assert len(closed) == 3
    given = pipeline.watch(two_people_clip, gallery=gallery, threshold=0.9)
    assert next(given).match.name in ("red", "green")
    given.close()
    assert len(closed) == 3
    assert gallery.list() == ("green", "red")


def test_a_read_video_has_the_match_of_each_person(
    pipeline, two_people_clip, gallery, tmp_path
) -> None:
    heard = []
    with pipeline.read_video(
        two_people_clip, gallery=gallery, threshold=0.9, on_event=heard.append
    ) as clip:
        assert [p.match.name for p in clip.people] == ["red", "green", None]
        explanations = explain_clip(clip, gallery, threshold=0.9)
        for person, item in zip(clip.people, explanations, strict=True):
            last = [event for event in heard if event.person.number == person.number][-1]
            assert same_match(person.match, item.match)
            assert same_match(person.match, last.match)
        assert [item.reference for item in explanations] == ["red", "green", None]
        red = explanations[0]
        assert red.fused_similarity == pytest.approx(red.match.similarity, abs=1e-6)
        assert np.array_equal(red.target, gallery.template("red").vector)
        facts = person_facts(red)["match"]
        assert facts["candidates"][0] == {
            "name": "red",
            "similarity": pytest.approx(red.match.similarity, abs=1e-6),
            "person_id": gallery.person("red").id,
            "threshold": 0.9,
            "is_match": True,
            "is_ignored": False,
        }
        assert facts["revision"] == gallery.revision
        write_report(clip, explanations, tmp_path / "report.html")
    page = (tmp_path / "report.html").read_text()
    assert "Match: red" in page
    assert "No match: the most similar gallery entry is" in page
    with pipeline.read_video(two_people_clip) as clip:
        assert [person.match for person in clip.people] == [None] * 3


def test_an_empty_gallery_knows_nobody_until_somebody_is_enrolled(
    pipeline, two_people_clip, tmp_path
) -> None:
    with Gallery(tmp_path / "new.db", fuser="mean") as gallery:
        events = pipeline.watch(two_people_clip, gallery=gallery, threshold=0.9)
        first = next(events)
        assert (first.match.candidates, first.match.name, first.match.similarity) == (
            (),
            None,
            None,
        )
        assert str(first.match) == "nobody (the gallery is empty)"
        assert event_facts(first)["match"]["why_none"] == "nobody is enrolled"
        json.dumps(event_facts(first))
        with pipeline.read_video(two_people_clip, gallery=gallery) as clip:
            explanations = explain_clip(clip, gallery)
            write_report(clip, explanations, tmp_path / "report.html")
        assert "Nobody was in the gallery" in (tmp_path / "report.html").read_text()
        gallery.enroll("red", drawn_images("red", pipeline.embedder))
        assert ("red", True) in left(events)


def test_the_best_is_the_first_who_reaches_the_own_threshold() -> None:
    """Of a gallery each person may have another threshold: the most similar one need not be the match."""
    from probefusion.gallery import Candidate
    from probefusion.video.known_people import searcher

    class TwoThresholds:
        def search(self, what, *, top_k, fmr, fpir, threshold):
            assert (top_k, fmr, threshold) == (10, 1e-3, None)
            people = [("poor", 0.6, 0.7), ("good", 0.55, 0.5)]
            return pf.gallery.results.SearchResult(
                candidates=tuple(
                    pf.gallery.results.RankedPerson(
                        person_id=name,
                        name=name,
                        similarity=similarity,
                        num_images=1,
                        threshold=limit,
                        is_match=similarity >= limit,
                    )
                    for name, similarity, limit in people
                ),
                num_images=1,
                gallery_size=2,
                false_match_rate=1e-3,
                false_positive_rate=None,
                why_none=None,
                model_id="m",
                revision=7,
                usability=pf.types.Usability.unknown("it was made up"),
            )

    fuser = load_fuser("mean")
    match = searcher(TwoThresholds(), fuser)(fuser.fuse(np.eye(2, 8, dtype=np.float32)))
    assert (match.name, match.similarity, match.threshold, match.place) == ("good", 0.55, 0.5, 1)
    assert match.best == Candidate(name="good", similarity=0.55)
    assert str(match) == "good 0.550 (match)"


def test_a_gallery_of_another_embedder_or_fuser_is_refused_before_the_first_frame(
    colour_embedder, square_detector, two_people_clip, tmp_path
) -> None:
    images = drawn_images("red", colour_embedder)
    with Gallery(tmp_path / "other.db", fuser="mean", embedder=OTHER) as foreign:
        foreign.enroll("red", images.embeddings)
        with VideoReader(two_people_clip) as reader:
            for begin in (watch_video, process_video):
                with pytest.raises(EmbedderMismatchError, match=f"expected|got|{OTHER}"):
                    begin(
                        reader, square_detector, colour_embedder, load_fuser("mean"), stills=foreign
                    )
            assert reader.num_read == 0
    with Gallery(tmp_path / "weighted.db", fuser="norm-weighted") as weighted:
        weighted.enroll("red", images)
        chosen = pf.Pipeline(colour_embedder, detector=square_detector, fuser="mean")
        with VideoReader(two_people_clip) as reader:
            with pytest.raises(
                FuserMismatchError, match="the gallery's templates are by norm-weighted"
            ):
                chosen.watch(reader, gallery=weighted)
            with pytest.raises(
                FuserMismatchError, match="the gallery's templates are by norm-weighted"
            ):
                chosen.read_video(reader, gallery=weighted)
            assert reader.num_read == 0


def test_a_pipeline_that_may_choose_takes_the_gallerys_fuser(
    pipeline, two_people_clip, tmp_path
) -> None:
    with Gallery(tmp_path / "weighted.db", fuser="norm-weighted") as weighted:
        weighted.enroll("red", drawn_images("red", pipeline.embedder))
        assert weighted.made_by(pipeline.embedder.fingerprint).startswith("norm-weighted")
        assert weighted.made_by(OTHER) is None
        events = list(pipeline.watch(two_people_clip, gallery=weighted, threshold=0.9))
    assert all(event.person.template.fuser.startswith("norm-weighted") for event in events)
    assert ("red", True) in left(events)


def test_addresses_and_stills_are_told_apart(tmp_path, pipeline, two_people_clip) -> None:
    with Gallery(tmp_path / "people.faces", fuser="mean"):
        pass
    assert gallery_address(tmp_path / "people.faces") == str(tmp_path / "people.faces")
    assert gallery_address("postgresql://door") == "postgresql://door"
    assert gallery_address([tmp_path / "no.db"]) == str(tmp_path / "no.db")
    assert gallery_address([tmp_path, tmp_path / "a.npz"]) is None
    with pytest.raises(ConfigError, match="expected one gallery, or stills alone"):
        gallery_address([tmp_path / "no.db", tmp_path / "a.npz"])
    with pytest.raises(DtypeError, match=r"expected a Gallery.*got int"):
        pipeline.watch(two_people_clip, gallery=5)
    with pytest.raises(MissingFileError, match=r"no\.db"):
        pipeline.watch(two_people_clip, gallery=tmp_path / "no.db")
    assert not (tmp_path / "no.db").exists()


def test_a_template_of_the_gallery(tmp_path, colour_embedder) -> None:
    with Gallery(tmp_path / "door.db", fuser="mean") as gallery:
        images = {name: drawn_images(name, colour_embedder) for name in NAMES}
        for name, own in images.items():
            gallery.enroll(name, own)
        template = gallery.template("green")
        expected = load_fuser("mean").fuse(images["green"])
        assert template.num_images == 2
        assert (template.fuser, template.embedder) == (expected.fuser, colour_embedder.fingerprint)
        assert np.abs(template.vector - expected.vector).max() < 1e-3  # kept in half precision
        gallery.check_fits(expected)
