"""What "sure" of a feeding rests on: different people, a margin, and no better scale beside it."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.embedders import inspect_embedder
from probefusion.embedders.guess import (
    MIN_FACES,
    SCALINGS,
    Feeding,
    PreprocessingGuess,
    guess_preprocessing,
)
from probefusion.evaluation.drawn_people import draw_crop
from probefusion.zoo.bundled import bundled_folder

onnx = pytest.importorskip("onnx")
pytest.importorskip("cv2")

VGGFACE2 = (91.4953, 103.8827, 131.0912)
"""Blue, green, red, as published."""


def made_guess(**changes):
    feedings = [
        Feeding(scaling="x/255", channel_order="RGB", gap=0.6),
        Feeding(scaling="x/255", channel_order="BGR", gap=changes.pop("second", 0.5)),
        Feeding(scaling="x, 0 to 255", channel_order="RGB", gap=0.1),
    ]
    facts = {
        "feedings": tuple(feedings),
        "num_faces": 24,
        "num_people": 24,
        "gain_elsewhere": 0.0,
        "scaling_agreement": 1.0,
        "order_agreement": 1.0,
        "norm_falls": None,
    }
    return PreprocessingGuess(**{**facts, **changes})


@pytest.mark.parametrize(
    ("changes", "confidence"),
    [
        ({}, "sure"),
        ({"second": 0.596}, "likely"),
        ({"order_agreement": 0.94}, "likely"),
        ({"scaling_agreement": 0.79}, "unsure"),
        ({"num_people": MIN_FACES}, "sure"),
        ({"num_people": MIN_FACES - 1}, "unsure"),
        ({"num_people": 1}, "unsure"),
        ({"gain_elsewhere": 0.004}, "sure"),
        ({"gain_elsewhere": 0.009}, "likely"),
        ({"gain_elsewhere": 0.011}, "unsure"),
    ],
)
def test_sure_needs_people_a_margin_and_no_better_scale(changes, confidence) -> None:
    guess = made_guess(**changes)
    assert guess.confidence == confidence
    assert bool(guess.doubts) == (
        ("num_people" in changes and guess.num_people < MIN_FACES) or guess.gain_elsewhere > 0.01
    )
    near = [feeding.channel_order for feeding in guess.near_equals]
    assert near == (["BGR"] if "second" in changes else [])


def test_a_doubt_says_what_was_given_and_what_to_give() -> None:
    (doubt,) = made_guess(num_people=1).doubts
    assert "24 faces look like 1 different people, expected at least 8" in doubt
    (doubt,) = made_guess(gain_elsewhere=0.05).doubts
    assert "one that was not tried" in doubt


def test_the_published_mean_of_vggface2_is_tried_in_its_order() -> None:
    feeding = Feeding(scaling="x less VGGFace2 mean", channel_order="BGR", gap=0.0)
    settings = feeding.settings
    assert np.allclose(np.array(settings["mean"]) * 255, VGGFACE2)
    pixel = np.array([10.0, 20.0, 30.0])
    fed = (pixel / 255 - settings["mean"]) / settings["std"]
    assert np.allclose(fed, pixel - VGGFACE2)
    assert len(SCALINGS) == 7


@pytest.fixture(scope="module")
def bundled():
    (path,) = bundled_folder().glob("compact_128d*/compact_128d.onnx")
    return path


def test_crops_of_one_person_are_seen_to_be_of_one(bundled) -> None:
    crops = np.stack([draw_crop(1, number) for number in range(10)])
    guess = guess_preprocessing(bundled, inspect_embedder(bundled), crops)
    assert guess.num_faces == 10
    assert guess.num_people < MIN_FACES
    assert guess.confidence == "unsure"


def test_a_network_that_sees_nothing_is_unsure(save_network, rng) -> None:
    """Embeddings that are all alike, or worse: no gap is above 0."""
    path, _ = save_network(offset=50.0)
    crops = rng.integers(0, 256, (8, 112, 112, 3), dtype=np.uint8)
    guess = guess_preprocessing(path, inspect_embedder(path), crops)
    assert guess.best.gap < 0.2
    assert guess.num_people < MIN_FACES
    assert guess.confidence == "unsure"


@pytest.mark.assets
def test_a_shift_that_is_hard_to_see_is_not_taken_for_sure(bundled, faces, tmp_path) -> None:
    """x less 127.5 in RGB, beside which other means do nearly as well."""
    path = refed(bundled, tmp_path / "grey.onnx", mean=(127.5,) * 3, is_bgr=False)
    guess = guess_preprocessing(path, inspect_embedder(path), faces["different"])
    right = ("x less 127.5", "RGB")
    assert guess.confidence != "sure" or (guess.best.scaling, guess.best.channel_order) == right


def refed(path, target, *, mean, is_bgr):
    """The bundled network, which takes (x/255 - .5)/.5 in RGB, made to be fed x less a mean."""
    model = onnx.load(path)
    graph, helper = model.graph, onnx.helper
    from_array = onnx.numpy_helper.from_array
    image = graph.input[0].name
    for node in graph.node:
        node.input[:] = ["fed" if name == image else name for name in node.input]
    for name, value in (
        ("mean", np.array(mean, np.float32).reshape(1, 3, 1, 1) - 127.5),
        ("scale", np.float32(1 / 127.5)),
        ("order", np.array([2, 1, 0] if is_bgr else [0, 1, 2], np.int64)),
    ):
        graph.initializer.append(from_array(np.asarray(value), f"refed.{name}"))
    nodes = [
        helper.make_node("Add", [image, "refed.mean"], ["refed.pixels"]),
        helper.make_node("Gather", ["refed.pixels", "refed.order"], ["refed.rgb"], axis=1),
        helper.make_node("Mul", ["refed.rgb", "refed.scale"], ["fed"]),
        *graph.node,
    ]
    del graph.node[:]
    graph.node.extend(nodes)
    onnx.save(model, target)
    return target


@pytest.fixture(scope="module")
def faces(request):
    """Real crops: of 14 people one each, and 14 of one person."""
    from probefusion.faces import list_images
    from probefusion.faces.images import read_crops

    assets = request.getfixturevalue("assets")
    sources, _ = list_images(assets / "data" / "lfw112.zip")
    people: dict[str, list] = {}
    for source in sources:
        people.setdefault(source.name.rpartition("/")[0], []).append(source)
    many = max(people.values(), key=len)
    step = len(people) // 14
    several = [members[0] for members in list(people.values())[::step]][:14]
    return {
        "different": read_crops(several, count=14)[0],
        "one": read_crops(many, count=14)[0],
    }


@pytest.mark.assets
def test_one_real_person_is_never_enough(bundled, faces) -> None:
    guess = guess_preprocessing(bundled, inspect_embedder(bundled), faces["one"])
    assert guess.num_people < MIN_FACES
    assert guess.confidence == "unsure"


@pytest.mark.assets
def test_a_vggface2_like_feeding_is_found(bundled, faces, tmp_path) -> None:
    path = refed(bundled, tmp_path / "vgg.onnx", mean=VGGFACE2, is_bgr=True)
    guess = guess_preprocessing(path, inspect_embedder(path), faces["different"])
    right = ("x less VGGFace2 mean", "BGR")
    named = [(one.scaling, one.channel_order) for one in (guess.best, *guess.near_equals)]
    assert right in named
    assert guess.num_people >= 12
    assert guess.confidence != "sure" or named[0] == right


@pytest.mark.assets
def test_a_scale_that_is_not_tried_is_not_replaced_by_a_sure_one(
    bundled, faces, tmp_path, monkeypatch
) -> None:
    """Without the right one among those tried, nothing near it is taken with certainty."""
    tried = {name: scale for name, scale in SCALINGS.items() if "less" not in name}
    monkeypatch.setattr("probefusion.embedders.guess.SCALINGS", tried)
    path = refed(bundled, tmp_path / "vgg.onnx", mean=VGGFACE2, is_bgr=True)
    guess = guess_preprocessing(path, inspect_embedder(path), faces["different"])
    assert guess.best.scaling == "x, 0 to 255"
    assert guess.gain_elsewhere > 0.003
    assert guess.confidence != "sure"
