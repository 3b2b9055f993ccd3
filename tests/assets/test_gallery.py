"""The photo library that users want to write: real photos, real models, a gallery that is kept."""

from __future__ import annotations

import logging
import shutil
import zipfile
from pathlib import Path

import numpy as np
import pytest

import probefusion as pf
from gallery_people import stored_bits
from probefusion.fusion.decisions import Side, decide, find_calibration

pytestmark = pytest.mark.assets


@pytest.fixture
def photos(assets, tmp_path):
    """A folder of photos for each of two people, and a note in one of them."""
    for name in ("lin-manuel-miranda", "alex-lacamoire"):
        folder = tmp_path / "people" / name
        folder.mkdir(parents=True)
        shutil.copy(assets / "video" / f"{name}.png", folder)
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff not a picture")
    return tmp_path / "people"


def test_the_ten_lines_of_a_photo_library(assets, photos, tmp_path) -> None:
    library = pf.Gallery(tmp_path / "library.db")
    faces = pf.Pipeline(detector=assets / "models" / "yunet_320.onnx")
    for person in sorted(photos.iterdir()):
        added = library.enroll(person.name, faces.fuse(person))
        assert added.keep == "features"
        assert len(added.skipped) == (person.name == "alex-lacamoire")
    found = {}
    for photo in Path(photos).rglob("*.png"):
        for face in faces.find(photo):
            found[photo.parent.name] = library.search(face, fmr=1e-3)
    assert {name: result.name for name, result in found.items()} == {
        name: name for name in ("lin-manuel-miranda", "alex-lacamoire")
    }
    for result in found.values():
        assert result.candidates[0].similarity == pytest.approx(1, abs=1e-4)
        assert 0.1 < result.candidates[0].threshold < 0.9
        assert result.why_none is None
        assert result.candidates[1].is_match is False
    assert (
        library.models()[0].fuser == faces.choose_fuser([faces.find(photo)[0].images]).fingerprint
    )
    library.close()


def test_a_clip_is_watched_for_the_people_of_a_gallery(assets, tmp_path, caplog) -> None:
    """The singer is enrolled from a photo and found with the calibrated threshold; the pianist is learnt on the way."""
    pytest.importorskip("av")
    pytest.importorskip("edgefirst.tracker")
    caplog.set_level(logging.ERROR)
    faces = pf.Pipeline(detector=assets / "models" / "yunet_320.onnx")
    clip = assets / "video" / "short_hamilton_clip.mp4"
    with pf.Gallery(tmp_path / "door.db") as staff:
        (singer,) = faces.find(assets / "video" / "lin-manuel-miranda.png")[:1]
        staff.enroll("lin-manuel-miranda", singer)
        extract = pf.pipeline.Extract(every=3)
        learnt, again = None, []
        seen = {}
        for event in faces.watch(clip, gallery=staff, extract=extract):
            answer = staff.search(event.person.template, fmr=1e-3)
            assert event.match.result == answer
            assert event.match.threshold == answer.candidates[event.match.place].threshold
            seen[event.person.number] = event
            if learnt is not None and event.match.name == "learnt":
                again.append(event)
            if learnt is None and event.match.is_match is False and event.person.num_images >= 4:
                learnt = event.person
                staff.enroll("learnt", learnt)
        found = [event for event in seen.values() if event.match.name == "lin-manuel-miranda"]
        assert max(event.person.num_images for event in found) > 40
        assert all(0.1 < event.match.threshold < 0.9 for event in found)
        assert learnt is not None
        assert {event.person.number for event in again} >= {learnt.number}
    with pytest.raises(pf.errors.EmbedderMismatchError, match="the gallery is of compact_128d"):
        pf.Pipeline(
            assets / "models" / "mobilefacenet_128d.onnx",
            detector=assets / "models" / "yunet_320.onnx",
        ).watch(clip, gallery=tmp_path / "door.db")


def test_thresholds_are_those_of_the_calibration(assets, tmp_path, caplog) -> None:
    """People of LFW, six poor crops each; thresholds for this gallery's size as `decide` gives them for everybody."""
    caplog.set_level(logging.ERROR)
    embedder = pf.load_embedder("compact_128d")
    people = pf.Pipeline(embedder, aligned=True)
    archive = _some_people(assets / "data" / "lfw112.zip", tmp_path / "faces", num_people=60)
    with pf.Gallery(tmp_path / "lfw.db") as gallery:
        probes = {}
        for folder in sorted(archive.iterdir()):
            images = people.embed(sorted(folder.iterdir())).embedding_set
            gallery.enroll(folder.name, images[:2])
            probes[folder.name] = images[2:4]
        fuser = pf.load_fuser(gallery.models()[0].fuser.split("@")[0])
        record = find_calibration(None, fuser, fuser.fingerprint, embedder.fingerprint)
        assert record is not None
        bits = stored_bits(gallery)
        names = list(bits)
        vectors = np.stack([np.frombuffer(bits[name][1], np.float32) for name in names])
        hits = 0
        for name, probe in list(probes.items())[:10]:
            query = fuser.fuse(probe)
            sides = (
                Side(
                    name="the query",
                    vectors=np.repeat(query.vector[None], len(names), axis=0),
                    num_images=np.full(len(names), 2),
                ),
                Side(name="the person", vectors=vectors, num_images=np.full(len(names), 2)),
            )
            for rates in ({"fmr": 1e-3}, {"fpir": 0.1}):
                expected = decide(
                    record,
                    *sides,
                    false_match_rate=1e-3,
                    false_positive_rate=rates.get("fpir"),
                )
                limits = dict(zip(names, expected, strict=True))
                result = gallery.search(probe, **rates)
                assert result.gallery_size == 60
                for each in result.candidates:
                    decision = limits[each.name]
                    if decision.threshold is None:
                        assert each.threshold is None
                        assert result.why_none == decision.why_none
                    else:
                        assert each.threshold == pytest.approx(
                            decision.threshold.similarity, abs=1e-6
                        )
                        assert each.is_match == (each.similarity >= each.threshold)
            hits += gallery.search(probe, fmr=1e-3).name == name
            verified = gallery.verify(name, probe, fmr=1e-3)
            assert verified.similarity == next(
                each.similarity
                for each in gallery.search(probe, top_k=60).candidates
                if each.name == name
            )
        assert hits >= 8


def _some_people(archive, folder, num_people):
    """Folders of the first people with four images, with these."""
    with zipfile.ZipFile(archive) as opened:
        names = sorted(name for name in opened.namelist() if name.endswith((".jpg", ".png")))
        by_person = {}
        for name in names:
            by_person.setdefault(Path(name).parent.name, []).append(name)
        chosen = [item for item in sorted(by_person.items()) if len(item[1]) >= 4][:num_people]
        for person, files in chosen:
            (folder / person).mkdir(parents=True)
            for file in files[:4]:
                (folder / person / Path(file).name).write_bytes(opened.read(file))
    return folder
