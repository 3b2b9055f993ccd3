"""What people give first: arrays, paths, wrong types; and objects sent to other processes."""

from __future__ import annotations

import copy
import functools
import multiprocessing
import pickle
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    DtypeError,
    FuserMismatchError,
    InvalidInputError,
    ProbeFusionError,
    ShapeError,
)
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.fusion.universal import UniversalFuser
from probefusion.io import from_deepface, from_face_recognition, from_insightface, from_uniface
from probefusion.pipeline import Pipeline
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_detector, load_embedder, load_fuser


@pytest.fixture
def rows(rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(8) + rng.standard_normal((5, 8))


def test_an_array_is_fused_as_the_set_of_it(rows: np.ndarray) -> None:
    for fuser in (MeanFuser(), NormWeightedFuser()):
        images = EmbeddingSet(embeddings=rows)
        assert np.array_equal(fuser.fuse(rows).vector, fuser.fuse(images).vector)
        assert np.array_equal(fuser.fuse(rows.tolist()).vector, fuser.fuse(images).vector)
        assert np.array_equal(fuser.encode(rows).sums, fuser.encode(images).sums)
        assert np.array_equal(fuser.fuse_many(rows, [0, 2, 5]), fuser.fuse_many(images, [0, 2, 5]))
        assert fuser.fuse(rows).embedder is None


@pytest.mark.parametrize("given", ["person.npz", Path("person.npz"), None, 3, {"a": 1}])
def test_what_is_no_set_is_named(given: object) -> None:
    with pytest.raises(DtypeError, match="expected an EmbeddingSet or an array"):
        MeanFuser().fuse(given)  # type: ignore[arg-type]


def test_arrays_that_are_no_sets(rows: np.ndarray) -> None:
    with pytest.raises(ShapeError, match="embedding\\[None, :\\]"):
        MeanFuser().fuse(rows[0])
    with pytest.raises(DtypeError, match="int64"):
        MeanFuser().fuse(rows.astype(np.int64))


def test_fusers_that_need_more_say_so(any_fuser, rng: np.random.Generator) -> None:
    if any_fuser.dim is None:
        pytest.skip("takes arrays")
    with pytest.raises(ProbeFusionError, match=r"style|embedder"):
        any_fuser.fuse(rng.standard_normal((3, any_fuser.dim)))


def test_other_arguments_of_wrong_types(rows: np.ndarray) -> None:
    fuser = MeanFuser()
    template = fuser.fuse(rows)
    with pytest.raises(DtypeError, match="chunk_size"):
        fuser.fuse(rows, chunk_size="2")  # type: ignore[arg-type]
    with pytest.raises(InvalidInputError, match="chunk_size"):
        fuser.fuse(rows, chunk_size=0)
    with pytest.raises(DtypeError, match="expected a FusionState"):
        fuser.finish(template)  # type: ignore[arg-type]
    with pytest.raises(DtypeError, match="expected a Template"):
        template.similarity(rows[0])  # type: ignore[arg-type]
    for threads in (0, -1, 100_000, 2.5, "2"):
        with pytest.raises(ConfigError, match="num_threads"):
            MeanFuser(num_threads=threads)  # type: ignore[arg-type]


ROWS = np.eye(3)
MEAN = functools.partial(Pipeline, fuser="mean", aligned=True)
TRIES = {
    "load_fuser": (load_fuser, "fuser: expected a name"),
    "load_embedder": (load_embedder, "embedder: expected a name"),
    "load_detector": (load_detector, "detector: expected a name"),
    "Pipeline.fuse": (lambda given: MEAN().fuse(given), "inputs: expected a path, an array"),
    "Pipeline.read_sets": (lambda given: MEAN().read_sets(given), "inputs: expected a path"),
    "Pipeline.embed": (lambda given: MEAN().embed(given), "paths: expected images"),
    "Pipeline.compare, first": (lambda given: MEAN().compare(given, ROWS), "inputs: expected a"),
    "Pipeline.compare, second": (lambda given: MEAN().compare(ROWS, given), "inputs: expected a"),
    "Pipeline.fuse_people": (lambda given: MEAN().fuse_people(given), "folder: expected a path"),
    "Pipeline.compare_people": (
        lambda given: MEAN().compare_people(given),
        "first: expected a TemplateSet",
    ),
    "Pipeline.search": (
        lambda given: MEAN().search(ROWS, given),
        "among: expected a TemplateSet",
    ),
    "from_insightface": (from_insightface, "faces: expected a list"),
    "from_uniface": (from_uniface, "faces: expected a list"),
    "from_deepface": (from_deepface, "results: expected a list"),
    "from_deepface, inside": (
        lambda given: from_deepface([given]),
        "result 0 of DeepFace: expected a list",
    ),
    "from_face_recognition": (from_face_recognition, "encodings: expected a list"),
}


@pytest.mark.parametrize("given", [None, 3])
@pytest.mark.parametrize("call", TRIES)
def test_what_is_of_a_wrong_type_is_named(call: str, given: object) -> None:
    tried, told = TRIES[call]
    with pytest.raises(DtypeError) as refused:
        tried(given)
    message = str(refused.value)
    assert message.startswith(told)
    assert f"got {type(given).__name__} {given}. " in message
    assert message.endswith(".")


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ({"embedder": 3}, "an embedder or None"),
        ({"detector": 3}, "a detector or None"),
        ({"fuser": 3}, "or a fuser"),
        ({"fuser": None}, "or a fuser"),
    ],
)
def test_what_is_no_model_is_named(model: dict[str, object], expected: str) -> None:
    ((name, given),) = model.items()
    with pytest.raises(DtypeError) as refused:
        Pipeline(**model).fuse(ROWS)  # type: ignore[arg-type]
    assert str(refused.value).startswith(f"{name}: expected a name, the path of")
    assert f"{expected}, got {type(given).__name__} {given}. Give one of these" in str(
        refused.value
    )


@pytest.mark.parametrize(
    ("rate", "num_images", "kind", "told"),
    [
        ("x", 1, DtypeError, "false_match_rate: expected a fraction between 0 and 1, got str 'x'"),
        (None, 1, DtypeError, "false_match_rate: expected a fraction between 0 and 1, got NoneT"),
        (2, 1, ConfigError, "false_match_rate: expected a fraction between 0 and 1, got 2"),
        (1e-3, None, DtypeError, "num_images: expected a whole number of images, got NoneType"),
        (1e-3, 2.5, DtypeError, "num_images: expected a whole number of images, got float 2.5"),
        (1e-3, 0, ConfigError, "num_images: expected at least 1 image, got 0"),
    ],
)
def test_thresholds_that_cannot_be_asked_for(
    fuser_folders: dict[str, Path], rate: object, num_images: object, kind: type, told: str
) -> None:
    for fuser in (MeanFuser(), UniversalFuser(), load_fuser(fuser_folders["exact"])):
        with pytest.raises(kind) as refused:
            fuser.threshold_for(rate, num_images)  # type: ignore[arg-type]
        assert str(refused.value).startswith(told)


@pytest.mark.parametrize("rate", ["x", None])
def test_rates_that_are_no_numbers_in_a_comparison(rate: object) -> None:
    with pytest.raises(DtypeError, match="--fmr: expected a fraction between 0 and 1, got"):
        MEAN().compare(ROWS, ROWS, false_match_rate=rate)  # type: ignore[arg-type]


def fuse_there(job: tuple[object, EmbeddingSet]) -> np.ndarray:
    fuser, images = job
    return fuser.fuse(images).vector  # type: ignore[attr-defined]


def test_fusers_can_be_sent(any_fuser, make_set) -> None:
    images = make_set(5, embedder=any_fuser.embedder)
    right = any_fuser.fuse(images).vector
    for other in (pickle.loads(pickle.dumps(any_fuser)), copy.deepcopy(any_fuser)):
        assert other.fingerprint == any_fuser.fingerprint
        assert np.array_equal(other.fuse(images).vector, right)


def test_fusers_in_worker_processes(fuser_folders: dict[str, Path], make_set) -> None:
    from probefusion.zoo import load_fuser

    fuser = load_fuser(fuser_folders["exact"], num_threads=1)
    sets = [make_set(5, embedder=fuser.embedder) for _ in range(3)]
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        found = list(pool.map(fuse_there, [(fuser, images) for images in sets]))
    for vector, images in zip(found, sets, strict=True):
        assert np.array_equal(vector, fuser.fuse(images).vector)


def test_another_fuser_in_the_folder_is_noticed(
    fuser_folders: dict[str, Path], tmp_path: Path
) -> None:
    import shutil

    from probefusion.zoo import load_fuser

    folder = tmp_path / "fuser"
    shutil.copytree(fuser_folders["exact"], folder)
    sent = pickle.dumps(load_fuser(folder))
    shutil.rmtree(folder)
    shutil.copytree(fuser_folders["exact-fast"], folder)
    with pytest.raises(FuserMismatchError, match="which was pickled"):
        pickle.loads(sent)


def test_embedder_quality_and_detector_can_be_sent(tiny_embedder, assets: Path) -> None:
    pytest.importorskip("cv2")
    from probefusion.embedders import CropQuality
    from probefusion.zoo import load_detector, load_embedder

    crops = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    embedder, quality = load_embedder(tiny_embedder), CropQuality(num_threads=1)
    other, judge = pickle.loads(pickle.dumps((embedder, quality)))
    assert other.fingerprint == embedder.fingerprint
    assert np.array_equal(other.embed(crops)[0], embedder.embed(crops)[0])
    assert np.array_equal(judge.judge(crops), quality.judge(crops))
    model = next(iter(sorted((assets / "models").rglob("*yunet*.onnx"))), None)
    if model is None:
        pytest.skip("no detector here")
    detector = load_detector(model)
    again = pickle.loads(pickle.dumps(detector))
    assert len(again.detect(crops[0])) == len(detector.detect(crops[0]))
