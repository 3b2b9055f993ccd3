"""Thresholds from Python, kept in a fuser's card."""

from __future__ import annotations

import shutil

import pytest

from probefusion.errors import (
    EmbedderMismatchError,
    InvalidInputError,
    MissingNormsError,
    OutputExistsError,
)
from probefusion.evaluation.drawn_people import draw_crop, write_crops
from probefusion.fusion.folder import read_card
from probefusion.pipeline.calibrate import calibrate
from probefusion.pipeline.evaluate import evaluate
from probefusion.zoo import load_embedder

cv2 = pytest.importorskip("cv2")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """14 drawn people with 4 crops each."""
    folder = tmp_path_factory.mktemp("drawn")
    for person in range(14):
        (folder / f"p{person}").mkdir()
        for number in range(4):
            crop = draw_crop(person, number)[..., ::-1]
            cv2.imwrite(str(folder / f"p{person}" / f"{number}.png"), crop)
    return folder


@pytest.fixture
def fuser(tmp_path):
    """A fuser of the embedder inside the package, without thresholds and calibration."""
    from probefusion.fusion.folder import with_thresholds
    from probefusion.zoo import find_fuser_folder

    folder = tmp_path / "fuser"
    shutil.copytree(find_fuser_folder("exact-fast"), folder)
    with_thresholds(folder, ())
    (folder / "calibration.json").unlink()
    return folder


def test_thresholds_are_stored_and_what_is_open_is_counted(fuser, people) -> None:
    result = calibrate(
        fuser,
        people,
        embedder=load_embedder(num_threads=1),
        folds=(0, 1, 2, 3),
        set_sizes=(1, 2),
        num_sets=2,
    )
    assert [(t.num_images, t.false_match_rate) for t in result.thresholds] == [(1, 0.01), (2, 0.01)]
    assert {t.num_non_mated for t in result.thresholds} == {28 * 13}
    assert read_card(fuser).thresholds == result.thresholds
    assert (1, 1e-3, 28 * 13) in result.unresolved
    assert len(result.unresolved) == 6
    assert result.facts[0]["num_images"] == 1
    with pytest.raises(OutputExistsError, match="--force"):
        calibrate(fuser, people)


@pytest.fixture
def piles(tmp_path):
    """Two piles of 30 faces of different people, and a third that has the name of the first and other faces."""
    folders = [tmp_path / name for name in ("a", "b", "other/a")]
    for number, folder in enumerate(folders):
        folder.mkdir(parents=True)
        for person in range(30):
            crop = draw_crop(30 * number + person, 0)[..., ::-1]
            cv2.imwrite(str(folder / f"{number}_{person}.png"), crop)
    return folders


def test_the_order_of_the_data_means_nothing(piles, tmp_path) -> None:
    written = set()
    for number, order in enumerate(((0, 1, 2), (2, 1, 0), (1, 2, 0))):
        data, *also = (piles[place] for place in order)
        output = tmp_path / f"{number}.json"
        found = calibrate(
            "mean",
            data,
            also=also,
            embedder=load_embedder(num_threads=1),
            output=output,
            sizes=(1,),
            num_poor=5,
            num_threads=1,
            trust_alignment=True,
        )
        assert found.record is not None
        assert found.record.num_people == 90
        written.add(output.read_bytes())
    assert len(written) == 1


def test_too_few_people_leave_the_card_as_it_was(fuser, tmp_path) -> None:
    write_crops(tmp_path / "few", num_crops=3)
    with pytest.raises(InvalidInputError, match=r"12 comparisons, .* the card is kept"):
        calibrate(
            fuser, tmp_path / "few", folds=(0, 1, 2, 3), set_sizes=(1,), num_sets=2, num_threads=1
        )
    assert read_card(fuser).thresholds == ()


def test_another_embedder_is_refused(fuser, people, tiny_embedder) -> None:
    with pytest.raises(EmbedderMismatchError, match="compact_128d"):
        calibrate(fuser, people, embedder=tiny_embedder, folds=(0, 1, 2, 3))


@pytest.fixture
def without_lengths(monkeypatch):
    """The embedder inside the package as if it brought its embeddings to length 1."""
    embedder = load_embedder(num_threads=1)
    monkeypatch.setattr(embedder, "_norms_known", False)
    embed = embedder.embed

    def unit(crops):
        rows, style = embed(crops)
        return rows / (rows**2).sum(axis=1, keepdims=True) ** 0.5, style

    monkeypatch.setattr(embedder, "embed", unit)
    return embedder


def test_lengths_that_are_needed_and_lost_are_told_before_the_work(
    fuser, people, without_lengths
) -> None:
    counted = []
    before = (fuser / "fuser.json").read_bytes()
    with pytest.raises(MissingNormsError, match="all of length 1"):
        calibrate(fuser, people, embedder=without_lengths, on_embed=lambda *n: counted.append(n))
    with pytest.raises(MissingNormsError, match=r"'norm-weighted'.*all of length 1.*mean"):
        evaluate(
            "degraded-folder",
            people,
            fusers=["mean", "norm-weighted"],
            embedder=without_lengths,
            on_embed=lambda *n: counted.append(n),
        )
    assert counted == []
    assert (fuser / "fuser.json").read_bytes() == before


def test_the_mean_alone_is_evaluated_where_lengths_are_lost(people, without_lengths) -> None:
    small = {"folds": (0, 1, 2, 3), "set_sizes": (1, 2), "num_sets": 2, "num_replicates": 100}
    report = evaluate("degraded-folder", people, embedder=without_lengths, **small)
    assert report.evaluated["fusers"] == ["mean@1"]
    assert "norm-weighted was left out" in report.limits[0]
    usual = evaluate("degraded-folder", people, embedder=load_embedder(num_threads=1), **small)
    assert usual.evaluated["fusers"] == ["mean@1", "norm-weighted@1"]
    assert not any("norm-weighted" in limit for limit in usual.limits)
