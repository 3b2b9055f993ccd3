import numpy as np
import pytest

from probefusion.checks import read_only
from probefusion.errors import (
    DtypeError,
    EmptySetError,
    InvalidInputError,
    NonFiniteError,
    ShapeError,
    UnknownNameError,
)
from probefusion.metrics import validation
from probefusion.metrics.validation import (
    check_count,
    check_fraction,
    check_labels,
    check_rates,
    check_rule,
    check_scores,
    code_labels,
    error_budget,
)


def test_every_public_name_exists_and_is_documented():
    for name in validation.__all__:
        assert getattr(validation, name) is not None


@pytest.mark.parametrize(
    ("given", "kept"),
    [("float16", "float32"), ("float32", "float32"), ("float64", "float64"), ("int8", "float64")],
)
def test_scores_keep_their_precision(given, kept):
    assert check_scores(np.array([1, 0], dtype=given), name="mated").dtype == kept


def test_scores_that_fit_are_not_copied():
    scores = np.array([0.5, -np.inf])
    assert check_scores(scores, name="mated") is scores


@pytest.mark.parametrize(
    ("scores", "error", "message"),
    [
        ([], EmptySetError, " is empty"),
        ([[0.1], [0.1, 0.2]], ShapeError, "rows of different lengths"),
        ([[0.1]], ShapeError, "expected 1 axis"),
        (0.5, ShapeError, "expected 1 axis"),
        ([True], DtypeError, "got bool"),
        ([1j], DtypeError, "got complex128"),
        (["a"], DtypeError, "got <U1"),
        ([None], DtypeError, "got object"),
        (np.zeros(2, dtype=np.longdouble), DtypeError, "expected float16"),
        ([2**60, 2**60 + 1], DtypeError, "up to 2\\*\\*53"),
        ([-(2**60)], DtypeError, "up to 2\\*\\*53"),
        ([0.1, np.nan, np.nan], NonFiniteError, "got nan at position 1 \\(first of 2\\)"),
        ([np.inf, -np.inf], NonFiniteError, "got inf at position 0 \\(first of 1\\)"),
    ],
)
def test_scores_that_are_none_are_refused(scores, error, message):
    with pytest.raises(error, match=f"^mated.*{message}"):
        check_scores(scores, name="mated")


def test_a_bad_cell_of_a_matrix_is_named():
    matrix = np.zeros((2, 3), dtype=np.float32)
    matrix[1, 2] = np.nan
    with pytest.raises(NonFiniteError, match=r"position \(1, 2\) \(first of 1\).*-inf"):
        check_scores(matrix, name="similarities", num_axes=2)


def test_failures_are_refused_where_they_have_no_place():
    with pytest.raises(NonFiniteError, match="got -inf at position 1"):
        check_scores([0.1, -np.inf], name="mated", allow_failures=False)


def test_rates_are_read_as_written():
    assert check_rates(0.1, name="targets") == (0.1,)
    assert check_rates(np.array([1e-4, 0.1], dtype=np.float32), name="targets") == (1e-4, 0.1)
    assert check_rates([1], name="targets") == (1.0,)


@pytest.mark.parametrize(
    ("targets", "error"),
    [
        ([], EmptySetError),
        ([0.0], InvalidInputError),
        ([0.1, 1.5], InvalidInputError),
        (np.nan, InvalidInputError),
        (["0.1"], DtypeError),
        ([[0.1]], ShapeError),
    ],
)
def test_rates_out_of_range_are_refused(targets, error):
    with pytest.raises(error, match=r"^targets"):
        check_rates(targets, name="targets")


@pytest.mark.parametrize(
    ("rate", "count", "budget"),
    [
        (1e-4, 10_000, 1),
        (1e-4, 9_999, 0),
        (1e-5, 15_638_932, 156),
        (0.29, 100, 29),
        (0.57, 100, 57),
        (1.1e-4, 10_000, 1),
        (1 / 3, 3, 1),
        (0.1, 30, 3),
        (1.0, 7, 7),
        (0.9999999, 7, 6),
    ],
)
def test_budgets_by_hand(rate, count, budget):
    assert error_budget(rate, count) == budget


@pytest.mark.parametrize("value", [0, 1, -0.1, 1.1, np.nan])
def test_fractions_lie_between(value):
    with pytest.raises(InvalidInputError, match=r"^level"):
        check_fraction(value, name="level")


def test_counts():
    assert check_count(np.int32(3), name="num", minimum=3) == 3
    with pytest.raises(InvalidInputError, match="num: expected at least 3, got 2"):
        check_count(2, name="num", minimum=3)
    for wrong in (True, 3.0, "3"):
        with pytest.raises(DtypeError, match="num: expected an integer"):
            check_count(wrong, name="num", minimum=3)


def test_an_unknown_rule_is_refused():
    with pytest.raises(UnknownNameError, match="did you mean 'budget'"):
        check_rule("budgett")


def test_labels():
    assert check_labels(["a", "b"], 2, name="ids").tolist() == ["a", "b"]
    assert check_labels(np.array([3], dtype=np.uint8), 1, name="ids").dtype == np.int64
    assert len(check_labels([], 0, name="ids")) == 0
    for wrong in ([0.5], [None], [True]):
        with pytest.raises(DtypeError, match=r"^ids"):
            check_labels(wrong, 1, name="ids")
    with pytest.raises(DtypeError, match="below 2"):
        check_labels(np.array([2**63], dtype=np.uint64), 1, name="ids")
    with pytest.raises(ShapeError, match=r"expected shape \(2,\), got \(1,\)"):
        check_labels([1], 2, name="ids")
    with pytest.raises(ShapeError, match=r"expected shape \(2,\), got \(0,\)"):
        check_labels(np.array([], dtype=int), 2, name="ids")


def test_texts_and_integers_do_not_mix():
    with pytest.raises(DtypeError, match="probes integers, gallery texts"):
        code_labels(np.array([1]), np.array(["1"]), names=("probes", "gallery"))


def test_labels_of_several_arrays_are_numbered_together():
    distinct, (first, second) = code_labels(
        np.array([5, 2]), np.array([9, 5, 5]), names=("first", "second")
    )
    assert distinct.tolist() == [2, 5, 9]
    assert (first.tolist(), second.tolist()) == ([1, 0], [2, 1, 1])


def test_results_cannot_be_written_to():
    with pytest.raises(ValueError, match="read-only"):
        read_only(np.zeros(2))[0] = 1
