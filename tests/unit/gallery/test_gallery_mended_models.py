"""Models that cannot serve: nobody may become unfindable, and nobody else be kept from writing."""

from __future__ import annotations

import shutil

import numpy as np
import pytest
from bundled_models import COMPACT

from gallery_people import MadeUp, stored_bits
from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmbedderMismatchError,
    FuserMismatchError,
    MissingQualityError,
    ShapeError,
)
from probefusion.gallery import Gallery
from probefusion.types import EmbeddingSet, FusionState
from probefusion.zoo import trained_fusers

OLD = MadeUp(embedder="old_64d@000000000000")
NEW = MadeUp(seed=77, dim=96, embedder="new_96d@111111111111")


@pytest.fixture
def gallery(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as opened:
        yield opened


def test_a_fuser_that_cannot_fuse_what_is_kept_is_refused_at_once(gallery):
    gallery.enroll("ann", OLD.images(0, 0))
    with pytest.raises(MissingQualityError):
        gallery.add_model(fuser="universal")
    gallery.enroll("bob", OLD.images(1, 0))
    assert len(gallery.models()) == 1


def test_a_model_that_does_not_serve_keeps_nobody_from_writing(gallery):
    good = OLD.images(0, 0)
    with_quality = EmbeddingSet(
        embeddings=good.embeddings, quality=np.full(len(good), 0.5), embedder=good.embedder
    )
    gallery.enroll("ann", with_quality)
    model = gallery.add_model(fuser="universal")
    gallery.re_fuse(model)
    bob = gallery.enroll("bob", OLD.images(1, 0))  # without quality
    assert gallery.missing(model) == (bob.contribution_id,)
    assert [each.num_missing for each in gallery.models()] == [0, 1]
    with pytest.raises(MissingQualityError):
        gallery.re_fuse(model)
    with pytest.raises(ConfigError, match="1 contributions have nothing"):
        gallery.serve(model)
    assert gallery.search(OLD.images(1, 9), threshold=0.5).name == "bob"
    assert gallery.check() == ()


@pytest.mark.parametrize(
    ("dim", "error"), [(-3, ConfigError), (0, ConfigError), ("64", DtypeError), (32, ShapeError)]
)
def test_a_dimension_that_cannot_be_is_refused(gallery, dim, error):
    gallery.enroll("ann", OLD.images(0, 0))
    with pytest.raises(error, match=r"^dim: expected"):
        gallery.add_model(fuser="norm-weighted", dim=dim)
    gallery.add_model(fuser="norm-weighted", dim=np.int64(64))


def test_templates_that_another_process_took_away_are_asked_for(tmp_path):
    people = MadeUp(dim=128, embedder=COMPACT)
    name = next(name for name in trained_fusers() if "compact" in name)
    folder = tmp_path / "fuser"
    shutil.copytree(trained_fusers()[name], folder)
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        gallery.enroll("ann", people.images(0, 0))
        gallery.enroll("bob", people.images(1, 0))
        model = gallery.add_model(fuser=folder)
        gallery.re_fuse(model)
        folder.rename(tmp_path / "elsewhere")
        with Gallery(tmp_path / "people.db") as other:
            other.update("ann", people.images(0, 1), guard=False)
        with pytest.raises(ConfigError, match="1 people have no template by"):
            gallery.serve(model)
        gallery.re_fuse(model)
        gallery.serve(model)
        assert gallery.search(people.images(0, 9), threshold=0.5).name == "ann"
        assert gallery.check() == ()


def test_a_gallery_is_moved_whose_fuser_is_gone(tmp_path):
    people = MadeUp(dim=128, embedder=COMPACT)
    name = next(name for name in trained_fusers() if "compact" in name)
    folder = tmp_path / "fuser"
    shutil.copytree(trained_fusers()[name], folder)
    with Gallery(tmp_path / "people.db", fuser=folder) as gallery:
        contribution = gallery.enroll("ann", people.images(0, 0)).contribution_id
    folder.rename(tmp_path / "elsewhere")
    with Gallery(tmp_path / "people.db") as gallery:
        model = gallery.add_model(fuser="mean", embedder=NEW.embedder, dim=96)
        assert "which knows 0 of 1 people" in gallery.search(NEW.images(0, 9)).warnings[0]
        with pytest.raises(ConfigError, match=rf"by model {model} of .* or re_embed and re_fuse"):
            gallery.verify("ann", NEW.images(0, 9))
        gallery.re_embed({contribution: NEW.images(0, 0)})
        assert gallery.re_fuse(model) == ()
        gallery.serve(model)
        found = gallery.search(NEW.images(0, 9), threshold=0.5)
        assert (found.name, found.warnings) == ("ann", ())
    (tmp_path / "elsewhere").rename(folder)
    with Gallery(tmp_path / "people.db") as gallery:
        gallery.rollback()
        assert gallery.search(people.images(0, 9), threshold=0.3).name == "ann"
        assert gallery.check() == ()


def both_models(gallery):
    """Ann by two embedders; the newer serves."""
    added = gallery.enroll("ann", OLD.images(0, 0))
    model = gallery.add_model(fuser="mean", embedder=NEW.embedder, dim=96)
    gallery.re_embed({added.contribution_id: NEW.images(0, 0)})
    gallery.re_fuse(model)
    return gallery.serve(model)


def test_undoing_serve_asks_for_all_people_as_rollback_does(gallery):
    served = both_models(gallery)
    zed = gallery.enroll("zed", NEW.images(9, 0))
    before = gallery.revision
    for undo in (gallery.rollback, lambda: gallery.undo(served)):
        with pytest.raises(ConfigError, match=f"1 contributions .*{zed.contribution_id}"):
            undo()
    assert gallery.revision == before
    assert gallery.search(NEW.images(9, 9), threshold=0.5).name == "zed"
    gallery.forget("zed")
    gallery.undo(served)
    assert gallery.search(OLD.images(0, 9), threshold=0.5).name == "ann"


def test_what_the_serving_model_could_not_find_is_not_added(gallery):
    gallery.enroll("ann", OLD.images(0, 0))
    model = gallery.add_model(fuser="mean", embedder=NEW.embedder, dim=96)
    before = stored_bits(gallery)
    with pytest.raises(EmbedderMismatchError, match=f"model {model} does not"):
        gallery.enroll("zed", NEW.images(9, 0))
    with pytest.raises(EmbedderMismatchError, match="nobody would find them"):
        gallery.update("ann", NEW.images(0, 1), guard=False)
    assert stored_bits(gallery) == before


def test_what_keeps_a_state_alone_keeps_one_of_the_other_embedder_too(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean", keep="state") as gallery:
        added = gallery.enroll("ann", OLD.images(0, 0))
        model = gallery.add_model(fuser="mean", embedder=NEW.embedder, dim=96)
        for _ in range(2):  # the same again is no change
            gallery.re_embed({added.contribution_id: NEW.images(0, 0)})
        (person,) = gallery.plain_people(model)
        assert isinstance(person.contributions[0].kept, FusionState)
        assert gallery.re_fuse(model) == ()
        gallery.serve(model)
        assert gallery.search(NEW.images(0, 9), threshold=0.5).name == "ann"


def test_what_a_failed_change_worked_out_is_not_remembered(gallery):
    # the state of the contribution is worked out, and then the change fails
    item = gallery.enroll("ann", OLD.images(0, 0)).contribution_id
    model = gallery.add_model(fuser="mean", embedder=NEW.embedder, dim=96)

    def fail():
        with gallery._changing("embed anew") as change:
            gallery._embed_anew(change, change.writer.contribution(item), NEW.images(5, 0))
            change.finish()
            raise RuntimeError("on purpose")

    with pytest.raises(RuntimeError, match="on purpose"):
        fail()
    assert gallery.missing(model) == (item,)
    gallery.re_embed({item: NEW.images(0, 0)})
    gallery.re_fuse(model)
    gallery.serve(model)
    assert gallery.check() == ()


def test_the_fuser_of_whoever_enrolls_second_is_not_passed_over(tmp_path):
    path = tmp_path / "people.db"
    with Gallery(path, fuser="mean") as first, Gallery(path, fuser="norm-weighted") as second:
        first.enroll("ann", OLD.images(0, 0))
        with pytest.raises(FuserMismatchError, match=r"by mean@1, got norm-weighted@1"):
            second.enroll("bob", OLD.images(1, 0))
        model = first.add_model(fuser="norm-weighted")
        first.re_fuse(model)
        first.serve(model)
        first.enroll("bob", OLD.images(1, 0))  # whoever moved the gallery goes on
        second.enroll("cid", OLD.images(2, 0))
        assert first.list() == ("ann", "bob", "cid")
