import numpy as np
import pytest

from probefusion.errors import (
    DtypeError,
    EmptySetError,
    InvalidInputError,
    MismatchError,
    NonFiniteError,
    ShapeError,
)
from probefusion.metrics import ComparisonScores, largest_scores, split_by_subject


def scores_of(mated, mated_subjects, non_mated=(0.1,), non_mated_subjects=("a",)):
    return ComparisonScores.from_subjects(
        mated,
        list(non_mated),
        mated_subjects=mated_subjects,
        non_mated_subjects=list(non_mated_subjects),
    )


def test_both_sides_get_one_precision():
    scores = ComparisonScores.from_subjects(
        np.array([0.1], dtype=np.float32), [0.1], mated_subjects=[1], non_mated_subjects=[2]
    )
    assert scores.mated.dtype == scores.non_mated.dtype == np.float64
    assert scores.num_people == 2


def test_scores_cannot_be_changed():
    scores = scores_of([0.5], ["a"])
    with pytest.raises(ValueError, match="read-only"):
        scores.mated[0] = 1
    with pytest.raises(AttributeError):
        scores.mated = np.zeros(1)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"mated": []}, EmptySetError, "mated is empty"),
        ({"non_mated": []}, EmptySetError, "non_mated is empty"),
        ({"non_mated": [np.nan, 0.1]}, NonFiniteError, "non_mated: .* position 0"),
        ({"people": [2, 1]}, InvalidInputError, "ascending order"),
        ({"people": [1, 1]}, InvalidInputError, "ascending order"),
        ({"mated_people": [2]}, InvalidInputError, "mated_people: expected positions from 0 to 1"),
        ({"mated_people": [-1]}, InvalidInputError, "mated_people: expected positions"),
        ({"mated_people": ["a"]}, DtypeError, "mated_people: expected integer positions, got <U1"),
        ({"non_mated_people": [0]}, ShapeError, "non_mated_people: expected shape"),
    ],
)
def test_scores_that_do_not_fit_are_refused(change, error, message):
    fields = {
        "people": [1, 2],
        "mated": [0.5],
        "mated_people": [0],
        "non_mated": [0.1, 0.2],
        "non_mated_people": [0, 1],
    }
    ComparisonScores(**fields)
    with pytest.raises(error, match=message):
        ComparisonScores(**{**fields, **change})


def test_concatenating_renumbers_people():
    first = scores_of([0.5], ["b"], [0.1], ["b"])
    second = scores_of([0.6, 0.7], ["a", "b"], [0.2], ["c"])
    both = ComparisonScores.concatenate([first, second])
    assert both.people.tolist() == ["a", "b", "c"]
    assert both.people[both.mated_people].tolist() == ["b", "a", "b"]
    assert both.people[both.non_mated_people].tolist() == ["b", "c"]
    assert both.mated.tolist() == [0.5, 0.6, 0.7]
    assert both.non_mated.tolist() == [0.1, 0.2]


def test_concatenating_nothing_or_other_ids_is_refused():
    with pytest.raises(EmptySetError, match="parts is empty"):
        ComparisonScores.concatenate([])
    texts = scores_of([0.5], ["1"])
    integers = scores_of([0.5], [1], non_mated_subjects=[1])
    with pytest.raises(DtypeError, match="part 0 texts, part 1 integers"):
        ComparisonScores.concatenate([texts, integers])


def test_pairing_needs_the_same_people_and_comparisons():
    scores = scores_of([0.5, 0.6], ["a", "b"])
    scores.check_paired(scores_of([0.9, 0.1], ["b", "a"]))
    with pytest.raises(MismatchError, match="same probe people"):
        scores.check_paired(scores_of([0.5, 0.6], ["a", "c"]))
    with pytest.raises(MismatchError, match="got 1 and 2 mated ones of person b"):
        scores.check_paired(scores_of([0.5, 0.6, 0.7], ["a", "b", "b"]))
    with pytest.raises(MismatchError, match="got 1 and 2 non_mated ones of person a"):
        scores.check_paired(scores_of([0.5, 0.6], ["a", "b"], [0.1, 0.1], ["a", "a"]))


def test_splitting_a_matrix_by_hand():
    similarities = [[0.9, 0.8, 0.1], [0.2, 0.3, -np.inf]]
    scores = split_by_subject(similarities, ["b", "a"], ["b", "b", "c"])
    assert scores.mated.tolist() == [0.9, 0.8]
    assert scores.non_mated.tolist() == [0.1, 0.2, 0.3, -np.inf]
    assert scores.people[scores.mated_people].tolist() == ["b", "b"]
    assert scores.people[scores.non_mated_people].tolist() == ["b", "a", "a", "a"]


@pytest.mark.parametrize(
    ("probes", "gallery", "error", "message"),
    [
        ([1, 2], [3, 4], EmptySetError, "mated is empty"),
        ([1, 1], [1, 1], EmptySetError, "non_mated is empty"),
        ([1], [1, 2], ShapeError, "probe_subjects"),
        ([1, 2], [1], ShapeError, "gallery_subjects"),
        ([1, 2], ["1", "2"], DtypeError, "all integers or all texts"),
    ],
)
def test_a_matrix_that_cannot_be_split_is_refused(probes, gallery, error, message):
    with pytest.raises(error, match=message):
        split_by_subject(np.eye(2), probes, gallery)


def test_largest_scores_of_mixed_blocks():
    blocks = [[], np.array([[0.25, 0.5]], dtype=np.float32), [0.75], np.zeros((0, 3))]
    kept = largest_scores(blocks, 2)
    assert sorted(kept.tolist()) == [0.5, 0.75]
    assert kept.dtype == np.float64
    assert sorted(largest_scores(blocks, 10).tolist()) == [0.25, 0.5, 0.75]


def test_largest_scores_refuse_what_are_no_scores():
    with pytest.raises(EmptySetError, match="blocks hold no value"):
        largest_scores([[], []], 3)
    with pytest.raises(InvalidInputError, match="num: expected at least 1"):
        largest_scores([[0.1]], 0)
    with pytest.raises(NonFiniteError, match="block 1"):
        largest_scores([[0.1], [np.nan]], 3)
    with pytest.raises(ShapeError, match="block 0"):
        largest_scores([[[0.1], [0.1, 0.2]]], 3)
