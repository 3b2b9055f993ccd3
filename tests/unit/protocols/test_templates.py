"""The value types of the benchmarks."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from probefusion.errors import DtypeError, InvalidInputError, ShapeError
from probefusion.protocols.templates import (
    LabelledTemplates,
    TemplateIndex,
    VerificationPairs,
)


def index() -> TemplateIndex:
    return TemplateIndex.from_columns([30, 10, 30, 20, 10], [5, 6, 7, 8, 9])


def test_from_columns_groups_and_keeps_the_order_of_the_file() -> None:
    made = index()
    assert made.template_ids.tolist() == [10, 20, 30]
    assert made.offsets.tolist() == [0, 2, 3, 5]
    assert made.rows.tolist() == [1, 4, 3, 0, 2]
    assert made.media_ids.tolist() == [6, 9, 8, 5, 7]
    assert made.rows_of(2).tolist() == [0, 2]
    assert made.sizes.tolist() == [2, 1, 2]
    assert (made.num_templates, len(made)) == (3, 3)
    assert made.rows.dtype == made.media_ids.dtype == np.int32


def test_positions_mark_unknown_ids() -> None:
    assert index().positions([30, 10, 5, 25, 99]).tolist() == [2, 0, -1, -1, -1]
    assert index().positions(np.array([], dtype=np.int32)).tolist() == []
    nothing = TemplateIndex.from_columns([], [])
    assert nothing.positions([1]).tolist() == [-1]


def test_arrays_cannot_be_written_and_fields_cannot_be_set() -> None:
    made = index()
    with pytest.raises(ValueError, match="read-only"):
        made.rows[0] = 3
    with pytest.raises(dataclasses.FrozenInstanceError):
        made.rows = made.media_ids  # type: ignore[misc]


def test_empty_templates_are_listed() -> None:
    made = TemplateIndex(
        template_ids=np.array([1, 2, 3]),
        offsets=np.array([0, 0, 2, 2]),
        rows=np.array([4, 4]),
        media_ids=np.array([0, 0]),
    )
    assert made.empty.tolist() == [0, 2]
    assert made.rows_of(0).tolist() == []


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"offsets": [0, 2, 3]}, ShapeError),
        ({"offsets": [0, 2, 3, 4]}, ShapeError),
        ({"offsets": [1, 2, 3, 5]}, ShapeError),
        ({"offsets": [0, 3, 2, 5]}, InvalidInputError),
        ({"template_ids": [10, 30, 20]}, InvalidInputError),
        ({"template_ids": [10, 10, 20]}, InvalidInputError),
        ({"rows": [0, 1, 2, 3, -1]}, InvalidInputError),
        ({"rows": [0, 1, 2]}, ShapeError),
        ({"rows": [0.0, 1.0, 2.0, 3.0, 4.0]}, DtypeError),
        ({"rows": [[0, 1, 2, 3, 4]]}, ShapeError),
        ({"media_ids": [0, 0, 0, 0, 2**31]}, InvalidInputError),
    ],
)
def test_an_index_that_does_not_fit_together_is_refused(
    change: dict[str, object], error: type[Exception]
) -> None:
    fields = {
        "template_ids": [10, 20, 30],
        "offsets": [0, 2, 3, 5],
        "rows": [1, 4, 3, 0, 2],
        "media_ids": [6, 9, 8, 5, 7],
    }
    TemplateIndex(**fields)  # type: ignore[arg-type]
    with pytest.raises(error):
        TemplateIndex(**{**fields, **change})  # type: ignore[arg-type]


@pytest.mark.parametrize("position", [-1, 3])
def test_a_position_beyond_the_templates_is_refused(position: int) -> None:
    with pytest.raises(InvalidInputError, match="from 0 to 2"):
        index().rows_of(position)


def test_pairs_count_and_check_themselves() -> None:
    pairs = VerificationPairs(
        first=np.array([0, 1, 2]), second=np.array([2, 2, 1]), mated=np.array([True, False, False])
    )
    assert (pairs.num_pairs, pairs.num_mated, pairs.num_non_mated) == (3, 1, 2)
    assert pairs.first.dtype == np.int32
    with pytest.raises(DtypeError, match="mated"):
        dataclasses.replace(pairs, mated=np.array([1, 0, 0]))
    with pytest.raises(ShapeError, match="second"):
        dataclasses.replace(pairs, second=np.array([1]))
    with pytest.raises(ShapeError, match="folds"):
        dataclasses.replace(pairs, folds=np.array([1]))


def test_every_template_of_a_gallery_has_a_subject() -> None:
    with pytest.raises(ShapeError, match="subjects"):
        LabelledTemplates(name="x", templates=np.arange(2), subjects=np.arange(3))
