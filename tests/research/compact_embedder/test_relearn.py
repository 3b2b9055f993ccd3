"""An embedder opened from its file, and taught another teacher's space, on a tiny network."""

from __future__ import annotations

import argparse
import json
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("cv2")

from research.compact_embedder.blend_with_start import blend_networks, measure_norms  # noqa: E402
from research.compact_embedder.export import export_compact_embedder  # noqa: E402
from research.compact_embedder.network import (  # noqa: E402
    CompactEmbedder,
    CompactEmbedderConfig,
)
from research.compact_embedder.relearn import (  # noqa: E402
    KINDS,
    PoorViews,
    as_pixels,
    begin,
    fit_last_layer,
    losses,
    save,
    shares_of,
    train,
)
from research.compact_embedder.targets import FILM_FOLDS, make_targets  # noqa: E402
from research.compact_embedder.warm_start import open_compact_embedder  # noqa: E402

from probefusion.errors import ConfigError, MismatchError, MissingFileError  # noqa: E402
from probefusion.protocols.degraded_folder import fold_of  # noqa: E402
from probefusion.zoo import load_embedder  # noqa: E402
from research.compact_embedder import read_state  # noqa: E402

CONFIG = CompactEmbedderConfig(dim=8, widths=(4, 6, 8, 10), depths=(1, 1, 1), head=12)


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def crops():
    rng = np.random.default_rng(0)
    rough = rng.integers(0, 256, (24, 14, 14, 3)).astype(np.uint8)
    return rough.repeat(8, axis=1).repeat(8, axis=2)


@pytest.fixture(scope="module")
def network(crops):
    """A network whose BatchNorms have seen something."""
    made = CompactEmbedder(CONFIG, rng=np.random.default_rng(1)).train()
    with torch.no_grad():
        for _ in range(5):
            made(as_pixels(crops))
    return made.eval()


@pytest.fixture(scope="module")
def file(network, tmp_path_factory):
    path = tmp_path_factory.mktemp("embedder") / "small.onnx"
    export_compact_embedder(network, path)
    return path


def test_an_opened_network_answers_as_the_one_that_was_written(file, network, crops) -> None:
    pixels = as_pixels(crops)
    opened = open_compact_embedder(file, pixels, config=CONFIG)
    with torch.no_grad():
        wanted, found = network(pixels), opened(pixels)
        trained = opened.train()(pixels)
    assert torch.allclose(found, wanted, atol=2e-3 * float(wanted.abs().max()))  # stored in halves
    assert torch.allclose(trained, found, atol=1e-3 * float(wanted.abs().max()))


def test_each_batch_norm_has_the_statistics_of_what_comes_into_it(file, crops) -> None:
    opened = open_compact_embedder(file, as_pixels(crops), config=CONFIG)
    with torch.no_grad():
        entering = opened.stem[0](as_pixels(crops))
    assert torch.allclose(opened.stem[1].running_mean, entering.mean(dim=(0, 2, 3)), atol=1e-5)
    assert torch.allclose(
        opened.stem[1].running_var, entering.var(dim=(0, 2, 3), unbiased=False), atol=1e-5
    )


def test_a_network_of_another_size_is_refused(file, crops) -> None:
    pixels = as_pixels(crops[:2])
    with pytest.raises(MismatchError, match=r"expected stem.0.weight of shape \(5, 3, 3, 3\)"):
        open_compact_embedder(file, pixels, config=replace(CONFIG, widths=(5, 6, 8, 10)))
    deeper = replace(CONFIG, depths=(1, 1, 2))
    with pytest.raises(MismatchError, match=r"expected coarse.2.widen.0.weight .*, got none"):
        open_compact_embedder(file, pixels, config=deeper)
    with pytest.raises(MissingFileError, match="compact embedder"):
        open_compact_embedder(file.with_name("none.onnx"), pixels)


def test_the_last_layer_finds_targets_that_lie_in_reach(network, crops) -> None:
    pixels = as_pixels(crops)
    turned = np.linalg.qr(np.random.default_rng(2).standard_normal((8, 8)))[0]
    with torch.no_grad():
        targets = network(pixels) @ torch.from_numpy(turned).float() + 0.1
    before = network.embedding.weight.detach().clone(), network.embedding.bias.detach().clone()
    fit_last_layer(network, pixels, targets)
    with torch.no_grad():
        found = network(pixels)
        network.embedding.weight.copy_(before[0])
        network.embedding.bias.copy_(before[1])
    error = (found - targets).square().mean() / (targets - targets.mean(0)).square().mean()
    assert float(error) < 0.02


def test_parts_of_the_loss_vanish_at_the_targets() -> None:
    targets = torch.nn.functional.normalize(torch.randn(6, 8), dim=1)
    parts = losses(targets, targets, targets[:3])
    assert float(parts["error"]) == pytest.approx(0, abs=1e-6)
    assert float(parts["relations"]) == pytest.approx(0, abs=1e-5)
    assert float(parts["cosine"]) == pytest.approx(1, abs=1e-5)
    longer = losses(2 * targets, targets, targets[:3])
    assert float(longer["error"]) == pytest.approx(1, abs=1e-5)


def test_views_depend_on_seed_and_step_alone(crops, tmp_path) -> None:
    path = tmp_path / "crops.npy"
    np.save(path, crops)
    first = iter(PoorViews(path, views_per_step=5, seed=3, first_step=0))
    next(first)
    views, rows = next(first)
    again, same = next(iter(PoorViews(path, views_per_step=5, seed=3, first_step=1)))
    assert np.array_equal(views, again)
    assert np.array_equal(rows, same)
    other, _ = next(iter(PoorViews(path, views_per_step=5, seed=4, first_step=1)))
    assert views.shape == (5, 112, 112, 3)
    assert not np.array_equal(views, other)


def test_the_share_of_mild_views_decides_how_many_keep_their_detail(crops, tmp_path) -> None:
    rng = np.random.default_rng(3)
    path = tmp_path / "crops.npy"
    np.save(path, rng.integers(0, 256, (4, 112, 112, 3)).astype(np.uint8))

    def detail(mild: float) -> float:
        shares = {"photo": mild}
        made = iter(PoorViews(path, views_per_step=40, seed=0, first_step=0, mild=shares))
        views, _ = next(made)
        return float(np.abs(np.diff(views.astype(np.float32), axis=2)).mean())

    assert detail(0.0) < detail(0.5) < detail(1.0)


def test_views_are_of_the_kinds_and_in_the_shares_that_are_asked_for(crops, tmp_path) -> None:
    path = tmp_path / "crops.npy"
    np.save(path, crops)
    kinds = np.repeat(np.arange(3, dtype=np.uint8), [20, 2, 2])
    shares = {"photo": 0.25, "film": 0.75}
    views = PoorViews(
        path,
        views_per_step=200,
        seed=0,
        first_step=0,
        mild={"photo": 1.0, "film": 1.0},
        kinds=kinds,
        shares=shares,
    )
    _, rows = next(iter(views))
    films = (kinds[rows] == KINDS.index("film")).mean()
    assert 0.65 < films < 0.85  # 2 crops of 24: 3 standard errors about three quarters
    assert not (kinds[rows] == KINDS.index("chimera")).any()


def test_shares_are_read_for_all_kinds_and_for_one() -> None:
    assert shares_of([".75", "film=.9"]) == {"photo": 0.75, "film": 0.9, "chimera": 0.75}
    assert shares_of(["film=.9"]) == {"film": 0.9}
    with pytest.raises(ValueError, match="kind of photo, film, chimera, got 'clip=1'"):
        shares_of(["clip=1"])
    with pytest.raises(ValueError, match="from 0 to 1, got 'film=2'"):
        shares_of(["film=2"])


def test_a_training_can_begin_with_a_state(file, crops, tmp_path) -> None:
    targets = torch.nn.functional.normalize(torch.randn(len(crops), 8), dim=1)
    network = begin(str(file), crops, targets, seed=0, config=CONFIG)
    state = tmp_path / "start.pt"
    save(state, network, torch.optim.AdamW(network.parameters()), 7, [])
    taken = begin(str(state), crops, targets, seed=0)
    for name, value in network.state_dict().items():
        assert torch.equal(taken.state_dict()[name], value), name


def test_a_blend_stands_between_two_networks_and_its_norms_fit_what_comes_in(
    crops, network, tmp_path
) -> None:
    other = CompactEmbedder(CONFIG, rng=np.random.default_rng(2)).eval()
    blended = blend_networks(network, other, 0.25)
    for name, value in blended.named_parameters():
        first, second = network.get_parameter(name), other.get_parameter(name)
        assert torch.allclose(value, 0.75 * first + 0.25 * second, atol=1e-6), name
    path = tmp_path / "crops.npy"
    np.save(path, crops)
    views = PoorViews(path, views_per_step=16, seed=0, first_step=0)
    measure_norms(blended, views, steps=3)
    drawn = iter(views)
    pixels = torch.cat([as_pixels(next(drawn)[0]) for _ in range(3)])
    entering = blended.stem[0](pixels)
    assert torch.allclose(blended.stem[1].running_mean, entering.mean(dim=(0, 2, 3)), atol=1e-3)
    assert blended.stem[1].momentum == 0.1
    assert not blended.training
    with pytest.raises(ConfigError, match="share"):
        blend_networks(network, other, 1.5)
    with pytest.raises(MismatchError, match="trained"):
        blend_networks(network, CompactEmbedder(replace(CONFIG, head=14)), 0.5)


def test_a_training_goes_on_from_its_state(file, crops, tmp_path) -> None:
    rng = np.random.default_rng(5)
    targets = rng.standard_normal((len(crops), 8)).astype(np.float32)
    targets /= np.linalg.norm(targets, axis=1, keepdims=True)
    np.save(tmp_path / "crops.npy", crops)
    np.save(tmp_path / "targets.npy", targets)
    np.save(tmp_path / "centres.npy", targets[:4])
    options = argparse.Namespace(
        work=tmp_path,
        start=str(file),
        steps=2,
        cooldown=0.3,
        learning_rate=2e-3,
        relation_weight=0.1,
        views=6,
        every=1,
        mild={"photo": 0.5},
        share={},
        seed=0,
    )
    train(options, CONFIG)
    assert read_state(tmp_path / "state.pt")["step"] == 2
    train(argparse.Namespace(**{**vars(options), "steps": 4}))
    state = read_state(tmp_path / "state.pt")
    assert state["step"] == 4
    assert [stage["from_step"] for stage in state["stages"]] == [0, 2]
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert all(np.isfinite(line["error"]) for line in lines)


def test_targets_are_the_teachers_and_leave_the_test_fold_out(
    tiny_embedder, crops, tmp_path
) -> None:
    import cv2

    data, work = tmp_path / "data", tmp_path / "work"
    names = [f"person{number}" for number in range(12)]
    for number, name in enumerate(names):
        (data / name).mkdir(parents=True)
        for image in range(2):
            crop = crops[(2 * number + image) % len(crops)]
            cv2.imwrite(str(data / name / f"{image}.png"), crop[..., ::-1])
    work.mkdir()
    teacher = load_embedder(tiny_embedder)
    targets, centres = make_targets([str(data)], teacher, work)
    kept = [name for name in names if fold_of(name) != 3]
    assert 0 < len(kept) < len(names)
    assert len(targets) == 2 * len(kept)
    assert len(centres) == len(kept)
    stored = np.load(work / "crops.npy")
    alone = teacher.embed(stored[:1])[0][0]
    assert np.allclose(targets[0], alone / np.linalg.norm(alone), atol=1e-5)
    assert np.allclose(np.linalg.norm(np.load(work / "centres.npy"), axis=1), 1, atol=1e-5)


def test_films_are_learned_from_by_half_of_the_actors_and_chimeras_are_seen_as_they_are(
    tiny_embedder, crops, tmp_path
) -> None:
    import cv2

    work = tmp_path / "work"
    work.mkdir()
    names = [f"actor{number}" for number in range(12)]
    for kind in ("photos", "films"):
        for number, name in enumerate(names):
            folder = tmp_path / kind / name
            folder.mkdir(parents=True)
            cv2.imwrite(str(folder / "0.png"), crops[(number + len(kind)) % len(crops)])
    teacher = load_embedder(tiny_embedder)
    taken = [name for name in names if fold_of(name) in FILM_FOLDS]
    left = taken[0]
    targets, centres = make_targets(
        [str(tmp_path / "photos")],
        teacher,
        work,
        films=[str(tmp_path / "films")],
        leave_out=(left,),
        num_chimeras=6,
        mirrored=True,
    )
    photos = sum(fold_of(name) != 3 for name in names)
    kinds, stored = np.load(work / "kinds.npy"), np.load(work / "crops.npy")
    assert np.bincount(kinds).tolist() == [photos, len(taken) - 1, 6]
    assert len(centres) == photos + len(taken) - 1
    seen, turned, whole = (
        part / np.linalg.norm(part, axis=1, keepdims=True)
        for part in (
            teacher.embed(stored)[0],
            teacher.embed(np.ascontiguousarray(stored[:, :, ::-1]))[0],
            targets,
        )
    )
    both = seen + turned
    both /= np.linalg.norm(both, axis=1, keepdims=True)
    alone = kinds == KINDS.index("chimera")
    assert np.allclose(whole[~alone], both[~alone], atol=1e-4)
    assert np.allclose(whole[alone], seen[alone], atol=1e-4)
    made = [not any(np.array_equal(one, crop) for crop in stored[:-6]) for one in stored[-6:]]
    assert sum(made) >= 3  # now and then a face is put together with itself
