import numpy as np
import pytest

from probefusion.errors import EmptySetError, InvalidInputError, NonFiniteError
from probefusion.metrics import compare_means_over_people, holm, non_inferiority


def difference_of(first, second, num_replicates=2000):
    first, second = np.asarray(first), np.asarray(second)
    return compare_means_over_people(
        first, second, np.arange(len(first)), num_replicates=num_replicates
    )


def test_equal_fusers_are_not_inferior():
    hits = np.arange(100) % 3 > 0
    verdict = non_inferiority(difference_of(hits.astype(float), hits.astype(float)))
    assert verdict.is_non_inferior
    assert verdict.p_value == 1 / 2001
    assert (verdict.low, verdict.difference) == (0, 0)
    assert (verdict.margin, verdict.alpha) == (0.005, 0.025)


def test_a_loss_beyond_the_margin_is_not_excused():
    second = np.ones(1000)
    first = second.copy()
    first[:20] = 0  # .02 lost
    verdict = non_inferiority(difference_of(first, second))
    assert not verdict.is_non_inferior
    assert verdict.p_value > 0.95
    assert verdict.low < -0.02
    replicates = difference_of(first, second).replicates
    assert verdict.low == pytest.approx(np.quantile(replicates, 0.025))
    assert non_inferiority(difference_of(first, second), margin=0.05).is_non_inferior


def test_too_few_people_leave_it_open():
    rng = np.random.default_rng(0)
    first, second = rng.integers(2, size=(2, 60))
    assert not non_inferiority(difference_of(first, second), margin=0.005).is_non_inferior


def test_a_loss_of_exactly_the_margin_counts_as_reaching_it():
    first, second = np.full(10, 0.75), np.full(10, 1.0)
    assert non_inferiority(difference_of(first, second), margin=0.25).p_value == 1
    assert non_inferiority(difference_of(first, second), margin=0.26).p_value == 1 / 2001


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"margin": 0}, "margin"),
        ({"margin": -0.005}, "margin"),
        ({"alpha": 0}, "alpha"),
        ({"alpha": 0.5}, "below 0.5"),
        ({"alpha": 0.001}, "100 replicates give p-values from 0.0099"),
    ],
)
def test_settings_are_checked(settings, message):
    with pytest.raises(InvalidInputError, match=message):
        non_inferiority(difference_of([1, 0], [1, 0], num_replicates=100), **settings)


def test_holm_by_hand():
    found = holm([0.01, 0.04, 0.03, 0.005], alpha=0.05)
    np.testing.assert_allclose(found.adjusted, [0.03, 0.06, 0.06, 0.02])
    assert found.is_rejected.tolist() == [True, False, False, True]
    assert found.alpha == 0.05
    assert not found.adjusted.flags.writeable


def test_holm_keeps_single_tests_and_stops_at_one():
    assert holm([0.05]).adjusted.tolist() == [0.05]
    assert holm([0.05]).is_rejected.tolist() == [True]
    assert holm([0.6, 0.7, 1]).adjusted.tolist() == [1, 1, 1]


@pytest.mark.parametrize(
    ("p_values", "error"),
    [
        ([], EmptySetError),
        ([0.5, 1.1], InvalidInputError),
        ([-0.1], InvalidInputError),
        ([np.nan], NonFiniteError),
    ],
)
def test_p_values_are_checked(p_values, error):
    with pytest.raises(error, match=r"^p_values"):
        holm(p_values)
