"""The real classes of InsightFace and uniface, and the documented results of the other two.

InsightFace and uniface are test-only: `pip install --no-deps insightface==2.1 uniface==4.2.1`. Their
packages bring a second OpenCV and more when imported whole, so only the modules with the classes are
loaded. DeepFace and face_recognition need TensorFlow and dlib; what they return is plain dictionaries
and arrays, made here as they document it.
"""

from __future__ import annotations

import importlib.util
import sys
import types
from pathlib import Path

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmbedderMismatchError,
    EmptySetError,
    FileFormatError,
    ShapeError,
    ZeroLengthError,
)
from probefusion.faces import ARCFACE_LANDMARKS
from probefusion.io import from_deepface, from_face_recognition, from_insightface, from_uniface


def load_module(package, relative, monkeypatch):
    """One module of an installed package, without running the package's `__init__`."""
    found = importlib.util.find_spec(package)
    if found is None or found.origin is None:
        pytest.skip(f"{package} is not installed (pip install --no-deps {package})")
    name = f"{package}.{relative.removesuffix('.py').replace('/', '.')}"
    spec = importlib.util.spec_from_file_location(name, Path(found.origin).parent / relative)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def insightface_face(monkeypatch):
    return load_module("insightface", "app/common.py", monkeypatch).Face


@pytest.fixture
def uniface_face(monkeypatch):
    # its types module wants one function, for a method that is not used here, from a module that
    # needs scikit-image
    inner = types.ModuleType("uniface.face_utils")
    inner.compute_similarity = lambda one, other: float(one @ other)
    outer = types.ModuleType("uniface")
    outer.__path__ = []
    find_spec = importlib.util.find_spec("uniface")
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: find_spec)
    monkeypatch.setitem(sys.modules, "uniface", outer)
    monkeypatch.setitem(sys.modules, "uniface.face_utils", inner)
    return load_module("uniface", "types.py", monkeypatch).Face


@pytest.fixture
def raw(rng):
    return (rng.standard_normal((3, 512)) * 20).astype(np.float32)


def test_insightface_faces(insightface_face, raw):
    faces = [
        insightface_face(bbox=np.zeros(4), kps=np.zeros((5, 2)), det_score=0.9, embedding=row)
        for row in raw
    ]
    images = from_insightface(
        faces, embedder="insightface_w600k_r50@1", sources=["a", "b", "c"], media_ids=[1, 1, 2]
    )
    assert np.array_equal(images.embeddings, raw)
    assert images.norms_known
    assert images.style is None
    assert images.embedder == "insightface_w600k_r50@1"
    assert images.sources.tolist() == ["a", "b", "c"]
    assert images.media_ids.tolist() == [1, 1, 2]
    faces[1].embedding = None
    with pytest.raises(FileFormatError, match="face 1 of InsightFace: it has no embedding"):
        from_insightface(faces)
    with pytest.raises(FileFormatError, match="face 0 of InsightFace"):
        from_insightface([insightface_face(bbox=np.zeros(4))])


def test_uniface_faces_unit_and_raw(uniface_face, raw):
    units = raw / np.linalg.norm(raw, axis=1, keepdims=True)

    def face(embedding):
        return uniface_face(
            bbox=np.zeros(4), confidence=0.9, landmarks=np.zeros((5, 2)), embedding=embedding
        )

    images = from_uniface([face(row) for row in units])
    assert np.allclose(images.embeddings, units)
    assert not images.norms_known
    images = from_uniface([face(row[None]) for row in raw])  # get_embedding gives (1, 512)
    assert np.array_equal(images.embeddings, raw)
    assert images.norms_known
    with pytest.raises(FileFormatError, match="face 0 of uniface: it has no embedding"):
        from_uniface([face(None)])


def deepface_result(embedding):
    area = {"x": 10, "y": 20, "w": 90, "h": 90, "left_eye": (60, 50), "right_eye": (30, 50)}
    return {"embedding": embedding.tolist(), "facial_area": area, "face_confidence": 0.98}


def test_deepface_results(raw):
    one_call = [deepface_result(row) for row in raw]
    many = [[deepface_result(row)] for row in raw]
    for results in (one_call, many):
        images = from_deepface(results, embedder="deepface.ArcFace")
        assert np.allclose(images.embeddings, raw)
        assert images.embedder == "deepface.ArcFace"
    with pytest.raises(FileFormatError, match="result 1 of DeepFace: expected one face, got 2"):
        from_deepface([many[0], [*many[1], *many[2]]])
    with pytest.raises(FileFormatError, match="no embedding"):
        from_deepface([{"facial_area": {}}])


def test_pictures_in_which_deepface_found_no_face_are_refused(raw):
    results = [
        [{"embedding": row.tolist(), "facial_area": {}, "face_confidence": confidence}]
        for row, confidence in zip(raw[:3], (0.98, 0, 0.0), strict=True)
    ]
    with pytest.raises(FileFormatError, match=r"results 1, 2 \(2 of 3\): DeepFace found no face"):
        from_deepface(results)
    good = [r for result in results for r in result if r["face_confidence"] > 0]
    assert np.allclose(from_deepface(good).embeddings, raw[:1])
    assert from_deepface(results, are_crops=True).num_images == 3


def test_face_recognition_arrays(rng):
    encodings = [rng.standard_normal(128) * 0.1 for _ in range(4)]
    images = from_face_recognition(encodings)
    assert images.embeddings.shape == (4, 128)
    assert not images.norms_known, "dlib's lengths tell nothing about quality"


@pytest.mark.parametrize(
    ("encodings", "error", "words"),
    [
        ([], EmptySetError, "empty"),
        ([np.zeros(128)], ZeroLengthError, "no direction"),
        ([np.ones(128), np.ones(64)], ShapeError, r"\[64, 128\]"),
        ([np.ones((2, 128))], ShapeError, r"expected \(D,\) or \(1, D\)"),
        (["text"], DtypeError, "expected numbers"),
        ([None], DtypeError, "expected numbers"),
    ],
)
def test_what_is_no_embedding_is_refused(encodings, error, words):
    with pytest.raises(error, match=words):
        from_face_recognition(encodings)


class Found:
    """A face as both packages describe it, for the tests that need no package."""

    def __init__(self, embedding, points):
        self.embedding, self.kps, self.landmarks = embedding, points, points


@pytest.fixture
def network(tiny_embedder):
    from probefusion.zoo import load_embedder

    return load_embedder(tiny_embedder, num_threads=1)


@pytest.fixture
def photos(rng):
    """Smooth 200 x 180 pictures, BGR."""
    cv2 = pytest.importorskip("cv2")
    return [
        cv2.resize(rng.integers(0, 256, (5, 5, 3)).astype(np.uint8), (180, 200)) for _ in range(3)
    ]


POINTS = np.add(ARCFACE_LANDMARKS, (30, 40)).astype(np.float32)


@pytest.mark.parametrize("adapter", [from_insightface, from_uniface])
def test_style_and_lengths_come_with_the_network(network, photos, adapter):
    # the faces stand upright at their standard places, so the crops are plain cuts
    crops = np.stack([photo[40:152, 30:142, ::-1] for photo in photos])
    expected = network.embed_set(crops)
    units = expected.embeddings / expected.norms[:, None]
    faces = [Found(row, POINTS) for row in units]
    images = adapter(faces, images=photos, network=network, sources=["a", "b", "c"])
    assert np.allclose(images.embeddings, expected.embeddings, rtol=1e-3, atol=1e-3)
    assert np.allclose(images.style, expected.style, atol=1e-3)
    assert images.embedder == network.fingerprint
    assert images.norms_known
    same_photo = adapter([faces[0]], images=photos[0], network=network)
    assert np.allclose(same_photo.embeddings, expected.embeddings[:1], rtol=1e-3, atol=1e-3)


def test_another_network_or_other_photos_are_noticed(network, photos, rng):
    strangers = [Found(rng.standard_normal(16), POINTS) for _ in photos]
    with pytest.raises(EmbedderMismatchError, match="agree only to a cosine of"):
        from_insightface(strangers, images=photos, network=network)
    with pytest.raises(EmbedderMismatchError, match="has 512 dimensions, those of tiny@"):
        from_insightface(
            [Found(rng.standard_normal(512), POINTS)], images=photos[:1], network=network
        )
    with pytest.raises(EmbedderMismatchError, match="Leave it out"):
        from_insightface(strangers, images=photos, network=network, embedder="other@1")


def test_arguments_that_do_not_fit(network, photos, rng):
    face = Found(rng.standard_normal(16), POINTS)
    with pytest.raises(ConfigError, match="expected both"):
        from_insightface([face], images=photos[:1])
    with pytest.raises(ConfigError, match="expected both"):
        from_insightface([face], network=network)
    with pytest.raises(ShapeError, match="images"):
        from_insightface([face], images=photos, network=network)
    with pytest.raises(FileFormatError, match="expected five landmarks"):
        from_insightface([Found(face.embedding, None)], images=photos[:1], network=network)
    with pytest.raises(DtypeError, match="uint8"):
        from_insightface([face], images=[photos[0] / 255.0], network=network)
    with pytest.raises(ShapeError, match="BGR"):
        from_insightface([face], images=[photos[0][..., 0]], network=network)
    for images, given in ((None, None), (photos, network)):
        with pytest.raises(EmptySetError):
            from_insightface([], images=images, network=given)
