"""Embeddings of which nobody says what made them, at every door to a fuser made for one embedder."""

from __future__ import annotations

import numpy as np
import pytest

import probefusion
from probefusion.archives import fuse_archive, open_archive
from probefusion.errors import ConfigError, EmbedderMismatchError
from probefusion.files import read_npz
from probefusion.pipeline import Pipeline
from probefusion.types import EmbeddingSet, Template, TemplateSet
from probefusion.zoo import load_embedder, load_fuser

UNKNOWN = r"nothing says which network made them.*--embedder compact_128d"


@pytest.fixture(scope="module")
def fuser():
    """The bundled fuser that looks at embeddings alone; made for the bundled embedder."""
    return load_fuser("exact-embedding", num_threads=1)


@pytest.fixture
def rows(rng):
    return 7 * rng.standard_normal((6, 128)).astype(np.float32)


@pytest.fixture
def file(tmp_path, rows):
    np.save(tmp_path / "rows.npy", rows)
    return tmp_path / "rows.npy"


def test_nothing_is_fused_silently(file, rows, fuser) -> None:
    bare = EmbeddingSet(embeddings=rows)
    doors = {
        "fuse a set": lambda: fuser.fuse(bare),
        "in chunks": lambda: fuser.fuse(bare, chunk_size=2),
        "encode": lambda: fuser.encode(bare),
        "encode with shares": lambda: fuser.encode_with_shares(bare),
        "many": lambda: fuser.fuse_many(bare, [0, 2, 6]),
        "states of many": lambda: fuser.encode_many(bare, [0, 2, 6]),
        "function": lambda: probefusion.fuse(rows, fuser="exact-embedding"),
        "pipeline, array": lambda: Pipeline(fuser=fuser).fuse(rows),
        "pipeline, file": lambda: Pipeline(fuser="exact-embedding").fuse(file),
        "compare": lambda: Pipeline(fuser=fuser).compare(file, bare),
    }
    for door in doors.values():
        with pytest.raises(EmbedderMismatchError, match=UNKNOWN):
            door()


def test_a_statement_is_enough_at_every_door(file, rows, fuser) -> None:
    stated = EmbeddingSet(embeddings=rows, embedder=fuser.embedder)
    expected = fuser.fuse(stated).vector
    network = load_embedder()
    for embedder in ("compact_128d", fuser.embedder, network):
        found = probefusion.fuse(rows, fuser="exact-embedding", embedder=embedder)
        assert np.array_equal(found, expected)
        fused = Pipeline(embedder, fuser="exact-embedding").fuse(file)
        assert fused.template.embedder == fuser.embedder
        assert np.abs(fused.template.vector - expected).max() < 1e-6
    comparison = Pipeline("compact_128d", fuser=fuser).compare(file, EmbeddingSet(embeddings=rows))
    assert comparison.similarity == pytest.approx(1, abs=1e-6)
    assert comparison.embedder == fuser.embedder


def test_another_embedder_than_the_fuser_is_for(file, rows, fuser) -> None:
    for door in (
        lambda: probefusion.fuse(rows, fuser=fuser, embedder="other@123456789abc"),
        lambda: Pipeline("other@123456789abc", fuser=fuser).fuse(file),
    ):
        with pytest.raises(EmbedderMismatchError, match="other@123456789abc"):
            door()
    labelled = EmbeddingSet(embeddings=rows, embedder="net@1")
    with pytest.raises(EmbedderMismatchError, match="says that it is of net@1"):
        probefusion.fuse(labelled, fuser="mean", embedder="compact_128d")


def test_no_label_is_invented(file, rows) -> None:
    for name in ("auto", "mean", "norm-weighted"):
        fused = Pipeline(fuser=name).fuse(file)
        assert fused.template.embedder is None
        assert fused.state.embedder is None
    assert load_fuser("mean").fuse(EmbeddingSet(embeddings=rows)).embedder is None


def test_a_state_of_unknown_images_is_not_mixed_with_known_ones(tmp_path, file, rows) -> None:
    mean = Pipeline(fuser="mean")
    mean.fuse(file).state.save(tmp_path / "bare.safetensors")
    known = EmbeddingSet(embeddings=rows, embedder=load_fuser("exact-embedding").embedder)
    with pytest.raises(EmbedderMismatchError, match="nobody said what made its embeddings"):
        mean.fuse([tmp_path / "bare.safetensors", known])
    fused = Pipeline("compact_128d", fuser="mean").fuse([tmp_path / "bare.safetensors", known])
    assert fused.template.num_images == 12
    assert fused.template.embedder == known.embedder
    mean.fuse(known).state.save(tmp_path / "known.safetensors")
    other = Pipeline("other@1", fuser="mean")
    with pytest.raises(EmbedderMismatchError, match=r"of compact_128d@\w+, got other@1"):
        other.fuse(tmp_path / "known.safetensors")


def test_a_fingerprint_embeds_no_images(tmp_path) -> None:
    (tmp_path / "a.png").write_bytes(b"")
    with pytest.raises(ConfigError, match="is a fingerprint, which says what made embeddings"):
        Pipeline("other@123456789abc", aligned=True).fuse(tmp_path / "a.png")


def test_an_archive_that_does_not_say_what_made_it(tmp_path, rows, fuser) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    np.save(folder / "embeddings.npy", rows)
    np.save(folder / "template_ids.npy", [1, 1, 1, 2, 2, 2])
    with pytest.raises(EmbedderMismatchError, match=UNKNOWN):
        fuse_archive(open_archive(folder), fuser, tmp_path / "no.npz")
    stated = open_archive(folder, embedder=fuser.embedder)
    fuse_archive(stated, fuser, tmp_path / "t.npz")
    templates = TemplateSet.load(tmp_path / "t.npz")
    assert templates.embedder == fuser.embedder
    expected = fuser.fuse(EmbeddingSet(embeddings=rows[:3], embedder=fuser.embedder)).vector
    assert np.abs(templates.vectors[0] - expected).max() < 1e-6
    fuse_archive(open_archive(folder), load_fuser("mean"), tmp_path / "mean.npz")
    arrays = read_npz(
        tmp_path / "mean.npz",
        kind="templates",
        version=1,
        required=frozenset({"template_ids", "num_images", "embeddings", "fuser"}),
        optional=frozenset({"embedder"}),
    )
    assert "embedder" not in arrays
    (folder / "embedder.txt").write_text("net@1")
    with pytest.raises(EmbedderMismatchError, match=r"says that its embeddings are of net@1"):
        open_archive(folder, embedder=fuser.embedder)


def test_templates_carry_what_was_stated(file, fuser, tmp_path) -> None:
    fused = Pipeline("compact_128d", fuser=fuser).fuse(file)
    fused.template.save(tmp_path / "t.npz")
    assert Template.load(tmp_path / "t.npz").embedder == fuser.embedder
