"""One flipped bit in a file that this package wrote: refused, or the same arrays; never another answer."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from probefusion.errors import ProbeFusionError
from probefusion.fusion import MeanFuser
from probefusion.types import EmbeddingSet, FusionState, Template, TemplateSet

NUM_FLIPS = 200


def facts_of(thing: Any) -> list[Any]:
    """All that a file tells, as arrays and plain values."""
    if isinstance(thing, TemplateSet):
        states = [facts_of(state) for state in thing.states or ()]
        return [thing.ids, thing.vectors, thing.num_images, thing.fuser, thing.embedder, states]
    return [value for name, value in sorted(vars(thing).items()) if name != "origin"]


def is_same(first: Any, second: Any) -> bool:
    if isinstance(first, list):
        return len(first) == len(second) and all(map(is_same, first, second))
    if isinstance(first, np.ndarray):
        return isinstance(second, np.ndarray) and (
            first.dtype == second.dtype and np.array_equal(first, second)
        )
    return type(first) is type(second) and first == second


def read(kind: type[Any], path: Path) -> tuple[Any, str | None]:
    """What a file holds, or why it is refused."""
    try:
        return kind.load(path), None
    except ProbeFusionError as error:
        return None, str(error)


def embedding_set(rng: np.random.Generator) -> EmbeddingSet:
    return EmbeddingSet(
        embeddings=rng.standard_normal((5, 8)),
        style=rng.standard_normal((5, 3, 2)),
        quality=rng.standard_normal(5),
        media_ids=np.arange(5),
        sources=np.array(["a", "b", "ç", "d", "e"]),
        embedder="net@1",
    )


def template_set(rng: np.random.Generator) -> TemplateSet:
    fuser, sets = MeanFuser(), {name: embedding_set(rng) for name in ("ann", "bob", "çem")}
    states = {name: fuser.encode(images) for name, images in sets.items()}
    return TemplateSet.of(
        {name: fuser.finish(state) for name, state in states.items()}, states=states
    )


CASES: dict[str, tuple[Callable[[np.random.Generator], Any], type[Any]]] = {
    "set.npz": (embedding_set, EmbeddingSet),
    "template.npz": (lambda rng: MeanFuser().fuse(embedding_set(rng)), Template),
    "state.safetensors": (lambda rng: MeanFuser().encode(embedding_set(rng)), FusionState),
    "templates.npz": (template_set, TemplateSet),
    "templates.parquet": (template_set, TemplateSet),
}


@pytest.mark.parametrize("name", CASES)
def test_no_flipped_bit_gives_another_answer(
    name: str, tmp_path: Path, rng: np.random.Generator
) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    make, kind = CASES[name]
    thing = make(rng)
    path = tmp_path / name
    thing.save(path)
    right = facts_of(thing)
    assert is_same(facts_of(kind.load(path)), right)
    sound = path.read_bytes()
    refused = 0
    for bit in rng.choice(8 * len(sound), NUM_FLIPS, replace=False).tolist():
        damaged = bytearray(sound)
        damaged[bit // 8] ^= 1 << bit % 8
        path.write_bytes(damaged)
        found, error = read(kind, path)
        if error is None:
            assert is_same(facts_of(found), right), f"bit {bit} gives another answer"
        else:
            assert name in error, f"bit {bit}: {error}"
            refused += 1
    assert refused > NUM_FLIPS / 4  # the rest lies in dates and padding


@pytest.mark.parametrize("name", CASES)
def test_a_cut_file_is_refused(name: str, tmp_path: Path, rng: np.random.Generator) -> None:
    if name.endswith(".parquet"):
        pytest.importorskip("pyarrow")
    make, kind = CASES[name]
    path = tmp_path / name
    make(rng).save(path)
    sound = path.read_bytes()
    for length in [0, 1, 7, *range(8, len(sound), max(1, len(sound) // 40)), len(sound) - 1]:
        path.write_bytes(sound[:length])
        with pytest.raises(ProbeFusionError, match=name):
            kind.load(path)
