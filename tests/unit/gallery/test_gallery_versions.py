from __future__ import annotations

import numpy as np
import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import ConfigError, MismatchError, ShapeError, UnknownNameError
from probefusion.fusion import NormWeightedFuser
from probefusion.gallery import Gallery
from probefusion.gallery.keys.master_key import MasterKey
from probefusion.types import EmbeddingSet

PEOPLE = MadeUp()
NEWER = MadeUp(seed=77, dim=96, embedder="newer_96d@111111111111")


@pytest.fixture(params=[False, True])
def gallery(request, tmp_path):
    keys = MasterKey.generate() if request.param else None
    with Gallery(tmp_path / "people.db", fuser="mean", keys=keys) as opened:
        for who in range(5):
            opened.enroll(f"p{who}", PEOPLE.images(who, 0))
            opened.update(f"p{who}", PEOPLE.images(who, 1))
        yield opened


def embedded_anew(gallery, ids):
    """What the newer embedder gives for the images of contributions, by the names of their files."""
    found = {}
    for name in gallery.list():
        for each in gallery.person(name).contributions:
            if each.id in ids:
                who, visit, _ = each.images[0].source.split("/")
                found[each.id] = NEWER.images(int(who), int(visit))
    return found


def test_a_gallery_moves_to_another_fuser_and_back(gallery):
    before = stored_bits(gallery)
    model = gallery.add_model(fuser="norm-weighted")
    with pytest.raises(ConfigError, match="have no template by"):
        gallery.serve(model)
    counted = []
    assert gallery.re_fuse(model, progress=lambda done, total: counted.append((done, total))) == ()
    assert counted == [(5, 5)]
    assert gallery.search(PEOPLE.images(2, 9), threshold=0.5).model_id != model
    gallery.serve(model)
    assert gallery.search(PEOPLE.images(2, 9), threshold=0.5).model_id == model
    after = stored_bits(gallery)
    images = EmbeddingSet.concatenate([PEOPLE.images(2, 0), PEOPLE.images(2, 1)])
    np.testing.assert_allclose(
        np.frombuffer(after["p2"][1], np.float32),
        NormWeightedFuser().fuse(images).vector,
        atol=1e-3,
    )
    gallery.update("p2", PEOPLE.images(2, 2))
    changed = stored_bits(gallery)["p2"]
    gallery.undo()
    assert stored_bits(gallery) == after
    gallery.undo()  # the undoing of the update stays; this goes back to the old fuser
    assert stored_bits(gallery) == before
    assert changed != after["p2"]


def test_rolling_back_serves_the_old_model_with_all_that_was_added_since(gallery):
    model = gallery.add_model(fuser="norm-weighted")
    gallery.re_fuse(model)
    old = gallery.models()[0].id
    gallery.serve(model)
    gallery.update("p1", PEOPLE.images(1, 2))
    gallery.rollback()
    statuses = {each.id: each.status for each in gallery.models()}
    assert statuses == {old: "serving", model: "kept"}
    assert stored_bits(gallery)["p1"][0] == 9
    assert gallery.check() == ()
    gallery.rollback()
    assert gallery.models()[1].status == "serving"


def test_two_embedders_are_served_side_by_side(gallery):
    before = stored_bits(gallery)
    model = gallery.add_model(fuser="mean", embedder=NEWER.embedder, dim=96)
    missing = gallery.missing(model)
    assert len(missing) == 10
    gallery.re_embed(embedded_anew(gallery, missing[:6]))
    assert len(gallery.re_fuse(model)) == 4
    with pytest.raises(ConfigError, match=r"4 contributions have nothing of newer_96d"):
        gallery.serve(model)
    for query, told in (
        (NEWER, [f"searched by model {model} of {NEWER.embedder}, which"]),
        (PEOPLE, []),
    ):
        warnings = gallery.search(query.images(0, 9), threshold=0.5).warnings
        assert [text.partition(" knows ")[0] for text in warnings] == told
    gallery.re_embed(embedded_anew(gallery, missing))
    assert gallery.re_fuse(model) == ()
    # the old one serves, and the new one answers those who ask by it
    for who in range(5):
        assert gallery.search(PEOPLE.images(who, 9), threshold=0.5).name == f"p{who}"
        assert gallery.search(NEWER.images(who, 9), threshold=0.5).name == f"p{who}"
    assert stored_bits(gallery) == before
    gallery.serve(model)
    assert gallery.search(NEWER.images(3, 9), threshold=0.5).model_id == model
    assert gallery.search(PEOPLE.images(3, 9), threshold=0.5).name == "p3"
    gallery.rollback()
    assert stored_bits(gallery) == before
    assert [each.num_missing for each in gallery.models()] == [0, 0]


def test_changes_follow_in_both_models(gallery):
    model = gallery.add_model(fuser="norm-weighted")
    gallery.re_fuse(model)
    gallery.merge("p0", "p1")
    gallery.remove("p2")
    found = gallery.search(PEOPLE.images(1, 9), threshold=0.5, model=model)
    assert (found.name, found.model_id, found.gallery_size) == ("p0", model, 3)


def test_a_model_that_is_not_needed_any_more_is_dropped(gallery):
    model = gallery.add_model(fuser="norm-weighted")
    gallery.re_fuse(model)
    gallery.search(PEOPLE.images(0, 0), threshold=0.5, model=model)
    with pytest.raises(ConfigError, match="serves"):
        gallery.drop_model(gallery.models()[0].id)
    gallery.drop_model(model)
    assert len(gallery.models()) == 1
    with pytest.raises(UnknownNameError):
        gallery.search(PEOPLE.images(0, 0), model=model)


def test_what_does_not_fit_a_new_model_is_refused(gallery):
    (first, *_) = gallery.person("p0").contributions
    with pytest.raises(MismatchError, match="add_model"):
        gallery.re_embed({first.id: NEWER.images(0, 0)})
    gallery.add_model(fuser="mean", embedder=NEWER.embedder, dim=96)
    with pytest.raises(ShapeError, match="its 3 images, got 2"):
        gallery.re_embed({first.id: NEWER.images(0, 0, count=2)})
    gallery.re_embed({first.id: NEWER.images(0, 0)})
    gallery.re_embed({first.id: NEWER.images(0, 0)})  # the same again is no change
    with pytest.raises(ConfigError, match="keeps something else of newer_96d"):
        gallery.re_embed({first.id: NEWER.images(0, 7)})
    with pytest.raises(UnknownNameError, match="contribution"):
        gallery.re_embed({"c0": NEWER.images(0, 0)})
    with pytest.raises(ConfigError, match="is there already"):
        gallery.add_model(fuser="mean", embedder=NEWER.embedder, dim=96)
    with pytest.raises(ConfigError, match="no other model has served"):
        gallery.rollback()
    with pytest.raises(ConfigError, match="2 models"):
        gallery.compact()


def test_states_cannot_follow_another_fuser_and_that_is_told(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean", keep="state") as gallery:
        added = gallery.enroll("ann", PEOPLE.images(0, 0))
        model = gallery.add_model(fuser="norm-weighted")
        assert gallery.re_fuse(model) == (added.contribution_id,)
        with pytest.raises(ConfigError, match="1 contributions have nothing of"):
            gallery.serve(model)
