"""An SCRFD file as `--detector`: a made-up network that finds one face in every photo."""

from __future__ import annotations

import numpy as np
import pytest
from scrfd_graphs import empty_maps, put_face, write_maps

from probefusion.faces import ARCFACE_LANDMARKS
from probefusion.types import EmbeddingSet

cv2 = pytest.importorskip("cv2")
pytest.importorskip("onnx")


@pytest.fixture
def photos(tmp_path):
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(4)
    for number in range(3):
        picture = cv2.resize(rng.integers(0, 256, (12, 16, 3)).astype(np.uint8), (640, 480))
        cv2.imwrite(str(folder / f"{number}.png"), picture)
    return folder


def write_detector(path, maps):
    return write_maps(path, maps, height=256, width=320)


def test_photos_are_embedded_with_it(command, tiny_embedder, photos, tmp_path) -> None:
    maps = empty_maps(256, 320)
    put_face(
        maps, width=320, stride=16, place=(13, 10), anchor=0, score=0.8,
        box=(160, 120, 250, 225), landmarks=np.add(ARCFACE_LANDMARKS, (150, 110)),
    )  # fmt: skip
    detector = write_detector(tmp_path / "det.onnx", maps)
    code, _, err = command(
        *("embed", photos, "--embedder", tiny_embedder, "--detector", detector),
        *("-o", tmp_path / "set.npz"),
    )
    assert code == 0, err
    found = EmbeddingSet.load(tmp_path / "set.npz")
    assert found.num_images == 3
    # The photos are twice as large as what the network sees: the crop is a part of them, halved. That part is not seen
    # again in the small squares of the second look, and so stays as it is.
    from probefusion.zoo import load_embedder

    crops = []
    for number in range(3):
        photo = cv2.imread(str(photos / f"{number}.png"))[..., ::-1]
        crops.append(
            cv2.resize(photo[220:444, 300:524], (112, 112), interpolation=cv2.INTER_LINEAR)
        )
    expected = load_embedder(tiny_embedder).embed_set(np.array(crops))
    cosines = (found.embeddings * expected.embeddings).sum(axis=1)
    cosines /= np.linalg.norm(found.embeddings, axis=1)
    cosines /= np.linalg.norm(expected.embeddings, axis=1)
    assert cosines.min() > 0.99


def test_a_model_without_landmarks_is_refused_in_one_line(
    command, tiny_embedder, photos, tmp_path
) -> None:
    maps = {key: values for key, values in empty_maps(256, 320).items() if key[1] != 10}
    code, _, err = command(
        *("embed", photos, "--embedder", tiny_embedder),
        *("--detector", write_detector(tmp_path / "det.onnx", maps), "-o", tmp_path / "set.npz"),
    )
    assert code == 1
    assert err.count("\n") == 1
    assert "without landmarks" in err
