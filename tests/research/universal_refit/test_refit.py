"""The refit on made films: choices of halves, bounds, and what the report says of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("cv2")

import cv2
from research.real_faces.film_scores import Column, FilmScores
from research.universal_refit.bounds import BOUNDS, bound_scores, predicted, usefulness
from research.universal_refit.fit import Accuracy, crossed, fitted, rates
from research.universal_refit.material import FilmSets
from research.universal_refit.pages import verdict
from research.universal_refit.rules import Images, Rule

from probefusion.evaluation.media_results import MEDIUM
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser

COLUMNS: tuple[Column, ...] = (("all", 2), ("all", 4), ("all", MEDIUM))


class Made:
    """A person's grey, noisier the poorer an image is; its quality is known exactly."""

    own_fingerprint = fingerprint = "made@1"

    def embed_set(self, crops: np.ndarray, *more: object) -> EmbeddingSet:
        directions = np.random.default_rng(0).standard_normal((256, 64))
        rows = []
        for crop in crops:
            person, poor, seed = (int(value) for value in crop[0, 0])
            noise = np.random.default_rng(seed).standard_normal(64)
            rows.append(directions[person] + poor / 40 * noise)
        return EmbeddingSet(
            embeddings=np.array(rows, np.float32),
            quality=-crops[:, 0, 0, 1].astype(np.float32) / 40,
            embedder=self.fingerprint,
        )


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> FilmSets:
    folder: Path = tmp_path_factory.mktemp("films")
    rng = np.random.default_rng(1)
    table = ["file,face_px,detector_score,yaw"]
    for person in range(12):
        (folder / f"P{person:02}").mkdir()
        for film in range(3):
            for image in range(4):
                crop = np.zeros((112, 112, 3), np.uint8)
                poor = rng.choice([10, 110])
                crop[...] = (12 * film + 48 * image + person, poor, person)  # stored BGR
                name = f"P{person:02}/f{film}__{image}.png"
                assert cv2.imwrite(str(folder / name), crop)
                table.append(f"{name},{50 + image},.9,0")
    (folder / "faces.csv").write_text("\n".join(table) + "\n")
    return FilmSets(folder, Made(), size_classes=())  # type: ignore[arg-type]


def test_scores_of_the_defaults_are_those_of_universal(films: FilmSets) -> None:
    known = films.scores(load_fuser("universal", embedder="made@1", num_threads=1), COLUMNS)
    found = films.rule_scores(Rule(), COLUMNS)
    for column in COLUMNS:
        for mine, theirs in zip(
            found[column].similarities, known[column].similarities, strict=True
        ):
            assert np.abs(mine - theirs).max() < 1e-6
    assert films.embedder_name == "made"
    assert films.log_widths.min() == pytest.approx(np.log(50))


def test_weights_by_quality_are_found_by_both_halves(films: FilmSets) -> None:
    half = np.arange(12) < 6
    accuracy = Accuracy({"made": films}, COLUMNS, {"first": half, "second": ~half})
    grids = {"power": (0.0, 1.0)}
    for part in ("first", "second"):
        plain = accuracy.of(Rule(power=0), part, ["made"])
        assert accuracy.of(Rule(), part, ["made"]) > plain
        assert fitted(lambda rule, part=part: accuracy.of(rule, part, ["made"]), grids) == Rule()


def test_a_change_must_be_worth_the_margin() -> None:
    def accuracy(rule: Rule) -> float:
        return -((rule.power - 0.7) ** 2) - 0.001 * (rule.ceiling - 2) ** 2

    grids = {"power": (0.5, 0.7, 1.0), "ceiling": (1.0, 2.0, 4.0), "share_by_size": (9.0,)}
    assert fitted(accuracy, grids, margin=1e-4) == Rule(power=0.7, ceiling=2.0)
    assert fitted(accuracy, grids, margin=0.01) == Rule(power=0.7)
    assert fitted(accuracy, grids, margin=0.5) == Rule()


def test_each_half_is_judged_with_the_rule_of_the_other(films: FilmSets) -> None:
    half = np.arange(12) < 5
    rules = (Rule(power=0), Rule(power=2))
    found = crossed(films, COLUMNS, half, rules)[COLUMNS[0]]
    own = [films.rule_scores(rule, COLUMNS)[COLUMNS[0]] for rule in rules]
    for place, people in enumerate(found.people):
        for row, person in enumerate(people.tolist()):
            source = own[1] if half[person] else own[0]
            here = np.flatnonzero(source.people[place] == person)
            assert np.array_equal(
                found.similarities[place][row], source.similarities[place][here[0]]
            )


def test_rates_of_some_people() -> None:
    """Half of the first forty are found; the last one would be everybody's rival and is not among them."""
    similarities = np.full((41, 41), 0.1, np.float32)
    similarities[np.arange(20), np.arange(20)] = 0.9
    similarities[:40, 40] = 0.95
    scores = FilmScores(similarities=(similarities,), people=(np.arange(41),))
    assert rates(scores, np.arange(41) < 40) == pytest.approx([0.5, 0.5, 0.5])
    assert rates(scores, np.ones(41, bool))[2] == pytest.approx(0)


def test_usefulness_is_likeness_to_the_other_films() -> None:
    units = np.eye(3)[[0, 0, 1, 2, 2]]
    images = Images.of(units, np.zeros(5))
    found = usefulness(images, ["a"] * 4 + ["b"], ["x", "y", "y", "y", "x"])
    assert found[[0, 1, 2]] == pytest.approx([1 / np.sqrt(3), 1, 0])
    assert found[4] == pytest.approx(1)  # one film alone: that film


def test_predictions_come_from_the_other_half() -> None:
    rng = np.random.default_rng(0)
    features = rng.standard_normal((200, 3))
    target = features @ [1.0, -2.0, 0.5] + 4
    first = np.arange(200) < 90
    found = predicted(features, target, first, ridge=1e-6)
    assert np.abs(found - target).max() < 0.01
    lied = predicted(features, np.where(first, -target, target), first, ridge=1e-6)
    assert np.array_equal(lied[first], found[first])
    assert not np.allclose(lied[~first], found[~first])


def test_knowing_the_answer_helps(films: FilmSets) -> None:
    everybody = np.ones(12, bool)
    useful = {
        name: usefulness(films.images, films.owners, films.media) for name in ("made", "other")
    }
    plain = films.rule_scores(Rule(power=0), COLUMNS)
    for name in BOUNDS:
        found = bound_scores(name, films, useful, "made", COLUMNS)
        for column in COLUMNS:
            assert rates(found[column], everybody)[2] >= rates(plain[column], everybody)[2], name


def test_the_verdict_counts_cells() -> None:
    facts = {
        "columns": ["all, 2", "..60, 2"],
        "tables": {
            "universal": {"made": {"all, 2": [0.5, 0.6, 0.7]}},
            "refitted": {"made": {"all, 2": [0.52, 0.6, 0.69]}},
        },
        "bounds": {},
    }
    text = verdict(facts, "refitted")
    assert "made +0.0033, 1 of 3 cells at +.01 or more, 1 at -.005 or less (lowest -0.010)" in text
