import numpy as np
import pytest

from probefusion.errors import (
    DtypeError,
    EmptySetError,
    InvalidInputError,
    NonFiniteError,
    ShapeError,
    ZeroLengthError,
)
from probefusion.metrics import compare_all, iter_similarities, pair_similarities
from probefusion.metrics import similarities as similarities_module


def test_cosines_do_not_depend_on_length_and_stay_within_one():
    rng = np.random.default_rng(0)
    templates = rng.standard_normal((200, 512)).astype(np.float32) * 60
    found = compare_all(templates, templates / 7)
    assert found.dtype == np.float32
    assert found.max() <= 1
    np.testing.assert_allclose(np.diag(found), 1, atol=512 * 2**-24)  # one rounding a dimension


@pytest.mark.parametrize("cost", [0, 10**9])
def test_both_ways_to_score_pairs_agree(cost, monkeypatch):
    monkeypatch.setattr(similarities_module, "_GATHER_COST", cost)
    rng = np.random.default_rng(0)
    templates = rng.standard_normal((300, 64))
    expected = compare_all(templates, templates)
    for num_pairs in (5, 300, 4000, 60_000):
        first, second = rng.integers(300, size=(2, num_pairs))
        found = pair_similarities(templates, first, second, block=70)
        np.testing.assert_allclose(found, expected[first, second], atol=64 * 2**-24)


def test_more_rows_than_a_short_integer_can_count():
    rng = np.random.default_rng(0)
    templates = rng.standard_normal((70_000, 2))
    first = rng.permutation(70_000)
    second = np.zeros(70_000, dtype=np.uint8)
    found = pair_similarities(templates, first, second, block=9000)
    unit = templates / np.linalg.norm(templates, axis=1, keepdims=True)
    np.testing.assert_allclose(found, unit[first] @ unit[0], atol=1e-6)


def test_templates_are_checked_before_the_first_block():
    good = np.eye(3)
    bad = np.eye(3)
    bad[1, 1] = np.nan
    with pytest.raises(NonFiniteError, match="probe_templates 1 has a NaN"):
        iter_similarities(bad, good)
    with pytest.raises(ZeroLengthError, match="gallery_templates 0"):
        iter_similarities(good, np.zeros((1, 3)))
    with pytest.raises(ShapeError, match="expected dimension 3 as in probe_templates, got 2"):
        iter_similarities(good, np.eye(2))
    with pytest.raises(EmptySetError, match="gallery_templates is empty"):
        iter_similarities(good, np.zeros((0, 3)))
    with pytest.raises(EmptySetError, match="probe_templates is empty"):
        iter_similarities(np.zeros((3, 0)), good)
    with pytest.raises(InvalidInputError, match="block: expected at least 1"):
        iter_similarities(good, good, block=0)
    with pytest.raises(DtypeError, match="probe_templates"):
        iter_similarities(np.eye(3, dtype=int), good)


@pytest.mark.parametrize(
    ("first", "second", "error", "message"),
    [
        ([], [], EmptySetError, "index_a is empty"),
        ([0], [], EmptySetError, "index_b is empty"),
        ([0], [0, 1], ShapeError, "one entry for each of index_a"),
        ([[0]], [0], ShapeError, "index_a: expected one axis"),
        ([0], [3], InvalidInputError, "index_b: expected rows from 0 to 2, got 3 to 3"),
        ([-1], [0], InvalidInputError, "index_a: expected rows"),
        ([0.0], [0], DtypeError, "index_a: expected integers"),
    ],
)
def test_indices_are_checked(first, second, error, message):
    with pytest.raises(error, match=message):
        pair_similarities(np.eye(3), first, second)
