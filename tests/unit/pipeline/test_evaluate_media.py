"""media-folder from Python: figures to ask for, settings of other protocols, what is refused."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from made_up_people import write_image

from probefusion.errors import (
    ConfigError,
    InvalidInputError,
    MissingNormsError,
    UnknownNameError,
)
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.pipeline.evaluate import evaluate
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_embedder


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """10 people with three images of each of two media, and embeddings beside them; no image is read."""
    root = tmp_path_factory.mktemp("media")
    rng = np.random.default_rng(2)
    names, rows, table = [], [], ["file,face_px"]
    for person in range(10):
        own = rng.standard_normal(12)
        for number in range(6):
            name = f"p{person}/m{number % 2}/{number}.png"
            write_image(root / "data" / name, 90)
            names.append(name)
            rows.append(own + 1.2 * rng.standard_normal(12))
            table.append(f"{name},{20 + 20 * number}")
    (root / "data" / "faces.csv").write_text("\n".join(table) + "\n")
    np.savez(root / "made.npz", embeddings=np.array(rows), names=np.array(names))
    return root


OPTIONS = {"fusers": [MeanFuser(), NormWeightedFuser()], "num_replicates": 100}


@pytest.fixture(scope="module")
def evaluation(folder):
    return evaluate(
        "media-folder",
        folder / "data",
        embeddings=folder / "made.npz",
        faces="faces.csv",
        face_px=["..60", "60.."],
        **OPTIONS,
    )


def test_defaults_are_those_of_the_protocol(evaluation):
    definition = evaluation.evaluated["protocol"]
    assert definition["folds"] == [0, 1, 2, 3]
    assert definition["num_sets"] == 16
    assert definition["set_sizes"] == [1, 2, 4, 8, 16, 32]
    assert evaluation.facts["num_sets"] == 16
    assert evaluation.skipped == ()
    assert evaluation.title == "media-folder, data, made.npz"


def test_figures_by_class_and_number(evaluation):
    result = evaluation.result
    # Six images of two media: no more than three in the other medium, so 2 is the largest measured.
    assert list(evaluation.rank1()) == ["mean", "norm-weighted"]
    assert evaluation.rank1("mean") == result.point("mean", "all", 2).rank1.estimate
    assert evaluation.rank1("mean", num_images=1) == result.point("mean", "all", 1).rank1.estimate
    small = result.point("mean", "..60", "medium")
    assert evaluation.rank1("mean", "medium", size_class="..60") == small.rank1.estimate
    rate = small.verification_intervals[2].estimate
    assert evaluation.tar(1e-2, "mean", num_images="medium", size_class="..60") == rate
    assert list(evaluation.tar(1e-3, size_class="60..")) == ["mean", "norm-weighted"]


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        ({"num_images": 4}, r"num_images: 1, 2, medium was measured of the faces all, got 4"),
        ({"size_class": "..90"}, r"size_class: expected one of all, \.\.60, 60\.\., got '..90'"),
        ({"chunk": 4}, "chunk: belongs to the benchmarks"),
        ({"far": 0.5}, "far: expected one of 0.0001, 0.001, 0.01"),
    ],
)
def test_what_was_not_measured_is_told(evaluation, asked, words):
    with pytest.raises(ConfigError, match=words):
        evaluation.tar(**{"far": 1e-2, **asked})


def test_classes_belong_to_media_folder_alone(evaluation, tmp_path, folder):
    with pytest.raises(UnknownNameError, match="nobody"):
        evaluation.tar(1e-2, "nobody")
    for setting in ({"face_px": ["..60"]}, {"faces": "f.csv"}, {"ignore": ["yaw"]}):
        (name,) = setting
        for protocol in ("degraded-folder", "ijbc"):
            with pytest.raises(ConfigError, match=f"{name}: belongs to media-folder, not to"):
                evaluate(protocol, tmp_path, **setting)
    with pytest.raises(ConfigError, match="mix: belongs to degraded-folder, not to media-folder"):
        evaluate("media-folder", folder / "data", mix="mixed")
    with pytest.raises(ConfigError, match="detector: belongs to the benchmarks, not to media"):
        evaluate("media-folder", folder / "data", detector="yunet_2023mar")
    with pytest.raises(ConfigError, match="face_px: expected a list of classes, got the text"):
        evaluate(
            "media-folder",
            folder / "data",
            embeddings=folder / "made.npz",
            face_px="..60",
            **OPTIONS,
        )


def test_summary_and_report(evaluation, tmp_path):
    pytest.importorskip("matplotlib")
    titles = [table.title for table in evaluation.summary()]
    assert titles == [
        "all faces: TAR at FAR 0.001",
        "all faces: rank 1 among 10",
        "faces ..60 px: TAR at FAR 0.001",
        "faces ..60 px: rank 1 among 10",
        "faces 60.. px: TAR at FAR 0.001",
        "faces 60.. px: rank 1 among 10",
    ]
    first = evaluation.summary()[0]
    assert first.header == ["fuser", "N=1", "N=2", "medium"]
    assert first.rows[-1] == ["probe people", "10", "10", "10"]
    evaluation.save(tmp_path / "report")
    assert (tmp_path / "report" / "report.html").exists()


def test_embeddings_of_other_images_are_refused(folder, tmp_path):
    np.savez(
        tmp_path / "other.npz", embeddings=2 * np.eye(2, 12), names=np.array(["a/b/c", "d/e/f"])
    )
    with pytest.raises(InvalidInputError, match="media-folder has no image 'a/b/c'"):
        evaluate("media-folder", folder / "data", embeddings=tmp_path / "other.npz", **OPTIONS)
    EmbeddingSet(embeddings=np.eye(2, 12)).save(tmp_path / "plain.npz")
    with pytest.raises(InvalidInputError, match="expected names of the images beside them"):
        evaluate("media-folder", folder / "data", embeddings=tmp_path / "plain.npz", **OPTIONS)


def test_a_table_of_columns_to_ignore_needs_a_table(folder):
    with pytest.raises(InvalidInputError, match="ignore: names columns of faces"):
        evaluate("media-folder", folder / "data", ignore=["yaw"])


def test_unit_features_take_the_mean_alone_and_say_so(folder, tmp_path):
    with np.load(folder / "made.npz") as made:
        names, rows = made["names"], made["embeddings"]
    lengths = np.linalg.norm(rows, axis=1)
    unit = rows / lengths[:, None]
    np.savez(tmp_path / "unit.npz", embeddings=unit, names=names)
    np.savez(tmp_path / "kept.npz", embeddings=unit, names=names, norms=lengths)

    def run(file, **settings):
        return evaluate(
            "media-folder",
            folder / "data",
            embeddings=tmp_path / file,
            num_replicates=100,
            **settings,
        )

    usual = run("unit.npz")
    assert usual.result.fusers == ("mean",)
    told = [limit for limit in usual.limits if "norm-weighted was left out" in limit]
    assert len(told) == 1
    assert told[0] in usual.facts["limits"]
    with pytest.raises(MissingNormsError, match=r"unit\.npz.*'norm-weighted'.*60 rows.*mean"):
        run("unit.npz", fusers=["mean", "norm-weighted"])
    named = run("unit.npz", fusers="mean")
    assert not any("norm-weighted" in limit for limit in named.limits)
    kept = run("kept.npz")
    assert kept.result.fusers == ("mean", "norm-weighted")
    assert not any("norm-weighted was left out" in limit for limit in kept.limits)
    assert kept.rank1("mean") == usual.rank1("mean")


class UnitEmbedder:
    """Another embedder's embeddings brought to length 1, as of a network that does so itself."""

    norms_known = False

    def __init__(self, embedder):
        self._embedder = embedder

    def __getattr__(self, name):
        return getattr(self._embedder, name)

    def embed_set(self, *arguments):
        images = self._embedder.embed_set(*arguments)
        unit = images.embeddings / images.norms[:, None]
        return replace(images, embeddings=unit, norms_known=False)


def test_an_embedder_of_unit_embeddings_takes_the_mean_alone(people_folder, tiny_embedder):
    options = {
        "media_from": r"^(?P<medium>[0-9])",
        "set_sizes": (1, 2),
        "num_sets": 2,
        "num_replicates": 100,
        "trust_alignment": True,
    }
    embedder = load_embedder(tiny_embedder)
    usual = evaluate("media-folder", people_folder, embedder=embedder, **options)
    assert usual.result.fusers == ("mean", "norm-weighted")
    assert not any("norm-weighted was left out" in limit for limit in usual.limits)
    unit = UnitEmbedder(embedder)
    alone = evaluate("media-folder", people_folder, embedder=unit, **options)
    assert alone.result.fusers == ("mean",)
    assert sum("norm-weighted was left out" in limit for limit in alone.limits) == 1
    assert alone.rank1("mean") == usual.rank1("mean")
    with pytest.raises(MissingNormsError, match=r"'norm-weighted'.*all of length 1"):
        evaluate("media-folder", people_folder, embedder=unit, fusers="norm-weighted", **options)
