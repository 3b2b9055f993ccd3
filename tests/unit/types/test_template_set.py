from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import (
    DtypeError,
    EmbedderMismatchError,
    EmptySetError,
    FileFormatError,
    FuserMismatchError,
    InvalidInputError,
    MismatchError,
    MissingFileError,
    NonFiniteError,
    OutputExistsError,
    ShapeError,
    UnknownNameError,
)
from probefusion.fusion import MeanFuser
from probefusion.types import Template, TemplateSet


def unit(rng, count=3, dim=8):
    rows = rng.standard_normal((count, dim))
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


@pytest.fixture
def arguments(rng):
    return {
        "ids": ["ann", "bob", "cy"],
        "vectors": unit(rng),
        "num_images": [4, 1, 2],
        "fuser": "mean@1",
        "embedder": "net@1",
    }


@pytest.fixture
def with_states(make_set):
    """Three people's sets, and their templates and states by the mean."""
    fuser = MeanFuser()
    sets = {
        name: make_set(count, embedder="net@1") for name, count in (("a", 3), ("b", 1), ("c", 2))
    }
    states = {name: fuser.encode(images) for name, images in sets.items()}
    return sets, {name: fuser.finish(state) for name, state in states.items()}, states


def test_behaves_as_a_mapping_of_templates(arguments) -> None:
    people = TemplateSet(**arguments)
    assert (len(people), people.dim, list(people)) == (3, 8, ["ann", "bob", "cy"])
    assert "bob" in people
    assert "dan" not in people
    assert 1 not in people
    template = people["bob"]
    assert isinstance(template, Template)
    assert np.array_equal(template.vector, arguments["vectors"][1])
    assert (template.num_images, template.fuser, template.embedder) == (1, "mean@1", "net@1")
    assert type(template.num_images) is int
    with pytest.raises(UnknownNameError, match="did you mean 'ann'"):
        people["anne"]
    with pytest.raises(KeyError):
        people[0]  # positions are no ids


def test_arrays_have_their_types_and_cannot_be_written_to(arguments) -> None:
    people = TemplateSet(**arguments | {"vectors": arguments["vectors"].astype(np.float64)})
    assert people.vectors.dtype == np.float32
    assert people.num_images.dtype == np.int64
    assert people.ids.dtype.kind == "U"
    for array in (people.ids, people.vectors, people.num_images):
        with pytest.raises(ValueError, match="read-only"):
            array[0] = array[1]


@pytest.mark.parametrize(
    ("change", "error", "words"),
    [
        ({"ids": []}, EmptySetError, "at least one template"),
        ({"ids": ["ann", "bob"]}, ShapeError, "per template"),
        ({"ids": "ann"}, ShapeError, "one id per template"),
        ({"ids": [1, 2, 3]}, DtypeError, "expected texts, got int64"),
        ({"ids": np.array(["a", "b", "c"], object)}, DtypeError, "expected texts, got object"),
        ({"ids": ["ann", "bob", 3]}, InvalidInputError, "expected texts only"),
        ({"ids": ["ann", "bob", "cy\0"]}, InvalidInputError, "zero character"),
        ({"ids": ["ann", "bob", "\ud800"]}, InvalidInputError, "valid Unicode"),
        ({"ids": ["ann", "bob", "ann"]}, InvalidInputError, "each id once, got 'ann' 2 times"),
        (
            {"vectors": np.eye(3, 8) * 2},
            InvalidInputError,
            "vector of 'ann': .* got 2 .3 such rows",
        ),
        ({"vectors": np.eye(3, 8, dtype=int)}, DtypeError, "vectors: expected float16"),
        (
            {"vectors": np.eye(2, 8)},
            ShapeError,
            "vectors: expected one entry per template .3., got 2",
        ),
        ({"vectors": np.ones(3)}, ShapeError, "vectors"),
        ({"vectors": [[np.nan, 1], [0, 1], [1, 0]]}, NonFiniteError, "vector 0 has a NaN"),
        ({"num_images": [1, 2]}, ShapeError, "num_images: expected one entry per template"),
        ({"num_images": [1, 0, 2]}, InvalidInputError, "num_images of 'bob': .* got 0"),
        ({"num_images": [1.0, 2.0, 3.0]}, DtypeError, "num_images: expected integers"),
        ({"num_images": 3}, ShapeError, "num_images"),
        ({"fuser": 3}, DtypeError, "fuser: expected a text or None"),
        ({"embedder": b"net"}, DtypeError, "embedder: expected a text or None"),
        ({"states": ()}, ShapeError, "states: expected one entry per template"),
        ({"states": (None,) * 3}, DtypeError, "expected a FusionState for each template, got None"),
    ],
)
def test_what_is_wrong_is_named(arguments, change, error, words) -> None:
    with pytest.raises(error, match=words):
        TemplateSet(**arguments | change)


def test_a_set_of_templates_and_states(with_states) -> None:
    _, templates, states = with_states
    people = TemplateSet.of(templates, states)
    assert list(people) == ["a", "b", "c"]
    assert people.num_images.tolist() == [3, 1, 2]
    assert people.embedder == "net@1"
    assert people.states == tuple(states.values())
    assert TemplateSet.of(templates).states is None


def test_templates_that_do_not_belong_together(with_states) -> None:
    _, templates, states = with_states
    some = {"vector": np.eye(1, 16)[0], "num_images": 1}
    with pytest.raises(EmptySetError):
        TemplateSet.of({})
    with pytest.raises(FuserMismatchError, match="expected one fuser, got mean@1, other"):
        TemplateSet.of(templates | {"d": Template(**some, fuser="other", embedder="net@1")})
    with pytest.raises(EmbedderMismatchError, match="expected one embedder, got None, net@1"):
        TemplateSet.of(templates | {"d": Template(**some, fuser="mean@1")})
    wide = Template(vector=np.eye(1, 8)[0], num_images=1, fuser="mean@1", embedder="net@1")
    with pytest.raises(ShapeError, match=r"one dimension, got \[8, 16\]"):
        TemplateSet.of(templates | {"d": wide})
    with pytest.raises(MismatchError, match=r"differ in .*'c'"):
        TemplateSet.of(templates, {name: states[name] for name in "ab"})


def test_states_that_do_not_belong_to_the_templates(with_states) -> None:
    _, templates, states = with_states
    whole = TemplateSet.of(templates, states)
    arguments = {
        "ids": whole.ids,
        "vectors": whole.vectors,
        "num_images": whole.num_images,
        "fuser": whole.fuser,
        "embedder": whole.embedder,
    }
    with pytest.raises(FuserMismatchError, match="state of 'a'"):
        TemplateSet(**arguments | {"fuser": None}, states=whole.states)
    with pytest.raises(EmbedderMismatchError, match="state of 'a'"):
        TemplateSet(**arguments | {"embedder": "net@2"}, states=whole.states)
    with pytest.raises(MismatchError, match="state of 'a': holds 2 images, its template 3"):
        TemplateSet(**arguments, states=whole.states[::-1])


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_states_go_on_after_saving(tmp_path, with_states, make_set, ending) -> None:
    sets, templates, states = with_states
    path = tmp_path / f"people.{ending}"
    TemplateSet.of(templates, states).save(path)
    people = TemplateSet.load(path)
    assert people.states is not None
    for state, kept in zip(people.states, states.values(), strict=True):
        for name in ("mass", "sums", "style_sums"):
            assert np.array_equal(getattr(state, name), getattr(kept, name))
    fuser, more = MeanFuser(), make_set(5, embedder="net@1")
    later = fuser.finish(people.states[1] + fuser.encode(more))
    at_once = fuser.finish(states["b"] + fuser.encode(more))
    assert np.array_equal(later.vector, at_once.vector)
    assert later.num_images == sets["b"].num_images + 5


def test_similarities(arguments, rng) -> None:
    people = TemplateSet(**arguments)
    others = TemplateSet(
        ids=["x", "y"], vectors=unit(rng, 2), num_images=[1, 1], fuser="mean@1", embedder=None
    )
    expected = [[people[a].similarity(others[b]) for b in others] for a in people]
    found = people.similarities(others)
    assert found.shape == (3, 2)
    assert np.abs(found - expected).max() < 1e-6
    assert people.similarities(people).max() <= 1
    other = {"ids": ["x"], "vectors": unit(rng, 1), "num_images": [1]}
    for call in (people.similarities, people.nearest):
        with pytest.raises(EmbedderMismatchError, match=r"net@1 and net@2"):
            call(TemplateSet(**other, embedder="net@2"))
        with pytest.raises(FuserMismatchError, match="same fuser"):
            call(TemplateSet(**other, fuser="exact@1"))
        with pytest.raises(ShapeError, match="8 and 4"):
            call(TemplateSet(**other | {"vectors": unit(rng, 1, 4)}))


@pytest.mark.parametrize("cells", [1, 50, 1 << 22])
def test_nearest(rng, monkeypatch, cells) -> None:
    import sys

    monkeypatch.setattr(sys.modules[TemplateSet.__module__], "_CELLS_AT_ONCE", cells)
    first, second = (
        TemplateSet(ids=[f"{i}" for i in range(n)], vectors=unit(rng, n), num_images=[1] * n)
        for n in (20, 30)
    )
    places, similarities = first.nearest(second)
    matrix = first.similarities(second)
    assert places.tolist() == matrix.argmax(1).tolist()
    assert np.allclose(similarities, matrix.max(1), atol=1e-6)
    places, similarities = first.nearest()
    matrix = first.similarities(first)
    np.fill_diagonal(matrix, -2)
    assert places.tolist() == matrix.argmax(1).tolist()
    assert np.allclose(similarities, matrix.max(1), atol=1e-6)


def test_one_template_has_no_other(rng) -> None:
    alone = TemplateSet(ids=["a"], vectors=unit(rng, 1), num_images=[1])
    assert alone.nearest(alone)[0].tolist() == [0]
    with pytest.raises(EmptySetError, match="at least two"):
        alone.nearest()


def test_files_are_named_and_not_replaced(tmp_path, arguments) -> None:
    people = TemplateSet(**arguments)
    for ending in ("npz", "parquet"):
        path = tmp_path / f"people.{ending}"
        people.save(path)
        with pytest.raises(OutputExistsError):
            people.save(path)
        people.save(path, force=True)
        with pytest.raises(MissingFileError):
            TemplateSet.load(tmp_path / f"none.{ending}")
        path.write_bytes(b"PAR1 or PK")
        with pytest.raises(FileFormatError, match="people"):
            TemplateSet.load(path)
    for wrong in ("people.csv", "people"):
        with pytest.raises(FileFormatError, match=r"\.parquet or \.npz"):
            people.save(tmp_path / wrong)
    (tmp_path / "people.csv").write_text("1,2")
    with pytest.raises(FileFormatError, match=r"\.parquet or \.npz"):
        TemplateSet.load(tmp_path / "people.csv")


def test_what_is_wrong_in_a_file_is_named(tmp_path, rng) -> None:
    path = tmp_path / "people.npz"
    good = {
        "template_ids": np.array(["a", "b"]),
        "num_images": np.array([1, 2]),
        "embeddings": unit(rng, 2),
    }
    state = {"mass": np.ones((2, 1)), "sums": np.ones((2, 1, 8)), "style_sums": np.ones((2, 1, 0))}
    for change, error, words in [
        ({"embeddings": good["embeddings"] * 3}, InvalidInputError, r"'a' of people\.npz"),
        ({"num_images": np.array([1.0, 2.0])}, DtypeError, r"num_images of people\.npz"),
        ({"template_ids": np.array([1.5, 2.5])}, DtypeError, r"ids of people\.npz"),
        ({"other": np.ones(2)}, FileFormatError, "unknown"),
        (state, FileFormatError, "the fuser None"),
        ({"fuser": np.array("f"), "mass": np.ones((2, 1))}, FileFormatError, "got mass"),
        ({"fuser": np.array("f"), **state, "mass": np.ones((3, 1))}, ShapeError, "each of 2"),
        ({"fuser": np.array("f"), **state, "mass": np.ones((2, 1), int)}, DtypeError, "states"),
        ({"kind": np.array("template")}, FileFormatError, "kind 'templates', got 'template'"),
        ({"format_version": np.array(3)}, FileFormatError, "Upgrade"),
    ]:
        np.savez(path, **good | change)
        with pytest.raises(error, match=words):
            TemplateSet.load(path)


def test_what_is_wrong_in_a_parquet_file_is_named(tmp_path, rng) -> None:
    arrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = tmp_path / "people.parquet"
    rows = unit(rng, 2).tolist()
    good = {"template_id": ["a", "b"], "num_images": [1, 2], "embedding": rows}
    for columns, error, words in [
        ({"template_id": ["a", "b"], "embedding": rows}, FileFormatError, "missing: num_images"),
        (good | {"name": ["x", "y"]}, FileFormatError, "unknown: name"),
        (good | {"template_id": ["a", None]}, FileFormatError, "'template_id' has 1 missing"),
        (good | {"template_id": [1.5, 2.5]}, DtypeError, "template_id of people"),
        (good | {"num_images": ["1", "2"]}, DtypeError, "num_images of people"),
        (good | {"embedding": [rows[0], rows[1][:4]]}, ShapeError, "different lengths"),
        (good | {"embedding": [0.5, 1.0]}, DtypeError, "lists of numbers"),
        (good | {"state": [b"x", None]}, FileFormatError, "in every row of 'state'"),
        (good | {"state": [b"x", b"y"]}, FileFormatError, "state 0 of people"),
        (good | {"template_id": ["a", "a"]}, InvalidInputError, r"ids of people\.parquet"),
    ]:
        parquet.write_table(arrow.table(columns), path)
        with pytest.raises(error, match=words):
            TemplateSet.load(path)
    parquet.write_table(arrow.table(good).slice(0, 0), path)
    with pytest.raises(EmptySetError):
        TemplateSet.load(path)


def test_many_known_ids_are_not_all_listed(rng) -> None:
    people = TemplateSet(
        ids=[f"person {i}" for i in range(200)], vectors=unit(rng, 200), num_images=[1] * 200
    )
    with pytest.raises(UnknownNameError, match="and 150 more") as caught:
        people["person 2000"]
    assert len(str(caught.value)) < 1000
