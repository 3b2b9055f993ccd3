"""Embeddings made before, on a benchmark, from Python."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from small_ijb import write_small_ijb

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    InvalidInputError,
    MissingNormsError,
    MissingStyleError,
    ShapeError,
    UnknownNameError,
)
from probefusion.fusion import MeanFuser
from probefusion.pipeline.evaluate import evaluate
from probefusion.types import EmbeddingSet


@pytest.fixture
def ijb(tmp_path):
    """The folder of a small IJB-C and the embeddings of its 60 images."""
    root = tmp_path / "IJBC"
    return root, write_small_ijb(root)


def counts(way) -> list[tuple[int | None, int | None]]:
    """True and false accepts at each rate; None where it is not resolved."""
    return [(rate.num_true_accepts, rate.num_false_accepts) for rate in way.verification]


def test_rows_in_the_order_of_the_list(tmp_path, ijb) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    root, rows = ijb
    np.save(tmp_path / "feats.npy", rows)
    report = evaluate(
        "ijbc",
        root,
        fusers=["mean", "norm-weighted"],
        embeddings=tmp_path / "feats.npy",
        chunks=[2],
    )
    rates = report.tar(far=1e-1)
    assert list(rates) == [
        "media-mean-then-sum",
        "media-mean-then-sum, detector scores",
        "mean",
        "mean, 2 at a time",
        "norm-weighted",
        "norm-weighted, 2 at a time",
    ]
    # The mean of unit embeddings, template by template, scored in a plain loop.
    units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    gallery = np.array([units[5 * k : 5 * k + 2].mean(axis=0) for k in range(12)])
    probes = np.array([units[5 * k + 2 : 5 * k + 5].mean(axis=0) for k in range(12)])
    for templates in (gallery, probes):
        templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    scores = gallery @ probes.T
    others = np.sort(scores[~np.eye(12, dtype=bool)])[::-1]
    limit = others[13]  # floor(.1 x 132) = 13 false accepts
    assert rates["mean"] == np.mean(np.diag(scores) > limit)
    assert report.tar(1e-1, "mean") == rates["mean"]
    assert report.tar(1e-1, "mean", chunk=2) == rates["mean, 2 at a time"]
    assert math.isnan(report.tar(1e-6, "mean"))
    assert report.rank1("mean") == 1.0
    whole, rate = report.limits[:2]
    assert "nothing was checked. It holds 60 images, 24 templates" in whole
    assert "1e-06" in rate
    assert "132 comparisons" in rate
    report.save(tmp_path / "out")
    facts = json.loads((tmp_path / "out" / "report.json").read_text(), parse_constant=pytest.fail)
    assert facts["limits"] == list(report.limits)
    assert facts["evaluated"]["embeddings"] == "feats.npy"
    assert "132 comparisons" in (tmp_path / "out" / "report.html").read_text()
    assert "132 comparisons" in (tmp_path / "out" / "report.md").read_text()


def test_named_rows_may_come_in_any_order(tmp_path, ijb) -> None:
    root, rows = ijb
    np.save(tmp_path / "feats.npy", rows)
    expected = evaluate("ijbc", root, fusers="mean", embeddings=tmp_path / "feats.npy")
    order = np.random.default_rng(0).permutation(60)
    names = np.array([f"/data/IJBC/loose_crop/{k + 1}.jpg" for k in order])
    np.savez(tmp_path / "named.npz", names=names, embeddings=rows[order])
    found = evaluate("ijbc", root, fusers="mean", embeddings=tmp_path / "named.npz")
    EmbeddingSet(embeddings=rows[order], sources=names).save(tmp_path / "set.npz")
    again = evaluate("ijbc", root, fusers="mean", embeddings=tmp_path / "set.npz")
    for way, other, third in zip(expected.result, found.result, again.result, strict=True):
        assert counts(way) == counts(other) == counts(third)


def test_missing_and_zero_rows_are_failures_to_acquire(tmp_path, ijb) -> None:
    root, rows = ijb
    rows[[0, 1]] = 0  # both images of the first gallery template
    np.save(tmp_path / "feats.npy", rows)
    report = evaluate("ijbc", root, fusers="mean", embeddings=tmp_path / "feats.npy")
    assert [image.source for image in report.skipped] == ["1.jpg", "2.jpg"]
    assert report.result[-1].num_failures == 1
    names = np.array([f"{k + 1}.jpg" for k in range(2, 60)])
    np.savez(tmp_path / "named.npz", names=names, embeddings=rows[2:])
    again = evaluate("ijbc", root, fusers="mean", embeddings=tmp_path / "named.npz")
    assert counts(again.result[-1]) == counts(report.result[-1])
    assert again.skipped[0].reason == "no embedding in named.npz"


def test_lengths_that_were_kept_apart_are_given_back(tmp_path, ijb) -> None:
    root, rows = ijb
    lengths = np.linalg.norm(rows, axis=1)
    np.save(tmp_path / "raw.npy", rows)
    np.savez(tmp_path / "unit.npz", embeddings=rows / lengths[:, None], norms=lengths)
    np.save(tmp_path / "unit.npy", rows / lengths[:, None])
    raw = evaluate("ijbc", root, fusers="norm-weighted", embeddings=tmp_path / "raw.npy")
    unit = evaluate("ijbc", root, fusers="norm-weighted", embeddings=tmp_path / "unit.npz")
    thresholds = [
        [rate.threshold for rate in report.result[-1].verification if rate.resolved]
        for report in (raw, unit)
    ]
    assert thresholds[0] == pytest.approx(thresholds[1], abs=1e-6)


def test_unit_features_have_nothing_to_weigh_by(tmp_path, ijb) -> None:
    root, rows = ijb
    lengths = np.linalg.norm(rows, axis=1)
    np.save(tmp_path / "raw.npy", rows)
    np.save(tmp_path / "unit.npy", rows / lengths[:, None])
    np.savez(tmp_path / "unit.npz", embeddings=rows / lengths[:, None], norms=lengths)
    named = {"fusers": ["mean", "norm-weighted"]}
    with pytest.raises(MissingNormsError, match=r"unit\.npy.*'norm-weighted'.*60 rows.*mean"):
        evaluate("ijbc", root, embeddings=tmp_path / "unit.npy", **named)
    usual = evaluate("ijbc", root, embeddings=tmp_path / "unit.npy")
    assert usual.result[-1].fuser == "mean"
    assert "norm-weighted" not in {way.fuser for way in usual.result}
    told = [limit for limit in usual.limits if "norm-weighted was left out" in limit]
    assert len(told) == 1
    assert told[0] in usual.facts["limits"]
    for kept in ("raw.npy", "unit.npz"):
        report = evaluate("ijbc", root, embeddings=tmp_path / kept)
        assert [way.fuser for way in report.result][-2:] == ["mean", "norm-weighted"]
        assert not any("norm-weighted" in limit for limit in report.limits)


def test_flipped_halves_are_added(tmp_path, ijb) -> None:
    root, rows = ijb
    other = np.random.default_rng(1).standard_normal(rows.shape).astype(np.float32)
    np.save(tmp_path / "both.npy", np.concatenate([rows, other], axis=1))
    np.save(tmp_path / "sum.npy", rows + other)
    both = evaluate("ijbc", root, fusers="mean", embeddings=tmp_path / "both.npy", flipped=True)
    added = evaluate("ijbc", root, fusers="mean", embeddings=tmp_path / "sum.npy")
    assert counts(both.result[-1]) == counts(added.result[-1])


def test_embeddings_that_do_not_fit_are_refused(tmp_path, ijb, fuser_folders) -> None:
    root, rows = ijb
    np.save(tmp_path / "feats.npy", rows)
    np.save(tmp_path / "short.npy", rows[:-1])
    np.save(tmp_path / "double.npy", np.concatenate([rows, rows], axis=1))
    np.savez(tmp_path / "strange.npz", names=[f"x{k}.jpg" for k in range(60)], embeddings=rows)
    np.savez(tmp_path / "twice.npz", names=["1.jpg", "1.jpg"], embeddings=rows[:2])

    def run(name, **settings):
        return evaluate("ijbc", root, embeddings=tmp_path / name, **{"fusers": "mean", **settings})

    with pytest.raises(ShapeError, match=r"60 images.*ijbc_name_5pts_score.txt, got 59"):
        run("short.npy")
    with pytest.raises(InvalidInputError, match=r"no image 'x0.jpg' \(60 such of 60\).*'1.jpg'"):
        run("strange.npz")
    with pytest.raises(InvalidInputError, match=r"'1\.jpg' 2 times"):
        run("twice.npz")
    with pytest.raises(MissingStyleError, match=r"style \(R, C, 2\) in an \.npz"):
        run("feats.npy", fusers=fuser_folders["exact"], embedder="net@1")
    with pytest.raises(EmbedderMismatchError, match="nothing says which network made them"):
        run("feats.npy", fusers=fuser_folders["exact"])
    with pytest.raises(ShapeError, match="--flipped"):
        run("double.npy", fusers=fuser_folders["exact"])
    with pytest.raises(EmbedderMismatchError, match="other@123456789abc"):
        run("feats.npy", fusers=fuser_folders["exact"], embedder="other@123456789abc")
    with pytest.raises(ConfigError, match="fingerprint"):
        run("feats.npy", embedder="nonsense")
    with pytest.raises(ConfigError, match="chunks"):
        run("feats.npy", chunks=[0])


def test_style_in_an_npz_serves_fusers_that_need_it(tmp_path, ijb, fuser_folders) -> None:
    root, rows = ijb
    style = np.random.default_rng(2).standard_normal((60, 6, 2)).astype(np.float32)
    np.savez(tmp_path / "styled.npz", embeddings=rows, style=style, embedder="net@1")
    report = evaluate(
        "ijbc", root, fusers=["mean", fuser_folders["exact"]], embeddings=tmp_path / "styled.npz"
    )
    assert "exact.test-random.r1" in report.tar(1e-1)
    assert report.tar(1e-1, "exact") == report.tar(1e-1)["exact.test-random.r1"]
    assert report.evaluated["embedder"] == "net@1"


def test_settings_that_mean_nothing_are_refused(tmp_path, ijb) -> None:
    root, rows = ijb
    np.save(tmp_path / "feats.npy", rows)
    with pytest.raises(ConfigError, match="cannot exist before"):
        evaluate("degraded-folder", root, embeddings=tmp_path / "feats.npy")
    with pytest.raises(ConfigError, match="flipped"):
        evaluate("ijbc", root, flipped=True)
    with pytest.raises(UnknownNameError, match="did you mean 'ijbc'"):
        evaluate("ijbcc", root)
    report = evaluate("ijbc", root, fusers=[MeanFuser()], embeddings=tmp_path / "feats.npy")
    with pytest.raises(ConfigError, match="1e-06, 1e-05"):
        report.tar(far=0.5)
    with pytest.raises(UnknownNameError, match="nobody"):
        report.tar(1e-1, "nobody")
    with pytest.raises(ConfigError, match="num_images"):
        report.tar(1e-1, num_images=4)


@pytest.mark.parametrize(
    "setting",
    [
        {"mix": "clean"},
        {"folds": [0, 1]},
        {"set_sizes": (1,)},
        {"num_sets": 2},
        {"seed": 1},
        {"num_replicates": 100},
    ],
)
def test_settings_of_the_other_protocol_are_refused(tmp_path, setting) -> None:
    (name,) = setting
    with pytest.raises(ConfigError, match=f"{name}: belongs to degraded-folder"):
        evaluate("ijbc", tmp_path, **setting)


def test_a_detector_has_nothing_to_find_in_embeddings(tmp_path) -> None:
    with pytest.raises(ConfigError, match="no image is read"):
        evaluate("tinyface", tmp_path, embeddings=tmp_path / "e.npy", detector=tmp_path / "d.onnx")


def test_the_device_reaches_the_fusers(tmp_path, ijb, fuser_folders) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("cuda can be used here")
    root, rows = ijb
    np.save(tmp_path / "feats.npy", rows)
    with pytest.raises(ConfigError, match="device: 'cuda'"):
        evaluate(
            "ijbc",
            root,
            fusers=[fuser_folders["exact"]],
            embeddings=tmp_path / "feats.npy",
            device="cuda",
        )


def test_a_detector_belongs_to_the_benchmarks(tmp_path) -> None:
    with pytest.raises(ConfigError, match="detector: belongs to the benchmarks"):
        evaluate("degraded-folder", tmp_path, detector="yunet_2023mar")
