"""Open-set searches over draws, on similarities that were written down by hand."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest
from research.smear.open_searches import (
    SmearPlan,
    compare_rules,
    measure_rules,
    pooled_searches,
)
from research.smear.smear_report import content_of, write_report
from research.smear.smear_sets import SmearSets, SmearSize, draw_halves

from probefusion.errors import ConfigError, InvalidInputError, ShapeError
from probefusion.types import EmbeddingSet

ONE = SmearSize(num_enrolled=1, num_probe=1)


@dataclass(frozen=True)
class WrittenDown:
    """A rule whose similarities are given."""

    name: str
    matrix: np.ndarray

    def similarities(self, images, enrolled, probes):
        assert enrolled.shape == probes.shape == (len(self.matrix), 1)
        return self.matrix


def sets_of(num_people, num_draws=1, enrolled=1, probes=1):
    images = EmbeddingSet(embeddings=np.eye(max(num_people, 2), dtype=np.float32))
    rows = np.tile(np.arange(num_people)[None, :, None], (num_draws, 1, 1))
    return SmearSets(
        people=np.array([f"person-{i:02d}" for i in range(num_people)]),
        images=images,
        enrolled=np.repeat(rows, enrolled, axis=2),
        probes=np.repeat(rows, probes, axis=2),
        source="made",
    )


def test_halves_are_halves_differ_by_draw_and_never_change() -> None:
    for people in (4, 7, 166):
        assert draw_halves(people, 0).sum() == people // 2
    assert draw_halves(40, 3).tolist() == draw_halves(40, 3).tolist()
    assert draw_halves(40, 3).tolist() != draw_halves(40, 4).tolist()


def test_everybody_searches_once_as_mate_and_once_as_stranger_in_each_draw() -> None:
    people = 4
    matrix = 0.1 * np.arange(16).reshape(4, 4)  # probe p finds person g with .4 p + .1 g
    scores = pooled_searches(sets_of(people, num_draws=3), WrittenDown("r", matrix), ONE)
    assert len(scores.mated) == len(scores.non_mated) == 3 * people
    assert np.bincount(scores.mated_people).tolist() == [3] * people
    # In each gallery of two, the mate is found only if it is the later one of the two; a stranger finds the later
    # one of the other half.
    expected_mated, expected_non_mated = [], []
    for draw in range(3):
        first = draw_halves(people, draw)
        for half in (np.flatnonzero(first), np.flatnonzero(~first)):
            later = half.max()
            expected_mated += [0.5 * later, -np.inf]
            expected_non_mated += [
                0.4 * p + 0.1 * later for p in range(people) if p not in half.tolist()
            ]
    assert np.sort(scores.mated) == pytest.approx(np.sort(expected_mated))
    assert np.sort(scores.non_mated) == pytest.approx(np.sort(expected_non_mated))


def test_rate_by_hand_and_the_difference_of_two_rules() -> None:
    # Ten people. Strangers are found at .00 to .09 by ten probes; mates at .05 and .075 to .5: at FPIR .1 one of the
    # ten may pass, so what is above .08 counts.
    people = 10
    strangers = np.repeat(np.arange(10)[:, None] / 100, people, axis=1)
    good, poor = strangers.copy(), strangers.copy()
    np.fill_diagonal(good, [0.5] * 10)
    np.fill_diagonal(poor, [0.5] * 7 + [0.075, 0.05, 0.05])
    plan = SmearPlan(sizes=(ONE,), decision_rate=0.1, reference="good", num_replicates=200)
    points = measure_rules(
        sets_of(people), [WrittenDown("good", good), WrittenDown("poor", poor)], plan
    )
    assert [point.tpir[0].estimate for point in points] == [1.0, 0.7]
    assert [point.rank1 for point in points] == [
        1.0,
        0.8,
    ]  # .075 is above row 7's strangers, .05 is not
    assert points[0].tpir[1].resolved is False  # FPIR .01 of ten searches
    assert 0.08 < points[1].thresholds[0] < 0.0801
    (difference,) = compare_rules(points, plan)
    assert (difference.rule, difference.size) == ("poor", ONE)
    assert difference.paired.difference == pytest.approx(0.3)
    assert difference.adjusted_p_value == difference.paired.p_value  # a family of one


def test_a_wrong_person_at_the_top_is_no_hit() -> None:
    people = 8
    matrix = np.full((people, people), 0.1)
    np.fill_diagonal(matrix, 0.9)
    matrix[:, 0] = np.where(
        np.arange(people) < 4, 0.95, 0.1
    )  # 0..3 find person 0 first, where enrolled
    scores = pooled_searches(sets_of(people), WrittenDown("r", matrix), ONE)
    half = draw_halves(people, 0)
    with_zero = half if half[0] else ~half
    wrong = sum(with_zero[p] for p in (1, 2, 3))
    assert np.count_nonzero(scores.mated == -np.inf) == wrong


def test_reports_hold_every_figure_and_say_what_is_not_resolved(tmp_path) -> None:
    people = 12
    matrix = np.eye(people) + 0.01 * np.arange(people)[:, None]
    rules = [WrittenDown("exact", matrix), WrittenDown("mean", matrix)]
    sets = sets_of(people)
    plan = SmearPlan(sizes=(ONE,), num_replicates=100)
    points = measure_rules(sets, rules, plan)
    part = content_of(sets, points, compare_rules(points, plan), plan, {"fusers": {}})
    text = write_report(tmp_path / "report", [part])
    assert (tmp_path / "report" / "report.json").exists()
    assert (tmp_path / "report" / "report.md").read_text() == text
    assert "| exact | 1.000 (1.000, 1.000) |" in text
    assert "Rank 1" in text
    assert part["tpir"][0]["rank1"] == 1.0
    assert text.count("not resolved") == 3  # two rules at FPIR .01 and their difference
    assert part["num_mated"] == part["num_non_mated"] == people


def test_sizes_and_sets_are_checked() -> None:
    assert SmearSize.parse("16/4") == SmearSize(num_enrolled=16, num_probe=4)
    for wrong in ("8", "8/", "a/1", "0/1", "8/-1"):
        with pytest.raises(ConfigError, match="size: expected"):
            SmearSize.parse(wrong)
    sets = sets_of(5, enrolled=2)
    assert sets.rows_of(0, ONE)[0].shape == (5, 1)
    with pytest.raises(ConfigError, match="at most 2/1"):
        sets.rows_of(0, SmearSize(num_enrolled=3, num_probe=1))
    with pytest.raises(InvalidInputError, match="at least four"):
        sets_of(3)
    with pytest.raises(ShapeError, match="probes: expected"):
        SmearSets(
            people=sets.people,
            images=sets.images,
            enrolled=sets.enrolled,
            probes=sets.probes[:, :4],
            source="made",
        )
    with pytest.raises(InvalidInputError, match="rows from 0 to 4"):
        SmearSets(
            people=sets.people,
            images=sets.images,
            enrolled=sets.enrolled + 3,
            probes=sets.probes,
            source="made",
        )
