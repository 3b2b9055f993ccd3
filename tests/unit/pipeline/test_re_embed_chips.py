"""A gallery moved to another embedder without the photos, from the small pictures that it keeps."""

from __future__ import annotations

import shutil

import numpy as np
import pytest

from probefusion.errors import ConfigError
from probefusion.evaluation.drawn_people import write_crops
from probefusion.gallery import Gallery, MasterKey
from probefusion.pipeline import Pipeline
from probefusion.pipeline.re_embed_chips import re_embed_chips
from probefusion.zoo import load_embedder

pytest.importorskip("onnx")


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Aligned crops of three people, six each."""
    folder = tmp_path_factory.mktemp("crops") / "people"
    write_crops(folder)
    return folder


@pytest.fixture(scope="module")
def new():
    """A pipeline with another embedder: the one inside, fed in the other order of channels."""
    embedder = load_embedder(settings={"name": "other", "channel_order": "BGR"}, num_threads=1)
    return Pipeline(embedder, aligned=True, fuser="mean")


@pytest.fixture(scope="module")
def enrolled(people, tmp_path_factory):
    """A file with a gallery of two people with pictures and one without, sealed with a key; and the key."""
    pytest.importorskip("cryptography")
    path, keys = tmp_path_factory.mktemp("gallery") / "people.db", MasterKey.generate()
    with Gallery(path, fuser="mean", keys=keys) as gallery:
        for name, keep in (("person-1", True), ("person-2", True), ("person-3", False)):
            old = Pipeline(aligned=True, fuser="mean", keep_chips=keep)
            gallery.enroll(name, old.embed(people / name))
    return path.parent, keys


@pytest.fixture
def gallery(enrolled, tmp_path):
    folder, keys = enrolled
    shutil.copytree(folder, tmp_path / "copy")
    with Gallery(tmp_path / "copy" / "people.db", fuser="mean", keys=keys) as opened:
        yield opened


def test_pictures_give_nearly_what_the_photos_give(gallery, new, people):
    model = gallery.add_model(fuser="mean", embedder=new.embedder)
    first = gallery.person("person-1").contributions[0]
    gallery.remove(image=first.images[2].id)
    told = []
    done = list(re_embed_chips(gallery, new, model, progress=lambda *now: told.append(now)))
    assert told[-1] == ("contributions", 3, 3)
    assert [(each.name, each.reason == "") for each in done] == [
        ("person-1", True),
        ("person-2", True),
        ("person-3", False),
    ]
    assert "has no small picture" in done[2].reason
    assert set(gallery.missing(model)) == {done[2].contribution_id}
    gallery.forget("person-3")
    gallery.re_fuse(model)
    gallery.serve(model)
    for name in ("person-1", "person-2"):
        photos = new.fuse(sorted((people / name).iterdir()))
        kept = gallery.template(name)
        assert kept.embedder == new.embedder.fingerprint
        assert kept.num_images == (5 if name == "person-1" else 6)
        assert float(kept.vector @ photos.template.vector) > 0.97
    assert (
        gallery.search(new.embed(people / "person-2").embedding_set).candidates[0].name
        == "person-2"
    )


def test_pictures_of_another_size_are_left_out(gallery, new):
    from probefusion.faces.jpeg import encode_jpeg

    small = encode_jpeg(np.zeros((60, 60, 3), np.uint8))
    images = gallery.images_of("person-1")
    gallery.enroll("ann", images[:1], chips=[small])
    model = gallery.add_model(fuser="mean", embedder=new.embedder)
    reasons = {each.name: each.reason for each in re_embed_chips(gallery, new, model)}
    assert "expected 112 x 112 pixels" in reasons["ann"]


def test_another_embedder_than_the_models_is_refused(gallery, new):
    model = gallery.add_model(fuser="mean", embedder=new.embedder)
    with pytest.raises(ConfigError, match="Name that one: --embedder"):
        next(re_embed_chips(gallery, Pipeline(aligned=True), model))
