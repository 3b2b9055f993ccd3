"""Distillation from a tiny teacher: a few steps on images made here."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
cv2 = pytest.importorskip("cv2")

from research.compact_embedder.export import read_compact_embedder  # noqa: E402
from research.compact_embedder.network import CompactEmbedderConfig  # noqa: E402

from probefusion.embedders.spec import EmbedderSpec  # noqa: E402
from probefusion.errors import (  # noqa: E402
    ConfigError,
    FileFormatError,
    IntegrityError,
    MismatchError,
    MissingFileError,
)
from probefusion.zoo import resolve_embedder  # noqa: E402
from research.compact_embedder import (  # noqa: E402
    DistillationSettings,
    Distiller,
    FaceBatches,
    Teacher,
    blend_states,
    read_state,
)
from research.compact_embedder import batches as rules  # noqa: E402

MAPS = ("stage3", "stage4")
CONFIG = CompactEmbedderConfig(dim=16, widths=(4, 6, 8, 10), depths=(1, 1, 1), head=12)
SETTINGS = DistillationSettings(steps=24, faces_per_step=6, warmup_steps=2, learning_rate=5e-3)
STOP = 10


class _Stopped(Exception):
    """Stands for a kill between two steps."""


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def make_teacher(tiny_embedder):
    path, spec = resolve_embedder(tiny_embedder)
    return functools.partial(Teacher, path, spec, MAPS, num_threads=1)


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(0)
    small = rng.integers(0, 256, (12, 6, 6, 3)).astype(np.uint8)
    return np.stack([cv2.resize(image, (112, 112)) for image in small])


@pytest.fixture(scope="module")
def images(crops, tmp_path_factory):
    path = tmp_path_factory.mktemp("distillation") / "crops.npy"
    np.save(path, crops)
    return path


@pytest.fixture(scope="module")
def make_distiller(images, crops, make_teacher):
    centres = make_teacher().see(crops)[0]

    def make(**settings):
        given = {"config": CONFIG, "map_channels": (3, 3)} | settings
        return Distiller(images, make_teacher, centres, SETTINGS, **given)

    return make


@pytest.fixture(scope="module")
def gone_through(make_distiller):
    """A training from end to end, and the parts of its loss at each step."""
    distiller, parts = make_distiller(), []
    distiller.run(lambda _, part: parts.append(part))
    return distiller, parts


def test_the_loss_falls(gone_through) -> None:
    distiller, parts = gone_through
    assert distiller.step == len(parts) == SETTINGS.steps
    assert not distiller.network.training
    for name in ("error", "maps", "relations"):
        first, last = (np.mean([part[name] for part in some]) for some in (parts[:5], parts[-5:]))
        assert last < first, name


def test_a_stopped_training_goes_on_as_if_nothing_had_been(
    gone_through, make_distiller, tmp_path
) -> None:
    state = tmp_path / "state.pt"
    first = make_distiller()

    def stop(step, _):
        if step == STOP:
            first.save(state)
            raise _Stopped

    with pytest.raises(_Stopped):
        first.run(stop)
    second, steps = make_distiller(), []
    second.resume(state)
    second.run(lambda step, _: steps.append(step))
    assert steps == list(range(STOP + 1, SETTINGS.steps + 1))
    expected, found = gone_through[0].network.state_dict(), second.network.state_dict()
    for key, value in expected.items():
        assert torch.allclose(found[key].float(), value.float(), atol=1e-4, rtol=1e-3), key
    second.run(lambda *_: pytest.fail("there is no step left"))


def test_a_state_says_which_steps_were_trained_with_which_settings(
    make_distiller, images, make_teacher, crops, tmp_path
) -> None:
    state = tmp_path / "state.pt"
    first = make_distiller()
    first.step = 4
    first.save(state)
    same = make_distiller()
    same.resume(state)
    same.step = 5
    same.save(state)
    settings = replace(SETTINGS, poor_share=1.0, weight_decay=0.2)
    centres = make_teacher().see(crops)[0]
    changed = Distiller(images, make_teacher, centres, settings, config=CONFIG, map_channels=(3, 3))
    changed.resume(state)
    changed.step = 8
    changed.save(state)
    assert {group["weight_decay"] for group in changed._optimizer.param_groups} == {0.2}
    stages = read_state(state)["stages"]
    assert [(stage["from_step"], stage["poor_share"]) for stage in stages] == [(0, 0.5), (5, 1.0)]


@pytest.fixture
def two_states(make_distiller, tmp_path):
    """The paths of a state and of a later one of the same training, their networks apart."""
    paths = [tmp_path / "earlier.pt", tmp_path / "later.pt"]
    distiller = make_distiller()
    for path, step in zip(paths, (4, 9), strict=True):
        distiller.step = step
        distiller.save(path)
        with torch.no_grad():
            for part in distiller.network.parameters():
                part.add_(torch.randn_like(part))
    return paths


@pytest.mark.parametrize("share", [0.0, 0.25, 1.0])
def test_blending_is_a_mean_of_numbers(two_states, make_distiller, tmp_path, share) -> None:
    first, second = (read_state(path)["network"] for path in two_states)
    state = blend_states(*two_states, share=share)
    for key, part in state["network"].items():
        expected = (1 - share) * first[key] + share * second[key]
        assert torch.allclose(part.float(), expected.float(), atol=1e-6), key
        assert part.dtype == second[key].dtype
    assert state["stages"][-1]["blended_with"] == {"step": 4, "share": 1 - share}
    assert len(state["stages"]) == 2
    torch.save(state, tmp_path / "blended.pt")
    network, step, _ = read_compact_embedder(tmp_path / "blended.pt")
    assert step == 9
    going_on = make_distiller()
    going_on.resume(tmp_path / "blended.pt")
    assert torch.equal(next(network.parameters()), next(going_on.network.parameters()))


def test_only_two_states_of_one_training_are_blended(two_states, make_distiller, tmp_path) -> None:
    earlier, later = two_states
    with pytest.raises(MismatchError, match="in their order"):
        blend_states(later, earlier, share=0.5)
    with pytest.raises(ConfigError, match="share"):
        blend_states(earlier, later, share=1.5)
    other = make_distiller(config=replace(CONFIG, dim=CONFIG.dim // 2))
    other.save(tmp_path / "other.pt")
    with pytest.raises(MismatchError, match="expected a pupil"):
        blend_states(tmp_path / "other.pt", later, share=0.5)


def test_a_state_of_another_pupil_is_refused(make_distiller, tmp_path) -> None:
    state = tmp_path / "state.pt"
    make_distiller().save(state)
    other = CompactEmbedderConfig(dim=16, widths=(4, 6, 8, 10), depths=(1, 1, 1), head=14)
    with pytest.raises(MismatchError, match="expected a pupil"):
        make_distiller(config=other).resume(state)
    with pytest.raises(MissingFileError, match="training state"):
        make_distiller().resume(tmp_path / "none.pt")


def test_a_batch_depends_on_seed_and_step_alone(images, make_teacher) -> None:
    def batch(step, settings=SETTINGS, skip=0):
        batches = iter(FaceBatches(images, make_teacher, settings, step - skip))
        for _ in range(skip):
            next(batches)
        return next(batches)

    direct, walked, other = batch(3), batch(3, skip=2), batch(4)
    assert np.array_equal(direct.views, walked.views)
    assert np.array_equal(direct.targets, walked.targets)
    assert not np.array_equal(direct.views, other.views)
    assert direct.views.shape == (9, 112, 112, 3)  # six mild views, three of them degraded too
    assert [part.shape for part in direct.maps] == [(6, 3, 14, 14), (6, 3, 7, 7)]
    seeded = DistillationSettings(steps=24, faces_per_step=6, seed=1)
    assert not np.array_equal(direct.views, batch(3, seeded).views)


@pytest.mark.parametrize(("share", "count"), [(0.0, 1), (0.4, 2), (1.0, 6)])
def test_poor_views_are_those_of_the_first_faces(
    images, make_teacher, monkeypatch, share, count
) -> None:
    monkeypatch.setattr(rules, "degrade", lambda face, severity, rng: face)
    monkeypatch.setattr(rules, "_mildly_changed", lambda face, rng: face)
    settings = replace(SETTINGS, poor_share=share)
    batch = next(iter(FaceBatches(images, make_teacher, settings, 0)))
    assert np.array_equal(batch.views[6:], batch.views[:count])


def test_a_poor_view_is_to_be_what_its_face_was_or_what_it_is_to_the_teacher(
    images, make_teacher
) -> None:
    clean, poor = (
        next(iter(FaceBatches(images, make_teacher, replace(SETTINGS, poor_target=target), 0)))
        for target in ("clean", "poor")
    )
    assert np.array_equal(clean.views, poor.views)
    assert np.array_equal(clean.targets[:6], poor.targets[:6])
    assert np.array_equal(clean.targets[6:], clean.targets[:3])
    seen, maps = make_teacher().see(poor.views[6:])
    assert np.allclose(poor.targets[6:], seen, atol=1e-6)
    assert not np.allclose(poor.targets[6:], poor.targets[:3], atol=1e-2)
    for own, found, before in zip(maps, poor.maps, clean.maps, strict=True):
        assert np.array_equal(found, np.concatenate([before, own.astype(np.float16)]))


@pytest.mark.parametrize("num_maps", [4, 6])
def test_views_are_compared_with_their_targets(make_distiller, num_maps) -> None:
    distiller = make_distiller()
    distiller.network.eval()
    faces = torch.randint(0, 256, (SETTINGS.faces_per_step + 2, 112, 112, 3), dtype=torch.uint8)
    maps = (torch.zeros(num_maps, 3, 14, 14), torch.zeros(num_maps, 3, 7, 7))
    with torch.no_grad():
        pixels = faces.permute(0, 3, 1, 2).float() / 127.5 - 1
        targets = torch.nn.functional.normalize(distiller.network(pixels), dim=-1)
        own = distiller._losses(faces, targets, maps)
        targets[-2:] = -targets[-2:]
        other = distiller._losses(faces, targets, maps)
    assert float(own["cosine_mild"]) > 0.99
    assert float(own["cosine_poor"]) > 0.99
    assert float(other["cosine_mild"]) == float(own["cosine_mild"])
    assert float(other["cosine_poor"]) < -0.99


def test_a_file_that_is_no_state_is_refused(make_distiller, tmp_path) -> None:
    torch.save({"network": {}, "step": 3}, tmp_path / "old.pt")
    with pytest.raises(FileFormatError, match="stages"):
        make_distiller().resume(tmp_path / "old.pt")


def test_the_teacher_answers_as_the_embedder(crops, make_teacher, tiny_embedder) -> None:
    from probefusion.zoo import load_embedder

    found, maps = make_teacher().see(crops)
    expected = load_embedder(tiny_embedder).embed(crops)[0]
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    assert np.allclose(found, expected, atol=1e-5)
    assert [part.shape for part in maps] == [(12, 3, 14, 14), (12, 3, 7, 7)]


def test_a_damaged_teacher_is_refused(tiny_embedder) -> None:
    spec = EmbedderSpec(name="tiny", sha256="0" * 64, dim=16)
    with pytest.raises(IntegrityError):
        Teacher(tiny_embedder, spec, MAPS, num_threads=1)


def test_the_rate_rises_stays_and_falls() -> None:
    settings = DistillationSettings(steps=100, warmup_steps=10, cooldown=0.2, learning_rate=2.0)
    rates = [settings.rate(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.2)
    assert np.all(np.diff(rates[:10]) > 0)
    assert rates[9:80] == pytest.approx([2.0] * 71)
    assert np.all(np.diff(rates[80:]) < 0)
    assert rates[99] == pytest.approx(0.1)


def test_a_longer_training_begins_as_a_shorter_one() -> None:
    short, long = (DistillationSettings(steps=steps) for steps in (1000, 4000))
    assert all(short.rate(step) == long.rate(step) for step in range(750))


@pytest.mark.parametrize(
    "settings",
    [
        {"steps": 1},
        {"faces_per_step": 1},
        {"cooldown": 1.5},
        {"chimera_share": -0.1},
        {"poor_share": 1.1},
        {"poor_target": "best"},
        {"learning_rate": 0.0},
    ],
)
def test_wrong_settings_are_refused(settings) -> None:
    (name,) = settings
    with pytest.raises(ConfigError, match=name):
        DistillationSettings(**settings)
