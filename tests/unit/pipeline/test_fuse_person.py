"""Everything that there is of one person to one template."""

from __future__ import annotations

import logging
import pickle
import zipfile

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmbedderMismatchError,
    EmptySetError,
    MissingFileError,
    ShapeError,
    UnsupportedOperationError,
)
from probefusion.pipeline import Pipeline
from probefusion.types import EmbeddingSet, FusionState, Template
from probefusion.zoo import load_fuser


@pytest.fixture
def crops(people_of, tmp_path):
    return people_of(tmp_path / "ann", 3)


@pytest.fixture
def people_of(write):
    """Writes crops of one colour each, of growing brightness."""

    def make(folder, count, colour=(1, 0.2, 0.2)):
        for number in range(count):
            crop = np.full((112, 112, 3), 90 + 20 * number, float) * colour
            write(folder / f"{number}.png", crop.astype(np.uint8))
        return folder

    return make


def test_arrays_give_what_the_fuser_gives(make_set, any_fuser) -> None:
    images = make_set(7, embedder="net@1")
    fused = Pipeline(fuser=any_fuser).fuse(images)
    expected = any_fuser.fuse(images)
    assert np.abs(fused.template.vector - expected.vector).max() < 1e-6
    assert np.abs(fused.template.weights - expected.weights).max() < 1e-6
    assert fused.state.num_images == fused.num_images == 7
    assert fused.template.fuser == expected.fuser
    assert np.array_equal(any_fuser.finish(fused.state).vector, fused.template.vector)


def test_several_sets_weigh_as_one(make_set, fuser_folders) -> None:
    images = make_set(9, embedder="net@1", sources=[f"{k}.jpg" for k in range(9)])
    pipeline = Pipeline(fuser=fuser_folders["exact"])
    parts, whole = pipeline.fuse([images[:4], images[4:]]), pipeline.fuse(images)
    assert np.abs(parts.template.vector - whole.template.vector).max() < 1e-6
    assert np.abs(parts.template.weights - whole.template.weights).max() < 1e-6
    assert parts.sources == whole.sources == tuple(f"{k}.jpg" for k in range(9))


def test_a_state_is_added_to(make_set) -> None:
    images = make_set(9)
    pipeline = Pipeline(fuser="norm-weighted")
    before = pipeline.fuse(images[:4]).state
    fused = Pipeline().fuse([before, images[4:]])  # the fuser is that of the state
    assert np.abs(fused.template.vector - pipeline.fuse(images).template.vector).max() < 1e-6
    assert fused.num_images == 9
    assert fused.template.weights is None
    assert fused.sources is None
    with pytest.raises(UnsupportedOperationError, match="saved state"):
        fused.explain()


def test_chunks_matter_for_official_fusers_only(make_set, fuser_folders) -> None:
    images = make_set(6, embedder="net@1")
    for name, differs in (("exact", False), ("official", True)):
        whole, chunked = (
            Pipeline(fuser=fuser_folders[name], chunk_size=size).fuse(images).template.vector
            for size in (None, 2)
        )
        assert (np.abs(whole - chunked).max() > 1e-6) == differs


def test_explain_by_falling_weight(make_set) -> None:
    images = make_set(5, sources=list("abcde"))
    fused = Pipeline(fuser="norm-weighted").fuse(images)
    rows = fused.explain()
    order = np.argsort(-images.norms)
    assert [row.source for row in rows] == [list("abcde")[row] for row in order]
    assert sum(row.weight for row in rows) == pytest.approx(1, abs=1e-6)
    units = images.embeddings / images.norms[:, None]
    for row, place in zip(rows, order, strict=True):
        assert row.weight == pytest.approx(images.norms[place] / images.norms.sum(), abs=1e-6)
        assert row.similarity == pytest.approx(units[place] @ fused.template.vector, abs=1e-6)
    again = pickle.loads(pickle.dumps(fused))
    assert again.explain() == rows


def test_images_without_names_are_counted(rng) -> None:
    fused = Pipeline(fuser="mean").fuse(rng.standard_normal((2, 8)))
    assert fused.sources is None
    assert {row.source for row in fused.explain()} == {"image 0", "image 1"}


def test_names_where_only_some_are_known(make_set, tmp_path) -> None:
    np.save(tmp_path / "bare.npy", make_set(2).embeddings)
    named = make_set(1, sources=["x.jpg"], channels=0, embedder=None)
    fused = Pipeline(fuser="mean").fuse([tmp_path / "bare.npy", named])
    assert fused.sources == ("bare.npy[0]", "bare.npy[1]", "x.jpg")


def test_a_folder_of_crops(crops, embedder, write, tmp_path) -> None:
    (crops / "broken.jpg").write_bytes(b"no picture")
    write(crops / "black.png", np.zeros((112, 112, 3), np.uint8))
    fused = Pipeline(embedder, aligned=True).fuse(crops)
    assert fused.num_images == 3
    assert fused.template.fuser.startswith("universal@")  # no bundled fuser was made for it
    reasons = {image.source.rsplit("/", 1)[1]: image.reason for image in fused.skipped}
    assert reasons.keys() == {"broken.jpg", "black.png"}
    assert "without length" in reasons["black.png"]
    assert fused.num_faces is None
    text = str(fused)
    assert text.startswith("3 images fused by universal@")
    assert "skipped 2 images:" in text
    assert "broken.jpg: no JPEG" in text


def test_photos_take_the_largest_face(draw, write, tmp_path, detector, embedder) -> None:
    for number, sides in enumerate(({"red": 40, "blue": 80}, {"blue": 60})):
        write(tmp_path / "ann" / f"{number}.png", draw(**sides))
    fused = Pipeline(embedder, detector=detector).fuse(tmp_path / "ann")
    assert int(fused.template.vector.argmax()) == 2
    assert fused.num_faces.tolist() == [2, 1]


def test_pixels_in_memory(draw, detector, embedder) -> None:
    photos = np.stack([draw(red=50), draw(), draw(red=70, green=40)])
    pipeline = Pipeline(embedder, detector=detector)
    fused = pipeline.fuse(photos)
    assert fused.sources == ("input 0[0]", "input 0[2]")
    assert fused.num_faces.tolist() == [1, 2]
    assert [(image.source, image.reason) for image in fused.skipped] == [
        ("input 0[1]", "no face found")
    ]
    with pytest.raises(EmptySetError, match="none of 1 images could be used"):
        pipeline.fuse(draw())
    crop = np.full((1, 112, 112, 3), 90, np.uint8)
    assert Pipeline(embedder, aligned=True).fuse(crop).num_images == 1


def test_models_are_loaded_when_needed_and_once(crops, tiny_embedder, monkeypatch) -> None:
    from probefusion import zoo

    loads = []
    original = zoo.load_embedder
    monkeypatch.setattr(
        zoo, "load_embedder", lambda *given, **more: loads.append(1) or original(*given, **more)
    )
    pipeline = Pipeline(tiny_embedder, aligned=True)
    assert loads == []
    first, second = pipeline.fuse(crops), pipeline.fuse(crops)
    assert loads == [1]
    assert np.array_equal(first.template.vector, second.template.vector)
    assert first.template.embedder.startswith("tiny@")


def test_the_choice_of_models_is_logged(crops, caplog) -> None:
    with caplog.at_level(logging.INFO, "probefusion"):
        fused = Pipeline(aligned=True).fuse(crops)
    assert fused.template.embedder.startswith("compact_128d@")
    assert fused.template.fuser.startswith("exact.compact_128d")
    assert "embedder: compact_128d of this package" in caplog.text
    assert "fuser: exact.compact_128d" in caplog.text


def test_images_of_which_it_is_not_said_what_they_are(crops) -> None:
    with pytest.raises(ConfigError, match=r"photos need a face detector.*aligned=True"):
        Pipeline().fuse(crops)


def test_the_named_embedder_is_stated_of_bare_embeddings(make_set, tiny_embedder) -> None:
    bare = make_set(4, channels=0).embeddings
    stated = Pipeline(tiny_embedder, fuser="mean").fuse(bare)
    assert stated.template.embedder.startswith("tiny@")
    assert stated.state.embedder == stated.template.embedder
    assert Pipeline(fuser="mean").fuse(bare).template.embedder is None  # none is made up
    other = EmbeddingSet(embeddings=bare, embedder="net@1")
    with pytest.raises(EmbedderMismatchError, match="say that they are of net@1, got tiny@"):
        Pipeline(tiny_embedder).fuse(other)
    with pytest.raises(ShapeError, match=r"gives 16 dimensions, the embeddings of .* have 4"):
        Pipeline(tiny_embedder).fuse(np.eye(3, 4))


def test_a_stated_embedder_finds_its_fuser(rng) -> None:
    """For bare rows of the embedder of the package, the fuser that needs no style."""
    fused = Pipeline("compact_128d").fuse(30 * rng.standard_normal((4, 128)))
    assert fused.template.fuser.startswith("exact-embedding.compact_128d")


def test_a_folder_of_people_is_refused(people_of, embedder, tmp_path) -> None:
    root = tmp_path / "people"
    people_of(root / "ann", 2)
    people_of(root / "bob", 2, colour=(0.2, 0.2, 1))
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    with pytest.raises(ConfigError, match=r"2 folders of images \(ann, bob\).*--one-person"):
        pipeline.fuse(root)
    assert pipeline.fuse(root, one_person=True).num_images == 4
    archive = tmp_path / "people.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for path in root.rglob("*.png"):
            packed.write(path, path.relative_to(tmp_path).as_posix())
    with pytest.raises(ConfigError, match=r"--people"):
        pipeline.fuse(archive)
    assert pipeline.fuse(archive, one_person=True).num_images == 4


def test_read_sets_fuses_nothing(make_set, crops, embedder, tmp_path) -> None:
    np.save(tmp_path / "a.npy", make_set(2, dim=3, channels=0).embeddings)
    pipeline = Pipeline(embedder, aligned=True)
    read = pipeline.read_sets([crops, tmp_path / "a.npy"])
    assert [images.num_images for images in read.sets] == [2, 3]
    assert read.skipped == read.problems == ()
    state = Pipeline(fuser="mean").fuse(np.eye(2, 3)).state
    with pytest.raises(ConfigError, match="saved state"):
        pipeline.read_sets(state)


def test_embed_keeps_what_any_fuser_needs(crops, tiny_embedder) -> None:
    images = Pipeline(tiny_embedder, aligned=True, fuser="mean").embed(crops).embedding_set
    assert images.style.shape == (3, 6, 2)
    assert images.quality.shape == (3,)


def test_wrong_inputs(tmp_path, rng) -> None:
    pipeline = Pipeline(fuser="mean")
    template = Template(vector=np.array([1.0, 0.0]), num_images=1)
    for wrong, error, words in (
        ([], EmptySetError, "at least one"),
        (template, ConfigError, "a template, which cannot be added to"),
        ([3.0], DtypeError, "got float"),
        (np.zeros((4, 4), np.uint8), DtypeError, "Embeddings are floating point"),
        (np.ones((2, 4), int), DtypeError, "expected float16, float32 or float64"),
        (tmp_path / "none.npz", MissingFileError, "does not exist"),
    ):
        with pytest.raises(error, match=words):
            pipeline.fuse(wrong)


def test_settings_that_contradict_each_other(embedder) -> None:
    for settings, words in (
        ({"aligned": True, "detector": "yunet_2023mar"}, "--aligned, --detector"),
        ({"chunk_size": 0}, "chunk_size"),
        ({"embedder": embedder, "preprocessing": "arcface"}, "preprocessing"),
    ):
        with pytest.raises(ConfigError, match=words):
            Pipeline(**settings)


def test_a_state_of_an_unknown_fuser() -> None:
    state = FusionState(
        mass=np.ones(1),
        sums=np.ones((1, 4)),
        style_sums=np.zeros((1, 0)),
        num_images=1,
        fuser="mine.net.r1@abc",
    )
    with pytest.raises(ConfigError, match="--fuser DIR"):
        Pipeline().fuse(state)


def test_fuser_objects_are_taken_as_they_are(make_set) -> None:
    fuser = load_fuser("mean")
    assert Pipeline(fuser=fuser).choose_fuser([make_set(2)]) is fuser
