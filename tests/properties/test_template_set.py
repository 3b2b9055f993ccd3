"""Properties of `TemplateSet` on made-up ids and vectors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probefusion.errors import InvalidInputError, ShapeError
from probefusion.types import TemplateSet

ids = st.lists(
    st.text(st.characters(exclude_categories=["Cs"])).filter(lambda text: not text.endswith("\0")),
    min_size=1,
    max_size=12,
    unique=True,
)
same_folder = settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def make(names: list[str], seed: int, dim: int = 5) -> TemplateSet:
    rng = np.random.default_rng(seed)
    rows = rng.standard_normal((len(names), dim))
    return TemplateSet(
        ids=names,
        vectors=rows / np.linalg.norm(rows, axis=1, keepdims=True),
        num_images=rng.integers(1, 1000, len(names)),
        fuser="mean@1",
        embedder=None if seed % 2 else "réseau@1",
    )


@pytest.mark.parametrize("ending", ["npz", "parquet"])
@same_folder
@given(names=ids, seed=st.integers(0, 99))
def test_saved_is_what_is_loaded(tmp_path, ending, names, seed) -> None:
    people = make(names, seed)
    path = tmp_path / f"people.{ending}"
    people.save(path, force=True)
    found = TemplateSet.load(path)
    assert list(found) == names
    assert np.array_equal(found.vectors, people.vectors)
    assert np.array_equal(found.num_images, people.num_images)
    assert (found.fuser, found.embedder) == (people.fuser, people.embedder)


@same_folder
@given(names=ids, seed=st.integers(0, 99))
def test_of_its_templates_gives_the_set(names, seed) -> None:
    people = make(names, seed)
    again = TemplateSet.of({name: people[name] for name in people})
    assert list(again) == names
    assert np.array_equal(again.vectors, people.vectors)
    assert np.array_equal(again.num_images, people.num_images)


@same_folder
@given(names=ids, data=st.data())
def test_an_id_given_twice_is_refused(names, data) -> None:
    twice = [*names, data.draw(st.sampled_from(names))]
    with pytest.raises(InvalidInputError, match="each id once"):
        make(twice, 0)


@same_folder
@given(names=ids, length=st.floats(0, 1e3).filter(lambda value: abs(value - 1) > 2e-3), seed=...)
def test_a_vector_of_another_length_is_refused(names, length, seed: bool) -> None:
    people = make(names, int(seed))
    vectors = people.vectors.copy()
    vectors[-1] *= length
    with pytest.raises(InvalidInputError, match="unit length"):
        TemplateSet(ids=names, vectors=vectors, num_images=people.num_images)


@same_folder
@given(names=ids, width=st.integers(1, 9).filter(lambda width: width != 5))
def test_sets_of_other_widths_are_not_compared(names, width) -> None:
    with pytest.raises(ShapeError, match="one dimension"):
        make(names, 1).similarities(make(names, 1, dim=width))
