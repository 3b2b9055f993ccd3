"""A gallery of a release that counted a file under each of its names, by links, is moved from the same folder."""

from __future__ import annotations

import pytest

from probefusion.evaluation.drawn_people import write_crops
from probefusion.gallery import Gallery
from probefusion.pipeline import Pipeline
from probefusion.pipeline.enroll_people import enroll_people, source_of_folder
from probefusion.pipeline.re_embed_people import re_embed_people
from probefusion.zoo import load_embedder

pytest.importorskip("onnx")


@pytest.fixture
def people(tmp_path):
    """Aligned crops of people, six each; the first has one of them under a second name."""
    folder = tmp_path / "people"
    write_crops(folder)
    (folder / "person-1" / "0.png").symlink_to(folder / "person-1" / "1.png")
    return folder


def embed_again(gallery):
    """Embeds a gallery anew by the embedder inside, fed in the other order of channels."""
    embedder = load_embedder(settings={"name": "other", "channel_order": "BGR"}, num_threads=1)
    model = gallery.add_model(fuser="mean", embedder=embedder)
    pipeline = Pipeline(embedder, aligned=True, fuser="mean")
    return model, lambda folder: list(re_embed_people(gallery, pipeline, folder, model))


@pytest.mark.parametrize("keep", ["features", "state"])
def test_names_of_one_file_count_as_the_gallery_counted_them(people, tmp_path, keep) -> None:
    own = people / "person-1"
    images = Pipeline(aligned=True, fuser="mean").embed(sorted(own.iterdir())).embedding_set
    assert len(images) == 7  # as a former release took the folder
    with Gallery(tmp_path / "people.db", fuser="mean", keep=keep) as gallery:
        gallery.enroll("person-1", images, source=source_of_folder(own))
        model, run = embed_again(gallery)
        assert [(done.num_images, done.reason) for done in run(people)] == [(7, "")]
        assert gallery.missing(model) == ()


@pytest.mark.parametrize("keep", ["features", "state"])
def test_names_of_one_file_count_once_where_they_were_counted_once(people, tmp_path, keep) -> None:
    with Gallery(tmp_path / "people.db", fuser="mean", keep=keep) as gallery:
        list(enroll_people(gallery, Pipeline(aligned=True, fuser="mean"), people))
        model, run = embed_again(gallery)
        assert {(done.num_images, done.reason) for done in run(people)} == {(6, "")}
        assert gallery.missing(model) == ()
