"""A search index: what it holds after changes, what a search reports, what it refuses."""

from __future__ import annotations

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from unit_vectors import KINDS, hard_vectors, plain_search, plain_similarity, unit

from probefusion.errors import (
    ConfigError,
    DtypeError,
    InvalidInputError,
    MissingExtraError,
    NonFiniteError,
    ShapeError,
)
from probefusion.gallery import Hits, SearchIndex
from probefusion.gallery.index import candidate_scan, int8_kernel, unit_rows
from probefusion.gallery.index.search_index import _INT8_PAYS


@pytest.fixture(params=["float32", "int8"])
def kernel(request: pytest.FixtureRequest) -> str:
    if request.param == "int8":
        pytest.importorskip("numkong")
    return request.param


def bits(hits: Hits) -> tuple[tuple[str, ...], bytes]:
    return hits.ids, hits.similarities.tobytes()


def test_best_first_and_ties_by_id(kernel: str) -> None:
    index = SearchIndex(3, kernel)
    index.put(["d", "c", "b", "a"], np.eye(3)[[1, 0, 1, 0]])
    (first, second) = index.search(np.eye(3)[:2], top_k=3)
    assert list(first) == [("a", 1.0), ("c", 1.0), ("b", 0.0)]
    assert list(second) == [("b", 1.0), ("d", 1.0), ("a", 0.0)]
    assert first.best == "a"
    assert len(first) == 3
    assert first.similarities.dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        first.similarities[0] = 0


def test_empty_index_and_no_queries(kernel: str) -> None:
    index = SearchIndex(4, kernel)
    (hits,) = index.search(np.eye(4)[:1], at_least=-1.0)
    assert hits.ids == ()
    assert hits.best is None
    assert hits.similarities.shape == (0,)
    assert index.search(np.empty((0, 4))) == ()
    index.put([], np.empty((0, 4)))
    assert len(index) == 0
    index.put(["a"], np.eye(4)[:1])
    index.remove(["a"])
    assert index.search(np.eye(4)[:1])[0].ids == ()


def test_numbers_of_results(kernel: str, rng: np.random.Generator) -> None:
    index = SearchIndex(16, kernel)
    index.put([f"p{place:02d}" for place in range(30)], unit(rng.standard_normal((30, 16))))
    query = unit(rng.standard_normal((1, 16)))
    assert len(index.search(query)[0]) == 10
    assert len(index.search(query, top_k=7)[0]) == 7
    assert len(index.search(query, top_k=99)[0]) == 30
    assert len(index.search(query, at_least=-2)[0]) == 30
    assert len(index.search(query, at_least=-np.inf)[0]) == 30
    assert len(index.search(query, at_least=-1e300, top_k=np.int64(3))[0]) == 3
    assert len(index.search(query, at_least=1e300)[0]) == 0
    assert len(index.search(query, at_least=np.inf)[0]) == 0


def test_a_similarity_equal_to_the_threshold_is_reported(
    kernel: str, rng: np.random.Generator
) -> None:
    vectors = unit(rng.standard_normal((200, 32)))
    index = SearchIndex(32, kernel)
    index.put([f"p{place:03d}" for place in range(200)], vectors)
    query = unit(rng.standard_normal((1, 32)))
    (everything,) = index.search(query, top_k=200)
    for place, similarity in enumerate(everything.similarities):
        (reached,) = index.search(query, at_least=similarity)
        assert reached.ids == everything.ids[: place + 1]
        (above,) = index.search(query, at_least=np.nextafter(float(similarity), 2))
        assert above.ids == everything.ids[:place]


@settings(deadline=None, max_examples=150)
@given(data=st.data())
def test_equal_to_the_plain_search(data: st.DataObject) -> None:
    kernels = ["float32"]
    try:
        SearchIndex(1, "int8")
        kernels.append("int8")
    except MissingExtraError:
        pass
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1), label="seed"))
    dim = data.draw(st.sampled_from([1, 2, 3, 16, 31, 64, 129, 257]), label="dim")
    kinds = data.draw(st.lists(st.sampled_from(KINDS), min_size=1, max_size=3), label="kinds")
    parts = [hard_vectors(kind, int(rng.integers(1, 80)), dim, rng) for kind in kinds]
    vectors = np.concatenate(parts)[rng.permutation(sum(map(len, parts)))]
    names = [f"p{place}" for place in rng.permutation(len(vectors))]
    queries = np.concatenate(
        [
            hard_vectors(kinds[0], 1, dim, rng),
            vectors[:2],
            -vectors[:1],
            hard_vectors("random", 1, dim, rng),
        ]
    )
    top_k = data.draw(st.sampled_from([None, 1, 2, 5, 40, 1000]), label="top_k")
    exactly = float(plain_similarity(vectors[0], queries[0]))
    at_least = data.draw(st.sampled_from([None, exactly, 0.0, 0.3, -1.1]), label="at_least")
    # Few numbers at a time: many blocks, each with a floor of those before.
    cells = data.draw(st.sampled_from([64, 400, 1 << 19]), label="cells")
    expected = [
        plain_search(names, vectors, query, top_k=top_k, at_least=at_least) for query in queries
    ]
    with mock.patch.object(candidate_scan, "_CELLS_AT_ONCE", cells):
        for kernel in kernels:
            index = SearchIndex(dim, kernel)
            index.put(names, vectors)
            together = index.search(queries, top_k=top_k, at_least=at_least)
            assert [list(hits) for hits in together] == expected
            alone = [
                index.search(query[None], top_k=top_k, at_least=at_least)[0] for query in queries
            ]
            assert list(map(bits, alone)) == list(map(bits, together))


def test_many_rows_and_every_history_give_the_same_bits(rng: np.random.Generator) -> None:
    pytest.importorskip("numkong")
    kinds = ("random", "near ties", "equal", "sparse", "spiky")
    vectors = np.concatenate([hard_vectors(kind, 3000, 48, rng) for kind in kinds])
    names = [f"p{place:05d}" for place in range(len(vectors))]
    queries = np.concatenate(
        [vectors[::1500], unit(vectors[::2500] + 0.05 * rng.standard_normal((6, 48)))]
    )
    plain, shuffled = SearchIndex(48, "float32"), SearchIndex(48, "int8")
    plain.put(names, vectors)
    order = rng.permutation(len(names))
    for start in range(0, len(order), 1111):
        part = order[start : start + 1111]
        shuffled.put([f"x{place}" for place in part], unit(rng.standard_normal((len(part), 48))))
        shuffled.put([names[place] for place in part], vectors[part[::-1]])
        shuffled.replace([names[place] for place in part], vectors[part])
        shuffled.remove([f"x{place}" for place in part[::-1]])
    assert len(shuffled) == len(plain)
    assert set(shuffled.ids) == set(plain.ids)
    for asked in ({"top_k": 1}, {"top_k": 25}, {"at_least": 0.5}, {"at_least": 0.2, "top_k": 4000}):
        expected = plain.search(queries, **asked)
        assert list(map(bits, shuffled.search(queries, **asked))) == list(map(bits, expected))
        for query, hits in zip(queries[::3], expected[::3], strict=True):
            assert bits(shuffled.search(query[None], **asked)[0]) == bits(hits)


@settings(deadline=None, max_examples=60)
@given(
    steps=st.lists(
        st.tuples(
            st.sampled_from(["put", "replace", "remove"]), st.sets(st.sampled_from("abcdefgh"))
        ),
        max_size=30,
    ),
    seed=st.integers(0, 2**32 - 1),
    kernel=st.sampled_from(["float32", "int8"]),
)
def test_any_changes_leave_what_a_dict_holds(
    steps: list[tuple[str, set[str]]], seed: int, kernel: str
) -> None:
    if kernel == "int8":
        pytest.importorskip("numkong")
    rng = np.random.default_rng(seed)
    index, kept = SearchIndex(5, kernel), {}
    for action, chosen in steps:
        names = sorted(chosen)
        vectors = unit(rng.standard_normal((len(names), 5)))
        known = chosen <= set(kept)
        if action == "put":
            index.put(names, vectors)
            kept.update(zip(names, vectors, strict=True))
        elif not known:
            with pytest.raises(InvalidInputError, match="is not among"):
                index.replace(names, vectors) if action == "replace" else index.remove(names)
        elif action == "replace":
            index.replace(names, vectors)
            kept.update(zip(names, vectors, strict=True))
        else:
            index.remove(names)
            for name in names:
                del kept[name]
        assert len(index) == len(kept)
        assert set(index.ids) == set(kept)
        assert all((name in index) == (name in kept) for name in "abcdefgh")
    if kept:
        names = list(kept)
        assert np.array_equal(index.vectors(names), np.stack([kept[name] for name in names]))
    query = unit(rng.standard_normal(5))
    found = index.search(query[None], top_k=20)[0]
    stacked = np.array(list(kept.values())).reshape(-1, 5)
    assert list(found) == plain_search(list(kept), stacked, query, top_k=20, at_least=None)


def test_refused_changes_change_nothing(kernel: str) -> None:
    index = SearchIndex(3, kernel)
    index.put(["a", "b"], np.eye(3)[:2])
    before = bits(index.search(np.eye(3)[:1])[0])
    nan = np.array([[np.nan, 1, 0]])
    refused = [
        (lambda: index.put(["c"], np.eye(3)[:2]), ShapeError, r"one row per id \(1\), got 2 rows"),
        (
            lambda: index.put(["c"], np.ones((1, 4))),
            ShapeError,
            r"expected shape \(\*, 3\), got \(1, 4\)",
        ),
        (
            lambda: index.put(["c"], np.ones((1, 3))),
            InvalidInputError,
            "vectors 0: expected unit length, got 1.73",
        ),
        (lambda: index.put(["c"], nan), NonFiniteError, "vectors 0 has a NaN at position 0"),
        (lambda: index.put(["c"], [[1, 0, 0]]), DtypeError, "vectors: expected float16"),
        (lambda: index.put(["c", "c"], np.eye(3)[:2]), InvalidInputError, "got 'c' 2 times"),
        (
            lambda: index.put("c", np.eye(3)[:1]),
            DtypeError,
            r"got str 'c'. For a single one give \[id\]",
        ),
        (lambda: index.put([3], np.eye(3)[:1]), DtypeError, "ids: expected texts, got int 3"),
        (
            lambda: index.put(None, np.eye(3)[:1]),
            DtypeError,
            "ids: expected a list of texts, got None",
        ),
        (
            lambda: index.replace(["a", "z"], np.eye(3)[:2]),
            InvalidInputError,
            "'z' is not among the 2 of",
        ),
        (
            lambda: index.remove(["a", "z"]),
            InvalidInputError,
            r"'z' is not among the 2 .*\(1 such ids\)",
        ),
        (lambda: index.remove(["a", "a"]), InvalidInputError, "got 'a' 2 times"),
        (lambda: index.vectors(["z"]), InvalidInputError, "'z' is not among"),
    ]
    for call, kind, told in refused:
        with pytest.raises(kind, match=told):
            call()
    assert set(index.ids) == {"a", "b"}
    assert bits(index.search(np.eye(3)[:1])[0]) == before


def test_without_memory_nothing_changes(kernel: str, rng: np.random.Generator) -> None:
    index = SearchIndex(8, kernel)
    index.put(["a", "b"], np.eye(8)[:2])
    before = bits(index.search(np.eye(8)[:1])[0])
    many = [str(place) for place in range(200)]
    vectors = unit(rng.standard_normal((200, 8)))
    module = unit_rows if kernel == "float32" else int8_kernel
    with mock.patch.object(module, "grown", side_effect=MemoryError), pytest.raises(MemoryError):
        index.put(many, vectors)
    assert index.ids == ("a", "b")
    assert bits(index.search(np.eye(8)[:1])[0]) == before
    index.put(["c"], np.eye(8)[:1])
    assert index.search(np.eye(8)[:1], top_k=2)[0].ids == ("a", "c")


@pytest.mark.parametrize(
    ("queries", "asked", "kind", "told"),
    [
        (np.eye(3), {}, ShapeError, r"queries: expected shape \(\*, 2\)"),
        (np.eye(2)[0], {}, ShapeError, "queries"),
        (2 * np.eye(2), {}, InvalidInputError, "queries 0: expected unit length, got 2"),
        (np.full((1, 2), np.inf), {}, NonFiniteError, "queries 0"),
        (np.eye(2), {"top_k": 0}, ConfigError, "top_k: expected at least 1, got 0"),
        (np.eye(2), {"top_k": -3}, ConfigError, "top_k: expected at least 1, got -3"),
        (
            np.eye(2),
            {"top_k": 2.0},
            DtypeError,
            "top_k: expected a whole number or None, got float",
        ),
        (
            np.eye(2),
            {"top_k": True},
            DtypeError,
            "top_k: expected a whole number or None, got bool",
        ),
        (np.eye(2), {"at_least": "x"}, DtypeError, "at_least: expected a number or None, got str"),
        (np.eye(2), {"at_least": np.nan}, ConfigError, "at_least: expected a similarity, got NaN"),
    ],
)
def test_what_a_search_refuses(
    queries: np.ndarray, asked: dict[str, object], kind: type, told: str
) -> None:
    index = SearchIndex(2, "float32")
    index.put(["a"], np.eye(2)[:1])
    with pytest.raises(kind, match=told):
        index.search(queries, **asked)  # type: ignore[arg-type]


@pytest.mark.parametrize("dim", [0, -1, 65_537, 2.0, "3", None, True])
def test_dimensions_that_are_refused(dim: object) -> None:
    with pytest.raises(ConfigError, match="dim: expected a whole number of 1 to 65536"):
        SearchIndex(dim)  # type: ignore[arg-type]


def test_memory_is_told(kernel: str, rng: np.random.Generator) -> None:
    index = SearchIndex(40, kernel)
    assert index.num_bytes == 0
    index.put([str(place) for place in range(500)], unit(rng.standard_normal((500, 40))))
    assert index.num_bytes == 500 * 40 * 4 + (500 * (40 + 8) if kernel == "int8" else 0)


def test_an_unknown_kernel() -> None:
    with pytest.raises(
        ConfigError, match="kernel: expected 'auto', 'float32' or 'int8', got 'int4'"
    ):
        SearchIndex(3, "int4")  # type: ignore[arg-type]


def test_without_numkong(no_numkong: None) -> None:
    with pytest.raises(MissingExtraError, match=r"pip install 'probefusion\[gallery\]'"):
        SearchIndex(3, "int8")
    index = SearchIndex(1024)
    index.put([str(place) for place in range(4096)], np.eye(1024)[np.arange(4096) % 1024])
    assert index.kernel == "float32"
    assert index.search(np.eye(1024)[:1], top_k=1)[0].best == "0"


@pytest.fixture
def no_numkong() -> object:
    with mock.patch.dict("sys.modules", {"numkong": None}):
        yield


def test_auto_takes_the_kernel_that_pays(rng: np.random.Generator) -> None:
    pytest.importorskip("numkong")
    dim = 2048
    rows = _INT8_PAYS // dim
    vectors = unit(rng.standard_normal((rows, dim)))
    names = [f"p{place:04d}" for place in range(rows)]
    index = SearchIndex(dim)
    index.put(names[:-1], vectors[:-1])
    assert index.kernel == "float32"
    before = index.search(vectors[:3])
    index.put(names[-1:], vectors[-1:])
    assert index.kernel == "int8"
    assert "kernel int8" in repr(index)
    index.remove(names[-1:])
    assert list(map(bits, index.search(vectors[:3]))) == list(map(bits, before))


def test_nothing_of_a_removed_template_stays_in_free_room(
    kernel: str, rng: np.random.Generator
) -> None:
    index = SearchIndex(16, kernel)
    index.put([str(place) for place in range(100)], unit(rng.standard_normal((100, 16))))
    index.remove([str(place) for place in range(0, 100, 3)])
    assert len(index) == 66
    assert not index._rows._room[66:].any()
    assert index._rows._room[:66].any(axis=1).all()
    if index._int8 is not None:
        assert not index._int8._codes[66:].any()
        assert index._int8._codes[:66].any(axis=1).all()


def test_room_grows_in_proportion(rng: np.random.Generator) -> None:
    index = SearchIndex(4, "float32")
    rooms = set()
    for place in range(2000):
        index.put([str(place)], unit(rng.standard_normal((1, 4))))
        rooms.add(index._rows._room.shape[0])
    assert len(rooms) < 12  # copied a few times, not each time
    assert index._rows.vectors.flags.c_contiguous
