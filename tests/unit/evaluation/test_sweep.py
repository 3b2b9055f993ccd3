from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import FileFormatError, InvalidInputError, ShapeError
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.sweep import calibrate, sweep
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.types import EmbeddingSet


@pytest.fixture
def data(rng) -> ProbeData:
    """40 people, 8 of them with one probe set of 8 images; noise grows as the norm falls from 1.2."""
    people = rng.standard_normal((40, 32))
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    severities = rng.uniform(0, 1, (8, 8))
    noise = rng.standard_normal((8, 8, 32)) * severities[..., None] * 0.6
    probes = (people[:8, None] + noise) * (1.2 - severities)[..., None]
    names = np.array([f"p{k:02d}" for k in range(40)])
    return ProbeData(
        gallery=EmbeddingSet(embeddings=people * 1.2, style=np.zeros((40, 3, 2)), embedder="e@1"),
        gallery_subjects=names,
        probes=EmbeddingSet(
            embeddings=probes.reshape(64, 32), style=np.ones((64, 3, 2)), embedder="e@1"
        ),
        probe_subjects=names[:8],
        severities=severities.astype(np.float32),
        protocol="made up",
    )


def test_probe_sets_are_prefixes_or_blocks(data) -> None:
    images, subjects = data.probe_sets(3)
    assert subjects.tolist() == data.probe_subjects.tolist()
    assert np.array_equal(images.embeddings[:3], data.probes.embeddings[:3])
    assert np.array_equal(images.embeddings[3:6], data.probes.embeddings[8:11])
    images, subjects = data.probe_sets(3, max_blocks=4)
    assert len(subjects) == 16
    assert np.array_equal(images.embeddings[3:6], data.probes.embeddings[3:6])
    with pytest.raises(InvalidInputError, match="1 to 8"):
        data.probe_sets(9)


def test_sweep_agrees_with_a_plain_loop(data) -> None:
    point = sweep(data, [MeanFuser()], set_sizes=(4,), false_accept_rates=(0.01,))[0]
    units = data.probes.embeddings / data.probes.norms[:, None]
    gallery = data.gallery.embeddings / data.gallery.norms[:, None]
    mated, non_mated, hits = [], [], 0
    for index, name in enumerate(data.probe_subjects):
        mean = units[8 * index : 8 * index + 4].mean(axis=0)
        scores = gallery @ (mean / np.linalg.norm(mean))
        own = int(np.flatnonzero(data.gallery_subjects == name)[0])
        hits += int(np.argmax(scores) == own)
        mated.append(scores[own])
        non_mated += np.delete(scores, own).tolist()
    budget = int(0.01 * len(non_mated))
    limit = sorted(non_mated)[-budget - 1]
    assert point.verification[0].num_non_mated == len(non_mated) == 8 * 39
    assert point.verification[0].tar == np.mean(np.array(mated) > limit)
    assert point.rank1 == hits / 8


def test_larger_sets_are_easier(data) -> None:
    points = sweep(data, [MeanFuser(), NormWeightedFuser()], set_sizes=(1, 8), max_blocks=8)
    at = {(point.fuser, point.num_images): point.rank1 for point in points}
    assert at["mean", 8] > at["mean", 1]
    assert at["mean", 1] == at["norm-weighted", 1]


def test_calibration_keeps_the_rate(data) -> None:
    thresholds = calibrate(
        data, MeanFuser(), set_sizes=(2, 8), false_match_rates=(0.05, 1e-6), source="test"
    )
    assert [t.num_images for t in thresholds] == [2, 8]  # 1e-6 cannot be resolved
    images, subjects = data.probe_sets(2)
    templates = MeanFuser().fuse_many(images, np.arange(0, 17, 2))
    gallery = MeanFuser().fuse_many(data.gallery, np.arange(41))
    scores = (templates @ gallery.T)[subjects[:, None] != data.gallery_subjects]
    assert 0.03 < (scores >= thresholds[0].similarity).mean() <= 0.05


def test_survives_saving_in_half_precision(tmp_path, data) -> None:
    data.save(tmp_path / "data.npz")
    again = ProbeData.load(tmp_path / "data.npz")
    assert np.allclose(again.probes.embeddings, data.probes.embeddings, rtol=1e-3, atol=1e-3)
    assert again.probes.embedder == "e@1"
    assert again.probe_subjects.tolist() == data.probe_subjects.tolist()
    assert again.protocol == "made up"
    np.savez(tmp_path / "other.npz", a=1)
    with pytest.raises(FileFormatError, match="gallery_embeddings"):
        ProbeData.load(tmp_path / "other.npz")


def test_inconsistent_data_is_refused(data) -> None:
    from dataclasses import replace

    with pytest.raises(ShapeError, match="gallery_subjects"):
        replace(data, gallery_subjects=data.gallery_subjects[:-1])
    with pytest.raises(ShapeError, match="severities"):
        replace(data, severities=data.severities[:, :-1])
    with pytest.raises(InvalidInputError, match="duplicates"):
        replace(data, gallery_subjects=np.array(["p00"] * 40))
    with pytest.raises(InvalidInputError, match="nobody"):
        replace(data, probe_subjects=np.array(["nobody"] * 8))
