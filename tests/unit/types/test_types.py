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
    MissingFileError,
    NonFiniteError,
    OutputExistsError,
    ShapeError,
    ZeroLengthError,
)
from probefusion.types import EmbeddingSet, Template


def test_keeps_length_and_converts_to_float32() -> None:
    images = EmbeddingSet(embeddings=np.array([[3.0, 4.0]]))
    assert images.embeddings.dtype == np.float32
    assert images.norms.tolist() == [5.0]
    assert images.norms_known


def test_unit_embeddings_have_unknown_norms_unless_told() -> None:
    unit = np.eye(3)
    assert not EmbeddingSet(embeddings=unit).norms_known
    assert EmbeddingSet(embeddings=unit, norms_known=True).norms_known


@pytest.mark.parametrize(
    ("embeddings", "error", "words"),
    [
        (np.zeros((0, 4)), EmptySetError, "at least one image"),
        (np.ones(4), ShapeError, r"embedding\[None, :\]"),
        (np.ones((2, 3, 4)), ShapeError, r"expected shape \(\*, \*\)"),
        (np.ones((2, 4), dtype=int), DtypeError, "got int64"),
        (np.ones((2, 4), dtype=complex), DtypeError, "complex128"),
        (np.array([["a", "b"]]), DtypeError, "<U1"),
        ([[1.0, 2.0], [1.0]], ShapeError, "different lengths"),
        ([[1.0, 2.0], [np.nan, 1.0]], NonFiniteError, "embedding 1 has a NaN at position 0"),
        ([[1.0, np.inf], [1.0, 1.0]], NonFiniteError, "embedding 0 has an infinite value"),
        ([[1.0, 1.0], [1e300, 1.0]], NonFiniteError, "embedding 1 has an infinite value"),
        ([[1.0, 1.0], [0.0, 0.0]], ZeroLengthError, "embedding 1 has length 0"),
        ([[1.0, 1.0], [3e30, 0.0]], InvalidInputError, "embedding 1 has length 3e"),
        (np.ma.masked_array(np.ones((2, 2)), mask=True), DtypeError, "mask"),
    ],
)
def test_bad_embeddings_have_errors_of_their_own(embeddings, error, words) -> None:
    with pytest.raises(error, match=words) as caught:
        EmbeddingSet(embeddings=embeddings)
    assert isinstance(caught.value, ValueError)


def test_opposite_infinities_in_one_row_are_found() -> None:
    with pytest.raises(NonFiniteError):
        EmbeddingSet(embeddings=[[np.inf, -np.inf]])


def test_error_names_the_file_and_row(tmp_path) -> None:
    rows = np.ones((20, 4), dtype=np.float32)
    rows[17, 2] = np.nan
    np.savez(tmp_path / "probe.npz", embeddings=rows)
    with pytest.raises(NonFiniteError, match=r"embedding 17 of probe\.npz has a NaN"):
        EmbeddingSet.load(tmp_path / "probe.npz")


@pytest.mark.parametrize(
    ("style", "error"),
    [
        (np.ones((2, 5)), ShapeError),
        (np.ones((2, 5, 3)), ShapeError),
        (np.ones((3, 5, 2)), ShapeError),
        (np.full((2, 5, 2), np.nan), NonFiniteError),
        (np.ones((2, 5, 2), dtype=np.int32), DtypeError),
    ],
)
def test_bad_style(style, error) -> None:
    with pytest.raises(error, match="style"):
        EmbeddingSet(embeddings=np.ones((2, 4)), style=style)


def test_labels_must_be_one_per_image() -> None:
    with pytest.raises(ShapeError, match="media_ids"):
        EmbeddingSet(embeddings=np.ones((2, 4)), media_ids=[1])
    with pytest.raises(DtypeError, match="sources"):
        EmbeddingSet(embeddings=np.ones((2, 4)), sources=[1.5, 2.5])
    with pytest.raises(DtypeError, match="embedder"):
        EmbeddingSet(embeddings=np.ones((2, 4)), embedder=7)


def test_arrays_are_read_only(make_set) -> None:
    images = make_set()
    with pytest.raises(ValueError, match="read-only"):
        images.embeddings[0, 0] = 1


def test_indexing_keeps_every_column(make_set) -> None:
    images = make_set(5, sources=list("abcde"), media_ids=[1, 1, 2, 2, 3], embedder="net@1")
    part = images[[4, 0]]
    assert part.sources.tolist() == ["e", "a"]
    assert part.media_ids.tolist() == [3, 1]
    assert part.embedder == "net@1"
    assert np.array_equal(part.style, images.style[[4, 0]])
    assert images[1:3].num_images == 2
    with pytest.raises(EmptySetError):
        images[[]]
    for wrong in (2, [99], [True, False], [0.5]):
        with pytest.raises(ShapeError):
            images[wrong]


def test_chunks_cover_the_set(make_set) -> None:
    images = make_set(7)
    parts = list(images.chunks(3))
    assert [len(part) for part in parts] == [3, 3, 1]
    assert np.array_equal(np.concatenate([p.embeddings for p in parts]), images.embeddings)
    with pytest.raises(InvalidInputError):
        list(images.chunks(0))


def test_concatenate(make_set) -> None:
    first, second = make_set(2, embedder="a"), make_set(3, embedder="a")
    both = EmbeddingSet.concatenate([first, second])
    assert both.num_images == 5
    assert np.array_equal(both.style[2:], second.style)
    with pytest.raises(EmbedderMismatchError, match="b"):
        EmbeddingSet.concatenate([first, make_set(2, embedder="b")])
    with pytest.raises(ShapeError, match="style"):
        EmbeddingSet.concatenate([first, make_set(2, channels=0, embedder="a")])
    with pytest.raises(ShapeError, match="dimension"):
        EmbeddingSet.concatenate([first, make_set(2, dim=3, embedder="a")])
    with pytest.raises(EmptySetError):
        EmbeddingSet.concatenate([])


def test_set_survives_saving(tmp_path, make_set) -> None:
    images = make_set(4, sources=list("wxyz"), media_ids=[1, 2, 3, 4], embedder="net@1")
    images.save(tmp_path / "set.npz")
    again = EmbeddingSet.load(tmp_path / "set.npz")
    for name in ("embeddings", "style", "media_ids", "sources"):
        assert np.array_equal(getattr(again, name), getattr(images, name))
    assert again.embedder == "net@1"
    assert again.norms_known == images.norms_known
    with pytest.raises(OutputExistsError):
        images.save(tmp_path / "set.npz")
    images.save(tmp_path / "set.npz", force=True)
    assert [path.name for path in tmp_path.iterdir()] == ["set.npz"]


def test_bad_set_files(tmp_path, make_set) -> None:
    with pytest.raises(MissingFileError):
        EmbeddingSet.load(tmp_path / "none.npz")
    (tmp_path / "text.npz").write_text("not an archive")
    with pytest.raises(FileFormatError, match=r"text\.npz"):
        EmbeddingSet.load(tmp_path / "text.npz")
    np.savez(tmp_path / "key.npz", embedding=np.ones((2, 2)))
    with pytest.raises(FileFormatError, match=r"missing \['embeddings'"):
        EmbeddingSet.load(tmp_path / "key.npz")
    np.savez(tmp_path / "object.npz", embeddings=np.array([{"a": 1}], dtype=object))
    with pytest.raises(FileFormatError, match="object"):
        EmbeddingSet.load(tmp_path / "object.npz")
    np.savez(tmp_path / "new.npz", embeddings=np.ones((2, 2)), format_version=99)
    with pytest.raises(FileFormatError, match="newer"):
        EmbeddingSet.load(tmp_path / "new.npz")
    make_set().save(tmp_path / "cut.npz")
    data = (tmp_path / "cut.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(FileFormatError):
        EmbeddingSet.load(tmp_path / "cut.npz")
    Template(vector=np.array([1.0, 0.0]), num_images=1).save(tmp_path / "template.npz")
    with pytest.raises(FileFormatError, match="'template'"):
        EmbeddingSet.load(tmp_path / "template.npz")


def test_template_must_be_a_unit_vector_with_shares() -> None:
    with pytest.raises(InvalidInputError, match="unit length"):
        Template(vector=np.array([1.0, 1.0]), num_images=1)
    with pytest.raises(InvalidInputError, match="num_images"):
        Template(vector=np.array([1.0, 0.0]), num_images=0)
    with pytest.raises(InvalidInputError, match="sum 1"):
        Template(vector=np.array([1.0, 0.0]), num_images=2, weights=np.array([0.5, 0.7]))
    with pytest.raises(InvalidInputError, match=r"minimum -0.5"):
        Template(vector=np.array([1.0, 0.0]), num_images=2, weights=np.array([-0.5, 1.5]))
    with pytest.raises(ShapeError, match="weights"):
        Template(vector=np.array([1.0, 0.0]), num_images=2, weights=np.array([1.0]))


def test_template_similarity_and_mismatches() -> None:
    east = Template(vector=np.array([1.0, 0.0]), num_images=1, fuser="f", embedder="e")
    north = Template(vector=np.array([0.0, 1.0]), num_images=1, fuser="f", embedder="e")
    assert east.similarity(east) == 1.0
    assert east.similarity(north) == 0.0
    with pytest.raises(FuserMismatchError):
        east.similarity(Template(vector=np.array([1.0, 0.0]), num_images=1, fuser="g"))
    with pytest.raises(EmbedderMismatchError):
        east.similarity(Template(vector=np.array([1.0, 0.0]), num_images=1, embedder="d"))
    with pytest.raises(ShapeError):
        east.similarity(Template(vector=np.array([1.0, 0.0, 0.0]), num_images=1))


def test_template_survives_saving(tmp_path) -> None:
    template = Template(
        vector=np.array([0.6, 0.8]), num_images=2, fuser="f", weights=np.array([0.25, 0.75])
    )
    template.save(tmp_path / "t.npz")
    again = Template.load(tmp_path / "t.npz")
    assert np.array_equal(again.vector, template.vector)
    assert np.array_equal(again.weights, template.weights)
    assert (again.num_images, again.fuser, again.embedder) == (2, "f", None)
