"""Photos, clips and the quality of crops as rows of an archive."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.archives.engines.local import LocalEngine
from probefusion.errors import ConfigError, NonFiniteError
from probefusion.pipeline import Pipeline
from probefusion.pipeline.embed_archive import embed_archive

pytest.importorskip("onnx")
parquet = pytest.importorskip("pyarrow.parquet")


def _rows(folder):
    return parquet.read_table(folder).to_pylist()


@pytest.fixture
def run(tiny_embedder, tmp_path):
    """Embeds into tmp_path / name; gives report and folder."""

    def embed(source, name="out", **options):
        given = {"embedder": tiny_embedder, "aligned": True, "chunk_size": 13, **options}
        engine = LocalEngine(num_workers=1)
        return embed_archive(source, tmp_path / name, engine=engine, **given), tmp_path / name

    return embed


def test_faces_are_found_in_photos(run, tmp_path, draw, write, detector, embedder):
    source = tmp_path / "photos"
    write(source / "ann" / "1.png", draw(red=60))
    write(source / "ann" / "2.png", draw(red=60, blue=58))
    write(source / "ben" / "1.png", draw())
    write(source / "ben" / "2.png", draw(green=20))
    report, folder = run(
        source, embedder=embedder, detector=detector, aligned=False, dtype="float32"
    )
    assert (report.num_rows, report.num_skipped) == (3, 1)
    assert str(report.skipped[0]) == "ben/1.png: no face found"
    assert report.doubtful == {"several faces": 1, "tiny": 1}
    assert report.examples == {"several faces": ("ann/2.png",), "tiny": ("ben/2.png",)}
    rows = _rows(folder)
    assert [round(row["detector_score"], 2) for row in rows] == [0.95] * 3
    assert [row["subject_id"] for row in rows] == ["ann", "ann", "ben"]
    assert "style" not in rows[0]
    assert np.argmax(rows[1]["embedding"]) == 0  # the larger face is the red one


def test_an_archive_whose_detector_did_not_speak_of_stance_goes_on_with_a_word(
    run, tmp_path, draw, write, detector, embedder, monkeypatch, caplog
):
    source = tmp_path / "photos"
    options = {"embedder": embedder, "detector": detector, "aligned": False}
    monkeypatch.setattr(type(detector), "fingerprint", "yunet@1/0.6/1280", raising=False)
    write(source / "ann" / "1.png", draw(red=60))
    before, folder = run(source, **options)
    first = _rows(folder)
    monkeypatch.setattr(type(detector), "fingerprint", "yunet@1/0.6/1280/stance@aaaaaaaaaaaa")
    report, _ = run(source, **options)
    assert report.detector == before.detector == "yunet@1/0.6/1280"
    assert not [text for text in caplog.messages if "turned" in text]  # nothing new was made
    write(source / "ben" / "1.png", draw(red=60, blue=58))
    for name, stance in (
        ("cat", "aaaaaaaaaaaa"),
        ("dan", "none"),
    ):  # each run that makes something says it
        caplog.clear()
        monkeypatch.setattr(type(detector), "fingerprint", f"yunet@1/0.6/1280/stance@{stance}")
        report, _ = run(source, **options)
        (told,) = [text for text in caplog.messages if "turned" in text]
        assert told.startswith(f"output {folder}: was begun with detector yunet@1/0.6/1280, by a")
        assert told.endswith("To have all alike, begin anew with --force (force=True)")
        assert report.detector == "yunet@1/0.6/1280"
        write(source / name / "1.png", draw(red=60))
    assert _rows(folder)[: len(first)] == first
    monkeypatch.setattr(type(detector), "fingerprint", "yunet@1/0.6/1280/stance@aaaaaaaaaaaa")
    fresh, other = run(source, "fresh", **options)
    assert fresh.detector == "yunet@1/0.6/1280/stance@aaaaaaaaaaaa"
    others = ("yunet@1/0.6/1280/stance@bbbbbbbbbbbb", "yunet@1/0.6/1280/stance@none")
    for changed in (*others, "yunet@1/0.6/1280", "yunet@2/0.6/1280"):
        monkeypatch.setattr(type(detector), "fingerprint", changed)
        with pytest.raises(ConfigError, match=r"was begun with detector .*aaaaaaaaaaaa', got "):
            run(source, "fresh", **options)
    assert len(_rows(other)) == fresh.num_rows


def test_clips_become_a_row_for_each_frame(run, tmp_path, draw, videos, detector, embedder):
    folder = tmp_path / "clips" / "ann"
    folder.mkdir(parents=True)
    videos.write_video(folder / "one.mp4", [draw(red=60)] * 10)
    report, output = run(
        tmp_path / "clips", embedder=embedder, detector=detector, aligned=False, every=4
    )
    assert report.num_rows == 3
    rows = _rows(output)
    assert [row["source"] for row in rows] == [
        "ann/one.mp4#t=0.000",
        "ann/one.mp4#t=0.160",
        "ann/one.mp4#t=0.320",
    ]
    assert {row["media_id"] for row in rows} == {"ann/one.mp4"}


def test_quality_is_judged_where_it_is_wanted(people_folder, run, tiny_embedder):
    rows = _rows(run(people_folder, quality=True)[1])
    expected = (
        Pipeline(tiny_embedder, aligned=True).embed(people_folder / "person_03").embedding_set
    )
    found = [row["quality"] for row in rows if row["subject_id"] == "person_03"]
    np.testing.assert_allclose(found, expected.quality, atol=1e-4)


def test_half_precision_that_does_not_hold_is_told(run, tmp_path, draw, write, detector, embedder):
    write(tmp_path / "photos" / "ann" / "1.png", draw(red=60))
    embed = embedder.embed
    embedder.embed = lambda crops: (embed(crops)[0] * 1000, None)
    with pytest.raises(NonFiniteError, match="--float32"):
        run(tmp_path / "photos", embedder=embedder, detector=detector, aligned=False)
