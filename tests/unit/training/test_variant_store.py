from __future__ import annotations

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    EmptySetError,
    FileFormatError,
    MismatchError,
    MissingFileError,
)
from probefusion.training.extraction import extract_variants
from probefusion.training.variant_store import VariantStore, class_centres


def test_shapes_and_contents(store, extraction) -> None:
    people, read_image, embedder, _ = extraction
    count = sum(map(len, people.values()))
    assert store.embeddings.shape == (count, 4, 12)
    assert store.style.shape == (count, 4, 6, 2)
    assert store.clean.shape == (count, 2, 12)
    row = store.sources.index("p1/1")
    image = read_image("p1/1")
    expected = embedder().embed(np.stack([image, image[:, ::-1]]))[0]
    # Another batch rounds otherwise.
    assert np.allclose(store.clean[row], expected, rtol=0, atol=1e-5 * np.abs(expected).max())
    assert store.subject_ids[store.subjects[row]] == "p1"


def test_a_killed_extraction_goes_on_and_gives_the_same(tmp_path, store, extraction) -> None:
    people, read_image, embedder, draw = extraction
    with pytest.raises(KeyboardInterrupt):
        extract_variants(people, read_image, embedder(10), draw, tmp_path / "again", recipe="test")
    with pytest.raises(FileFormatError, match="only 8 of"):
        VariantStore.open(tmp_path / "again")
    rest = embedder()
    again = extract_variants(people, read_image, rest, draw, tmp_path / "again", recipe="test")
    assert rest.calls == len(store.sources) - 8
    assert np.array_equal(again.embeddings, store.embeddings)
    assert np.array_equal(again.style, store.style)


def test_random_numbers_do_not_depend_on_the_other_people(tmp_path, store, extraction) -> None:
    people, read_image, embedder, draw = extraction
    few = {"p4": people["p4"]}
    alone = extract_variants(few, read_image, embedder(), draw, tmp_path / "few", recipe="test")
    rows = [store.sources.index(source) for source in alone.sources]
    assert np.array_equal(alone.embeddings, store.embeddings[rows])


def test_another_run_is_refused(tmp_path, extraction) -> None:
    people, read_image, embedder, draw = extraction
    extract_variants(people, read_image, embedder(), draw, tmp_path / "s", recipe="test")
    with pytest.raises(MismatchError, match="seed"):
        extract_variants(
            people, read_image, embedder(), draw, tmp_path / "s", recipe="test", seed=1
        )
    with pytest.raises(EmptySetError):
        extract_variants({}, read_image, embedder(), draw, tmp_path / "t", recipe="test")
    with pytest.raises(MissingFileError):
        VariantStore.open(tmp_path / "nowhere")


def test_values_beyond_half_precision_are_refused(tmp_path, extraction) -> None:
    people, read_image, embedder, draw = extraction
    large = embedder()
    large.matrix = large.matrix * 1e6
    with pytest.raises(ConfigError, match="half precision"):
        extract_variants(people, read_image, large, draw, tmp_path / "s", recipe="test")


def test_class_centres_are_unit_means_of_unit_embeddings(store) -> None:
    centres = class_centres(store)
    assert np.allclose(np.linalg.norm(centres, axis=1), 1, atol=1e-6)
    person = store.subject_ids.index("p2")
    rows = store.clean[store.subjects == person].reshape(-1, 12)
    mean = (rows / np.linalg.norm(rows, axis=1, keepdims=True)).mean(axis=0)
    assert np.allclose(centres[person], mean / np.linalg.norm(mean), atol=1e-6)


def test_other_images_of_the_same_names_are_refused(tmp_path, extraction) -> None:
    people, read_image, embedder, draw = extraction
    folder = tmp_path / "s"
    extract_variants(people, read_image, embedder(), draw, folder, recipe="test", content="first")
    with pytest.raises(MismatchError, match="content"):
        extract_variants(
            people, read_image, embedder(), draw, folder, recipe="test", content="second"
        )
