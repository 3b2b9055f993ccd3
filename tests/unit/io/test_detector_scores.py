"""How sure a detector is, from files and other packages, in `EmbeddingSet.detector_scores`."""

from __future__ import annotations

import json
import logging
from types import SimpleNamespace

import numpy as np
import pytest

from probefusion.errors import (
    DtypeError,
    FileFormatError,
    InvalidInputError,
    NonFiniteError,
    ShapeError,
)
from probefusion.io import from_deepface, from_insightface, from_uniface, read_embeddings
from probefusion.types import EmbeddingSet

SCORES = [0.9, 0.25, 0.75]


@pytest.fixture
def rows(rng):
    return rng.standard_normal((3, 16)).astype(np.float32)


def test_saved_loaded_cut_and_joined(rows, tmp_path) -> None:
    images = EmbeddingSet(embeddings=rows, detector_scores=np.array(SCORES))
    assert images.detector_scores.dtype == np.float32
    assert "detector_scores" in repr(images)
    images.save(tmp_path / "s.npz")
    loaded = EmbeddingSet.load(tmp_path / "s.npz")
    assert np.allclose(loaded.detector_scores, SCORES)
    assert np.allclose(loaded[1:].detector_scores, SCORES[1:])
    assert np.allclose(loaded[[2, 0]].detector_scores, [0.75, 0.9])
    both = EmbeddingSet.concatenate([loaded, loaded[:1]])
    assert np.allclose(both.detector_scores, [*SCORES, 0.9])
    without = EmbeddingSet(embeddings=rows)
    assert EmbeddingSet.concatenate([loaded, without]).detector_scores is None


def test_files_without_the_column_are_read(rows, tmp_path) -> None:
    np.savez(tmp_path / "old.npz", embeddings=rows)
    assert EmbeddingSet.load(tmp_path / "old.npz").detector_scores is None


@pytest.mark.parametrize(
    ("scores", "error"),
    [
        ([0.9, 0.8], ShapeError),
        ([0.9, np.nan, 0.8], NonFiniteError),
        ([1, 0, 1], DtypeError),
        ([[0.9], [0.8], [0.7]], ShapeError),
    ],
)
def test_wrong_scores_are_refused(rows, scores, error) -> None:
    with pytest.raises(error, match="detector_scores"):
        EmbeddingSet(embeddings=rows, detector_scores=np.array(scores))


@pytest.mark.parametrize("name", ["detector_score", "Detector_Score"])
def test_a_csv_column(rows, tmp_path, name) -> None:
    lines = [",".join(["source", name, *(f"e{k}" for k in range(16))])]
    for place, (row, score) in enumerate(zip(rows, SCORES, strict=True)):
        lines.append(",".join([f"{place}.jpg", str(score), *map(str, row)]))
    (tmp_path / "t.csv").write_text("\n".join(lines))
    images = read_embeddings(tmp_path / "t.csv")
    assert np.allclose(images.detector_scores, SCORES)
    assert np.allclose(images.embeddings, rows)


def test_a_parquet_column(rows, tmp_path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"embedding": rows.tolist(), "detector_score": SCORES})
    parquet.write_table(table, tmp_path / "t.parquet")
    assert np.allclose(read_embeddings(tmp_path / "t.parquet").detector_scores, SCORES)


def test_an_hdf5_data_set(rows, tmp_path) -> None:
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "t.h5", "w") as file:
        file["embeddings"], file["detector_scores"] = rows, np.array(SCORES)
    assert np.allclose(read_embeddings(tmp_path / "t.h5").detector_scores, SCORES)


def deepface(rows, scores):
    return [
        {"embedding": row.tolist(), "facial_area": {}, "face_confidence": score}
        for row, score in zip(rows, scores, strict=True)
    ]


@pytest.mark.parametrize(
    ("read", "entry"), [(from_insightface, "det_score"), (from_uniface, "confidence")]
)
def test_faces_of_other_packages(rows, read, entry, caplog) -> None:
    faces = [
        SimpleNamespace(embedding=row, **{entry: np.float32(score)})
        for row, score in zip(rows, SCORES, strict=True)
    ]
    with caplog.at_level(logging.WARNING, "probefusion"):
        assert np.allclose(read(faces).detector_scores, SCORES)
    assert f"not sure of 1 of 3 faces ({entry} below 0.5): face 1 (0.25)" in caplog.text
    faces[2] = SimpleNamespace(embedding=rows[2])
    assert read(faces).detector_scores is None


def test_deepface(rows, caplog) -> None:
    with caplog.at_level(logging.WARNING, "probefusion"):
        assert np.allclose(from_deepface(deepface(rows, SCORES)).detector_scores, SCORES)
    assert "DeepFace is not sure of 1 of 3 faces" in caplog.text
    assert from_deepface(deepface(rows, [0, 0, 0]), are_crops=True).detector_scores is None
    with pytest.raises(FileFormatError, match="results 1"):
        from_deepface(deepface(rows, [0.9, 0, 0.8]))


def test_deepface_without_confidence(rows) -> None:
    """Older releases tell none: where no face was found the box begins at the picture's corner."""
    whole = {"x": 0, "y": 0, "w": 640, "h": 480}
    face = {"x": 12, "y": 0, "w": 90, "h": 90}
    seen = {**whole, "left_eye": [30, 40], "right_eye": [60, 40]}
    for key in ("facial_area", "region"):
        given = [
            {"embedding": row.tolist(), key: area}
            for row, area in zip(rows, (face, seen, face), strict=True)
        ]
        assert from_deepface(given).num_images == 3
        given[2] = {**given[2], key: {**whole, "left_eye": None}}
        given[0] = {**given[0], "face_confidence": "0.93"}
        with pytest.raises(FileFormatError, match=r"results 2 \(1 of 3\): DeepFace found no face"):
            from_deepface(given)
        assert from_deepface(given, are_crops=True).num_images == 3
        given[0]["face_confidence"] = 0
        with pytest.raises(FileFormatError, match=r"results 0, 2 \(2 of 3\)"):
            from_deepface(given)


def test_sure_faces_are_not_told(rows, caplog) -> None:
    with caplog.at_level(logging.WARNING, "probefusion"):
        from_deepface(deepface(rows, [0.5, 0.9, 1.0]))
    assert caplog.text == ""


@pytest.mark.parametrize("score", ["sure", [0.9, 0.8], float("nan")])
def test_scores_that_are_none_are_refused(rows, score) -> None:
    with pytest.raises(DtypeError, match="face_confidence of DeepFace"):
        from_deepface(deepface(rows, [0.9, score, 0.8]), are_crops=False)


def test_the_case_of_results_without_a_face(assets) -> None:
    folder = assets / "cases" / "01_deepface_no_face"
    if not folder.is_dir():
        pytest.skip("the cases are not among the assets")
    results = json.loads((folder / "represent.json").read_text())
    with pytest.raises(FileFormatError, match=r"6 of 8.*found no face"):
        from_deepface(results)


class ByColour:
    """Stands in for a network, 112x112."""

    fingerprint = "colours"
    norms_known = True
    spec = SimpleNamespace(input_size=112)

    def embed_set(self, crops, sources=None, media_ids=None):
        means = crops.mean(axis=(1, 2), dtype=np.float32)
        return EmbeddingSet(embeddings=means, embedder="colours", norms_known=True)


@pytest.mark.parametrize(
    ("read", "points", "entry"),
    [(from_insightface, "kps", "det_score"), (from_uniface, "landmarks", "confidence")],
)
@pytest.mark.parametrize("order", [[1, 0, 2, 4, 3], [1, 0, 2, 3, 4], [2, 0, 1, 3, 4]])
def test_landmarks_in_another_order_are_refused_by_the_face(read, points, entry, order) -> None:
    from probefusion.faces import ARCFACE_LANDMARKS, align_face

    photo = np.random.default_rng(3).integers(0, 256, (112, 112, 3), np.uint8)
    network = ByColour()
    embedding = network.embed_set(
        align_face(photo[..., ::-1].copy(), ARCFACE_LANDMARKS)[None]
    ).embeddings[0]

    def faces(landmarks):
        return [SimpleNamespace(embedding=embedding, **{points: landmarks, entry: 0.9})]

    images = read(faces(ARCFACE_LANDMARKS), images=photo, network=network)
    assert np.allclose(images.detector_scores, [0.9])
    with pytest.raises(InvalidInputError, match=r"face 0 of .*: landmarks"):
        read(faces(ARCFACE_LANDMARKS[order]), images=photo, network=network)


@pytest.mark.parametrize("score", [95, 1.5, -1.0])
@pytest.mark.parametrize(
    ("read", "entry"), [(from_insightface, "det_score"), (from_uniface, "confidence")]
)
def test_scores_of_another_scale_are_no_scores(rows, read, entry, score, caplog) -> None:
    """Percent, or votes of a cascade: as they stand they would pass any level."""
    faces = [
        SimpleNamespace(embedding=row, **{entry: one})
        for row, one in zip(rows, [0.9, score, 0.8], strict=True)
    ]
    with caplog.at_level(logging.WARNING, "probefusion"):
        images = read(faces)
    assert images.detector_scores is None
    assert np.allclose(images.embeddings, rows)
    assert f"not of the scale 0 to 1 ({entry})" in caplog.text
    assert f"{score:g}" in caplog.text


def test_votes_of_deepface_are_no_scores(rows, caplog) -> None:
    with caplog.at_level(logging.WARNING, "probefusion"):
        assert from_deepface(deepface(rows, [0.9, 7.25, 3])).detector_scores is None
    assert "DeepFace: scores of 0.9 to 7.25" in caplog.text


def test_a_score_that_rounding_lifted_above_one_is_one_still(rows) -> None:
    assert np.allclose(from_deepface(deepface(rows, [1.0002, 0.9, 0.8])).detector_scores[0], 1.0002)


@pytest.mark.parametrize("none", ["0", "0.0", "-0", np.float32(0), np.array([0.0])])
def test_confidence_0_is_refused_however_it_is_written(rows, none) -> None:
    with pytest.raises(FileFormatError, match=r"results 1 \(1 of 3\): DeepFace found no face"):
        from_deepface(deepface(rows, [0.9, none, 0.8]))
