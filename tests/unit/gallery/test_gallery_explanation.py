from __future__ import annotations

import numpy as np
import pytest

from gallery_people import MadeUp, stored_bits
from probefusion.errors import ConfigError, OutputExistsError
from probefusion.fusion import NormWeightedFuser
from probefusion.gallery import Gallery
from probefusion.gallery.contributions.features import as_kept
from probefusion.gallery.keys.master_key import MasterKey
from probefusion.types import EmbeddingSet

PEOPLE = MadeUp()


@pytest.fixture
def gallery(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="norm-weighted") as opened:
        yield opened


def test_weights_and_similarities_are_those_of_the_fuser(gallery):
    first = gallery.enroll("ann", PEOPLE.images(0, 0), source="door")
    second = gallery.update("ann", PEOPLE.images(0, 1, count=2))
    gallery.remove(image=f"{first.contribution_id}.1")
    query = PEOPLE.images(0, 5)
    why = gallery.explain(query, "ann")
    fuser = NormWeightedFuser()
    kept = [as_kept(PEOPLE.images(0, 0))[[0, 2]], as_kept(PEOPLE.images(0, 1, count=2))]
    whole = fuser.fuse(EmbeddingSet.concatenate(kept))
    by_id = {image.id: image for part in why.contributions for image in part.images}
    ids = [f"{first.contribution_id}.0", f"{first.contribution_id}.2"]
    ids += [f"{second.contribution_id}.0", f"{second.contribution_id}.1"]
    assert set(by_id) == set(ids)
    np.testing.assert_allclose([by_id[item].weight for item in ids], whole.weights, atol=1e-6)
    probe = fuser.fuse(query).vector
    alone = [fuser.fuse(part[[row]]).vector @ probe for part in kept for row in range(len(part))]
    np.testing.assert_allclose([by_id[item].similarity for item in ids], alone, atol=1e-5)
    assert why.similarity == pytest.approx(float(whole.vector @ probe), abs=1e-5)
    assert why.similarity == pytest.approx(gallery.verify("ann", query).similarity, abs=1e-6)
    parts = {part.id: part for part in why.contributions}
    assert sum(part.weight for part in parts.values()) == pytest.approx(1)
    rest = parts[first.contribution_id]
    assert (rest.num_images, rest.source) == (2, "door")
    assert rest.similarity_without == pytest.approx(
        float(fuser.fuse(kept[1]).vector @ probe), abs=1e-5
    )
    np.testing.assert_allclose(
        [image.weight for image in sorted(why.query, key=lambda each: each.id)],
        fuser.fuse(query).weights,
        atol=1e-6,
    )
    assert "% of" not in str(why)
    assert "door: similarity" in str(why)


def test_states_are_explained_as_a_whole(tmp_path):
    with Gallery(tmp_path / "s.db", fuser="mean", keep="state") as gallery:
        gallery.enroll("ann", PEOPLE.images(0, 0))
        why = gallery.explain(PEOPLE.images(0, 1), "ann")
        (part,) = why.contributions
        assert (part.images, part.weight, part.similarity_without) == ((), 1.0, None)


def test_nothing_is_explained_where_nothing_is(gallery):
    added = gallery.enroll("ann", PEOPLE.images(0, 0))
    gallery.remove(contribution=added.contribution_id)
    assert gallery.person("ann").num_images == 0
    with pytest.raises(ConfigError, match="no images that could be compared"):
        gallery.explain(PEOPLE.images(0, 1), "ann")
    with pytest.raises(ConfigError, match="no images that could be compared"):
        gallery.verify("ann", PEOPLE.images(0, 1))


def test_people_go_out_and_into_another_gallery_bit_for_bit(gallery, tmp_path):
    for who in range(4):
        gallery.enroll(f"p{who}", PEOPLE.images(who, 0), source=f"folder {who}")
        gallery.update(f"p{who}", PEOPLE.images(who, 1))
    gallery.remove(image=gallery.person("p1").contributions[0].images[2].id)
    gallery.ignore("p2")
    gallery.cannot_link("p0", "p3")
    gallery.remove("p3")
    gallery.undo()
    people = list(gallery.plain_people())
    assert [person.vector.tobytes() for person in people] == [
        stored_bits(gallery)[person.name][1] for person in people
    ]
    with Gallery(tmp_path / "other.db", fuser="norm-weighted", keys=MasterKey.generate()) as other:
        assert other.take_people(people) == 4
        assert stored_bits(other) == stored_bits(gallery)
        for name in gallery.list():
            here, there = gallery.person(name), other.person(name)
            assert there.is_ignored == here.is_ignored
            assert there.different_from == here.different_from
            assert sorted(
                (
                    each.time,
                    each.source,
                    each.kind,
                    [(i.source, i.is_left_out) for i in each.images],
                )
                for each in there.contributions
            ) == sorted(
                (
                    each.time,
                    each.source,
                    each.kind,
                    [(i.source, i.is_left_out) for i in each.images],
                )
                for each in here.contributions
            )
        with pytest.raises(OutputExistsError, match="0 people were added before"):
            other.take_people(people)
        assert other.check() == ()
