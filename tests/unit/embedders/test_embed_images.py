from __future__ import annotations

import zipfile

import numpy as np
import pytest

from probefusion.embedders import EmbedderSpec, embed_images
from probefusion.errors import ConfigError, EmptySetError, MissingFileError
from probefusion.faces import ARCFACE_LANDMARKS, Face, align_face
from probefusion.types import EmbeddingSet

cv2 = pytest.importorskip("cv2")


class MeanColourEmbedder:
    """Embeds a crop as its mean colour; counts the batches."""

    def __init__(self, size=112):
        self.spec = EmbedderSpec(name="mean", sha256="0" * 64, dim=3, input_size=size)
        self.fingerprint = self.spec.fingerprint
        self.norms_known = True
        self.batches = []

    def embed(self, crops):
        self.batches.append(len(crops))
        means = crops.mean((1, 2), dtype=np.float32)
        style = np.stack([means, means + 1], axis=-1)
        style[means[:, 0] > 240] = np.nan  # what is very red has no usable style
        return means, style

    def embed_set(self, crops, sources=None, media_ids=None) -> EmbeddingSet:
        raise NotImplementedError


class BrightSpots:
    """Finds a face for each of the given landmark sets in images that are not dark."""

    def __init__(self, *landmarks):
        self.landmarks = landmarks

    def detect(self, image):
        if image.mean() < 10:
            return ()
        return tuple(
            Face(
                box=np.array([*points.min(0), *np.ptp(points, axis=0)], np.float32),
                landmarks=points.astype(np.float32),
                score=0.9,
            )
            for points in self.landmarks
        )


def write(path, colour, shape=(112, 112)):
    image = np.empty((*shape, 3), np.uint8)
    image[:] = colour
    cv2.imwrite(str(path), image[..., ::-1])
    return path


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "person"
    folder.mkdir()
    for number in range(140):
        write(folder / f"{number:03}.png", (number + 1, 100, 30))
    return folder


def test_all_images_are_embedded_in_order_and_in_small_batches(folder):
    embedder, calls = MeanColourEmbedder(), []
    report = embed_images(
        folder, embedder, aligned=True, progress=lambda *numbers: calls.append(numbers)
    )
    images = report.embedding_set
    assert images.embeddings[:, 0].tolist() == list(range(1, 141))
    assert images.sources.tolist() == [(folder / f"{n:03}.png").as_posix() for n in range(140)]
    assert images.embedder == embedder.fingerprint
    assert images.norms_known is True
    assert images.style.shape == (140, 3, 2)
    assert report.num_faces is None
    assert (len(report.embedding_set), report.skipped) == (140, ())
    assert max(embedder.batches) <= 128
    assert calls == [(done, 140) for done in range(1, 141)]


def test_what_is_skipped_is_listed_with_its_reason(folder):
    write(folder / "wide.png", (9, 9, 9), (112, 100))
    write(folder / "black.png", (0, 0, 0))  # an embedding without length
    write(folder / "red.png", (250, 0, 0))  # a style of NaN
    (folder / "text.jpg").write_text("no image")
    (folder / "phone.heic").write_bytes(b"x")
    report = embed_images(folder, MeanColourEmbedder(), aligned=True)
    reasons = {item.source.rsplit("/", 1)[1]: item.reason for item in report.skipped}
    assert set(reasons) == {"wide.png", "black.png", "red.png", "text.jpg", "phone.heic"}
    assert "square" in reasons["wide.png"]
    assert "without length" in reasons["black.png"]
    assert len(report.embedding_set) == 140
    assert len(report.skipped) == 5
    assert len(report.embedding_set.sources) == len(report.embedding_set.style) == 140


def test_square_crops_of_other_sizes_are_scaled(tmp_path):
    write(tmp_path / "a.png", (10, 20, 30), (50, 50))
    report = embed_images(tmp_path / "a.png", MeanColourEmbedder(size=160), aligned=True)
    assert report.embedding_set.embeddings.tolist() == [[10, 20, 30]]


def test_the_largest_face_is_aligned_and_faces_are_counted(tmp_path, rng):
    photo = rng.integers(0, 256, (400, 500, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "1.png"), photo[..., ::-1])
    cv2.imwrite(str(tmp_path / "2.png"), np.zeros_like(photo))
    small, large = ARCFACE_LANDMARKS + 5, 2 * ARCFACE_LANDMARKS + 60
    report = embed_images(tmp_path, MeanColourEmbedder(), detector=BrightSpots(small, large, small))
    expected = align_face(photo, large).mean((0, 1))
    np.testing.assert_allclose(report.embedding_set.embeddings, [expected], rtol=1e-5)
    assert report.num_faces.tolist() == [3]
    (skipped,) = report.skipped
    assert skipped.source.endswith("2.png")
    assert skipped.reason == "no face found"


def test_a_face_that_cannot_be_aligned_is_skipped(tmp_path):
    write(tmp_path / "1.png", (99, 99, 99))
    with pytest.raises(EmptySetError, match="cannot be aligned"):
        embed_images(tmp_path, MeanColourEmbedder(), detector=BrightSpots(np.ones((5, 2))))


def test_archives_and_files_can_be_mixed(folder, tmp_path):
    archive = tmp_path / "more.zip"
    with zipfile.ZipFile(archive, "w") as stream:
        stream.write(folder / "009.png", "x/009.png")
    report = embed_images([archive, folder / "003.png"], MeanColourEmbedder(), aligned=True)
    assert report.embedding_set.embeddings[:, 0].tolist() == [10, 4]
    assert report.embedding_set.sources[0] == f"{archive.as_posix()}/x/009.png"


def test_exactly_one_of_detector_and_aligned_is_needed(folder):
    with pytest.raises(ConfigError, match="neither"):
        embed_images(folder, MeanColourEmbedder())
    with pytest.raises(ConfigError, match="both"):
        embed_images(folder, MeanColourEmbedder(), detector=BrightSpots(), aligned=True)


def test_no_image_at_all_and_missing_paths(tmp_path):
    with pytest.raises(EmptySetError, match=r"found no image.*\.png"):
        embed_images(tmp_path, MeanColourEmbedder(), aligned=True)
    with pytest.raises(MissingFileError, match="nowhere"):
        embed_images(tmp_path / "nowhere", MeanColourEmbedder(), aligned=True)


def test_if_all_are_skipped_the_first_reasons_are_told(tmp_path):
    for number in range(5):
        (tmp_path / f"{number}.png").write_bytes(b"no image")
    with pytest.raises(EmptySetError, match=r"none of 5 images.*0\.png: .*2\.png: .*and 2 more"):
        embed_images(tmp_path, MeanColourEmbedder(), aligned=True)


@pytest.mark.assets
def test_real_photos_and_crops(assets):
    from probefusion.zoo import load_detector, load_embedder

    models = assets / "models"
    embedder = load_embedder(models / "mobilefacenet_128d.onnx", num_threads=1)
    detector = load_detector(models / "yunet_320.onnx")
    report = embed_images(
        [assets / "video" / "lin-manuel-miranda.png", assets / "video" / "alex-lacamoire.png"],
        embedder,
        detector=detector,
    )
    assert len(report.embedding_set) == 2
    assert report.num_faces.tolist() == [1, 1]
    assert report.embedding_set.style.shape == (2, 192, 2)


@pytest.mark.assets
def test_alignment_makes_photos_of_one_person_alike(assets, tmp_path):
    """A photo and its enlarged, turned copy give nearly the same embedding; two people do not."""
    from probefusion.faces import decode_image
    from probefusion.zoo import load_detector, load_embedder

    models, stills = assets / "models", assets / "video"
    embedder = load_embedder(models / "mobilefacenet_128d.onnx", num_threads=1)
    detector = load_detector(models / "yunet_320.onnx")
    photo = decode_image((stills / "lin-manuel-miranda.png").read_bytes())
    turn = cv2.getRotationMatrix2D((photo.shape[1] / 2, photo.shape[0] / 2), 25, 0.8)
    turned = cv2.warpAffine(photo, turn, photo.shape[1::-1])
    cv2.imwrite(str(tmp_path / "turned.png"), cv2.resize(turned, None, fx=2, fy=2)[..., ::-1])
    paths = [
        stills / "lin-manuel-miranda.png",
        tmp_path / "turned.png",
        stills / "alex-lacamoire.png",
    ]
    images = embed_images(paths, embedder, detector=detector).embedding_set
    units = images.embeddings / images.norms[:, None]
    assert units[0] @ units[1] > 0.8
    assert units[0] @ units[2] < 0.4
