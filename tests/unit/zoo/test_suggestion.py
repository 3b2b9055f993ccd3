from __future__ import annotations

import shutil

import numpy as np
import pytest

from probefusion.types import EmbeddingSet
from probefusion.zoo import fuser_folders as room
from probefusion.zoo import has_fuser_for, load_fuser, suggest_fuser, trained_fusers


@pytest.fixture(scope="module")
def card():
    return load_fuser("exact.mobilefacenet_128d-lfw112.r3").card


def images(card, *, length: float = 20.0, **columns) -> EmbeddingSet:
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((4, card.dim))
    rows *= length / np.linalg.norm(rows, axis=1, keepdims=True)
    return EmbeddingSet(embeddings=rows, **columns)


def test_the_fuser_that_sees_most_of_what_is_there_is_taken(card) -> None:
    rng = np.random.default_rng(1)
    style = rng.random((4, card.style_channels, 2))
    known = {"embedder": card.embedder}
    cases = {
        "exact": images(card, style=style, **known),
        "exact-embedding": images(card, **known),
        "exact-unit": images(card, length=1.0, **known),
    }
    for architecture, given in cases.items():
        name = suggest_fuser(given)
        assert name.split(".")[0] == architecture
        assert np.linalg.norm(load_fuser(name).fuse(given).vector) == pytest.approx(1, abs=1e-5)


def test_without_a_known_embedder_crops_decide(card) -> None:
    assert suggest_fuser(images(card)) == "mean"
    assert suggest_fuser(images(card, embedder="other@1")) == "mean"
    assert suggest_fuser(images(card, quality=np.zeros(4))) == "universal"


def test_fusers_of_several_embedders_lie_side_by_side(
    card, fuser_folders, make_set, tmp_path, monkeypatch
) -> None:
    weights = tmp_path / "weights"
    for folder in trained_fusers().values():
        shutil.copytree(folder, weights / folder.name, dirs_exist_ok=True)
    shutil.copytree(fuser_folders["exact"], weights / "exact.test-random.r1")
    monkeypatch.setattr(room, "bundled_folder", lambda: weights)
    monkeypatch.delenv("PROBEFUSION_FUSERS")
    assert suggest_fuser(make_set(embedder="net@1")) == "exact.test-random.r1"
    style = np.random.default_rng(1).random((4, card.style_channels, 2))
    assert suggest_fuser(images(card, style=style, embedder=card.embedder)) == card.name
    assert suggest_fuser(make_set(embedder="net@2")) == "mean"


def test_an_architecture_alone_means_the_fuser_of_the_embedder(
    card, fuser_folders, tmp_path, monkeypatch
) -> None:
    weights = tmp_path / "weights"
    for name in ("exact.a_net-lfw.r1", "exact.a_net-lfw.r2", "exact.z_net-lfw.r1"):
        shutil.copytree(fuser_folders["exact"], weights / name)
    shutil.copytree(trained_fusers(card.embedder)["exact"], weights / "exact.mobile-lfw.r1")
    monkeypatch.setattr(room, "bundled_folder", lambda: weights)
    monkeypatch.delenv("PROBEFUSION_FUSERS")
    assert trained_fusers()["exact"].name == "exact.a_net-lfw.r2"
    assert trained_fusers(card.embedder)["exact"].name == "exact.mobile-lfw.r1"
    assert trained_fusers("other@1")["exact"].name == "exact.a_net-lfw.r2"
    assert load_fuser("exact", embedder=card.embedder).embedder == card.embedder


@pytest.mark.parametrize("network", ["compact_128d", "mobilefacenet_128d"])
def test_both_sizes_are_bundled_for_both_embedders(network) -> None:
    name = next(name for name in trained_fusers() if name.startswith(f"exact.{network}-"))
    embedder = load_fuser(name).embedder
    for short, kind in (
        ("exact", "exact"),
        ("exact-fast", "exact-fast"),
        ("exact-embedding", "exact"),
    ):
        fuser = load_fuser(short, embedder=embedder)
        assert fuser.name.startswith(f"{short}.{network}-")
        assert fuser.card.architecture == kind
        assert fuser.embedder == embedder


def test_without_an_embedder_the_one_inside_is_meant() -> None:
    for short in ("exact", "exact-fast", "exact-embedding"):
        assert load_fuser(short).name.startswith(f"{short}.compact_128d-")


def test_only_a_fuser_that_may_be_suggested_spares_judging_the_crops(
    fuser_folders, make_set, tmp_path, monkeypatch
) -> None:
    """Where "official" alone is here, crops must be judged: it is never suggested."""
    monkeypatch.setattr(room, "bundled_folder", lambda: tmp_path)
    monkeypatch.delenv("PROBEFUSION_FUSERS")
    shutil.copytree(fuser_folders["official"], tmp_path / "official.test-random.r1")
    assert suggest_fuser(make_set(embedder="net@1")) == "mean"
    assert not has_fuser_for("net@1")
    shutil.copytree(fuser_folders["exact"], tmp_path / "exact.test-random.r1")
    assert has_fuser_for("net@1")
    assert not has_fuser_for("net@2")
