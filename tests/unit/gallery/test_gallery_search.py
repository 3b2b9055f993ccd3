from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from gallery_people import EMBEDDER, MadeUp, stored_bits
from probefusion.errors import (
    ConfigError,
    DtypeError,
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
    OutputExistsError,
    ShapeError,
    UnknownNameError,
)
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.gallery import Gallery
from probefusion.types import EmbeddingSet, Template

PEOPLE = MadeUp()


@pytest.fixture
def gallery(tmp_path):
    with Gallery(tmp_path / "people.db", fuser="mean") as opened:
        yield opened


def enrolled(gallery, num_people=12):
    for who in range(num_people):
        gallery.enroll(f"p{who:02}", PEOPLE.images(who, 0))
    return gallery


def test_similarities_are_those_of_the_plain_products(gallery):
    enrolled(gallery)
    query = PEOPLE.images(3, 9, count=2)
    found = gallery.search(query, top_k=12, threshold=0.5)
    vector = MeanFuser().fuse(query).vector
    vectors = {
        name: np.frombuffer(bits, np.float32) for name, (_, bits) in stored_bits(gallery).items()
    }
    expected = sorted(vectors, key=lambda name: -float(vectors[name] @ vector))
    assert [each.name for each in found.candidates] == expected
    for each in found.candidates:
        assert each.similarity == pytest.approx(float(vectors[each.name] @ vector), abs=1e-6)
        assert each.is_match == (each.similarity >= 0.5)
    assert (found.name, found.gallery_size, found.num_images) == ("p03", 12, 2)
    assert found.revision == gallery.revision == 12
    assert str(found).startswith("p03 0.")
    assert str(found).endswith("(match)")


def test_every_form_of_a_query_gives_the_same(gallery):
    enrolled(gallery)
    images = PEOPLE.images(5, 4, count=2)
    fuser = MeanFuser()

    class Face:
        pass

    face, fused, report = Face(), Face(), Face()
    report.embedding_set = images
    face.images = images
    fused.images, fused.state = None, fuser.encode(images)
    one_by_one = [images[:1], images[1:]]
    forms = [
        images,
        one_by_one,
        face,
        fused,
        fuser.encode(images),
        fuser.fuse(images),
        [face],
        report,
    ]
    found = [gallery.search(form, threshold=0.5).candidates for form in forms]
    for candidates in found:
        assert [each.name for each in candidates] == [each.name for each in found[0]]
        assert candidates[0].similarity == pytest.approx(found[0][0].similarity, abs=1e-6)


def test_plain_arrays_are_of_the_embedder_that_the_user_names(tmp_path):
    images = PEOPLE.images(0, 0)
    with Gallery(tmp_path / "a.db", fuser="mean", embedder=EMBEDDER) as gallery:
        gallery.enroll("ann", images.embeddings)
        assert gallery.models()[0].embedder == EMBEDDER
        assert gallery.search(images.embeddings[0], threshold=0.5).name == "ann"
    with (
        Gallery(tmp_path / "a.db") as gallery,
        pytest.raises(EmbedderMismatchError, match=r"nobody said .* Gallery\(..., embedder="),
    ):
        gallery.search(images.embeddings[0])


def test_an_empty_gallery_finds_nobody_and_says_why(gallery):
    found = gallery.search(PEOPLE.images(0, 0))
    assert (found.candidates, found.match, found.why_none) == ((), None, "nobody is enrolled")


def test_without_a_calibration_there_is_no_match_and_a_reason(gallery):
    enrolled(gallery)
    found = gallery.search(PEOPLE.images(3, 9), fmr=1e-3)
    assert found.candidates[0].name == "p03"
    assert found.match is None
    assert found.candidates[0].is_match is None
    assert "mean@1 carries no threshold at FMR 0.001" in found.why_none
    assert found.false_match_rate == 1e-3
    searched = gallery.search(PEOPLE.images(3, 9), fpir=0.01)
    assert "has no calibration" in searched.why_none
    assert (searched.false_match_rate, searched.false_positive_rate) == (None, 0.01)


def test_the_threshold_is_that_of_a_custom_fuser(tmp_path):
    from probefusion.fusion.threshold import Threshold

    class Calibrated(MeanFuser):
        def threshold_for(self, false_match_rate, num_images):
            return Threshold(
                false_match_rate=false_match_rate,
                similarity=0.4 + num_images / 100,
                num_images=num_images,
                num_non_mated=10,
                source="test",
            )

    with Gallery(tmp_path / "a.db", fuser=Calibrated()) as gallery:
        enrolled(gallery)
        found = gallery.search(PEOPLE.images(3, 9, count=7), fmr=1e-2)
        assert found.candidates[0].threshold == pytest.approx(0.47)
        assert found.name == "p03"
        verified = gallery.verify("p03", PEOPLE.images(3, 9), fmr=1e-2)
        assert (verified.is_match, verified.threshold) == (True, pytest.approx(0.43))
        assert gallery.verify("p04", PEOPLE.images(3, 9), fmr=1e-2).is_match is False


def test_verifying_gives_the_similarity_that_searching_gives(gallery):
    enrolled(gallery)
    query = PEOPLE.images(7, 3)
    found = gallery.search(query, top_k=12, threshold=0.5)
    for each in found.candidates:
        assert gallery.verify(each.name, query, threshold=0.5).similarity == each.similarity


def test_ignored_people_are_found_and_marked(gallery):
    enrolled(gallery)
    gallery.ignore("p03")
    found = gallery.search(PEOPLE.images(3, 9), threshold=0.5)
    assert (found.match.name, found.match.is_ignored) == ("p03", True)
    gallery.ignore("p03", False)
    assert gallery.search(PEOPLE.images(3, 9), threshold=0.5).match.is_ignored is False


def test_removed_merged_and_renamed_people_are_found_as_they_are_now(gallery):
    enrolled(gallery)
    query = PEOPLE.images(3, 9)
    assert gallery.search(query, threshold=0.5).name == "p03"
    gallery.rename("p03", "lin")
    assert gallery.search(query, threshold=0.5).name == "lin"
    gallery.remove("lin")
    assert gallery.search(query, threshold=0.5).name is None
    gallery.undo()
    assert gallery.search(query, threshold=0.5).name == "lin"
    gallery.merge("p04", "lin")
    assert gallery.search(query, threshold=0.5).name == "p04"


def test_another_opened_gallery_sees_every_change(gallery, tmp_path):
    enrolled(gallery)
    with Gallery(tmp_path / "people.db") as other:
        assert other.search(PEOPLE.images(3, 9), threshold=0.5).name == "p03"
        gallery.rename("p03", "lin")
        assert other.search(PEOPLE.images(3, 9), threshold=0.5).name == "lin"
        other.enroll("new", PEOPLE.images(40, 0))
        assert gallery.search(PEOPLE.images(40, 9), threshold=0.5).name == "new"
        assert other.wait(after=0, timeout=0.0) == gallery.revision == 14


def test_many_threads_search_and_write(gallery):
    enrolled(gallery, num_people=4)

    def work(number):
        if number % 3 == 0:
            return gallery.enroll(f"new{number}", PEOPLE.images(100 + number, 0)).name
        return gallery.search(PEOPLE.images(number % 4, number), threshold=0.5).name

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(work, range(36)))
    for number, name in enumerate(found):
        assert name == (f"new{number}" if number % 3 == 0 else f"p{number % 4:02}")
    assert len(gallery) == 16
    assert gallery.check() == ()


def test_collections_never_meet(tmp_path):
    with (
        Gallery(tmp_path / "a.db", "one", fuser="mean") as one,
        Gallery(tmp_path / "a.db", "two", fuser="norm-weighted") as two,
    ):
        one.enroll("ann", PEOPLE.images(0, 0))
        assert two.search(PEOPLE.images(0, 0)).gallery_size == 0
        two.enroll("ann", PEOPLE.images(1, 0))
        assert one.search(PEOPLE.images(1, 0), threshold=0.5).name is None
        assert (one.models()[0].fuser, two.models()[0].fuser) == ("mean@1", "norm-weighted@1")


@pytest.mark.parametrize(
    ("what", "error", "message"),
    [
        (MadeUp(embedder="other@1").images(0, 0), EmbedderMismatchError, "re_embed"),
        (MadeUp(dim=65).images(0, 0), ShapeError, "64 dimensions, got 65"),
        (NormWeightedFuser().encode(PEOPLE.images(0, 0)), FuserMismatchError, "by norm-weighted@1"),
        ("folder", DtypeError, "read_embeddings"),
        (7, DtypeError, "got int"),
        ([], EmptySetError, "empty list"),
        ([0.5, 0.5], DtypeError, "list of numbers"),
        (np.zeros((2, 64), int), DtypeError, "int64"),
    ],
)
def test_what_does_not_fit_is_refused_with_the_way_out(gallery, what, error, message):
    enrolled(gallery, 2)
    bits = stored_bits(gallery)
    for refused in (
        gallery.search,
        lambda w: gallery.enroll("x", w),
        lambda w: gallery.update("p00", w),
    ):
        with pytest.raises(error, match=message):
            refused(what)
    assert stored_bits(gallery) == bits


def test_templates_are_not_added(gallery):
    template = Template(vector=np.eye(64)[0], num_images=1, fuser="mean@1", embedder=EMBEDDER)
    with pytest.raises(ConfigError, match="cannot be added to"):
        gallery.enroll("ann", template)


def test_another_fuser_is_refused_when_the_gallery_is_opened(gallery, tmp_path):
    enrolled(gallery, 1)
    with pytest.raises(
        FuserMismatchError, match=r"by mean@1, got norm-weighted@1\. Leave fuser= out"
    ):
        Gallery(tmp_path / "people.db", fuser="norm-weighted")


def test_rates_exclude_each_other(gallery):
    with pytest.raises(ConfigError, match="fmr, threshold: expected one of them"):
        gallery.search(PEOPLE.images(0, 0), fmr=0.1, threshold=0.3)
    with pytest.raises(ConfigError, match="fpir"):
        gallery.search(PEOPLE.images(0, 0), fpir=2.0)
    with pytest.raises(ConfigError, match="cosine"):
        gallery.search(PEOPLE.images(0, 0), threshold=1.5)


def test_names_that_are_taken_or_not_there(gallery):
    enrolled(gallery, 2)
    with pytest.raises(OutputExistsError, match="'p00' is in 'people' already"):
        gallery.enroll("p00", PEOPLE.images(5, 0))
    with pytest.raises(OutputExistsError, match="Merge the two"):
        gallery.rename("p01", "p00")
    with pytest.raises(UnknownNameError, match="unknown person of 'people' 'p0'; did you mean 'p0"):
        gallery.verify("p0", PEOPLE.images(0, 0))


def test_images_of_several_forms_are_joined(gallery):
    added = gallery.enroll("ann", [PEOPLE.images(0, 0), PEOPLE.images(0, 1)[:1]])
    assert added.num_images == 4
    images = gallery.person("ann").contributions[0].images
    assert [image.source for image in images] == [
        "0/0/0.jpg",
        "0/0/1.jpg",
        "0/0/2.jpg",
        "0/1/0.jpg",
    ]


def test_states_alone_are_kept_as_states(gallery):
    added = gallery.enroll("ann", MeanFuser().encode(PEOPLE.images(0, 0)))
    assert (added.keep, added.num_images) == ("state", 3)
    assert gallery.search(PEOPLE.images(0, 5), threshold=0.5).name == "ann"
    assert gallery.check() == ()


def test_sets_of_one_gallery_may_be_unit_vectors_of_an_unnamed_embedder(tmp_path):
    rows = PEOPLE.images(0, 0)
    unit = EmbeddingSet(embeddings=rows.embeddings / rows.norms[:, None])
    with Gallery(tmp_path / "a.db") as gallery:
        gallery.enroll("ann", unit)
        assert gallery.models()[0].embedder is None
        assert gallery.models()[0].fuser == "mean@1"
        with pytest.raises(EmbedderMismatchError, match="an embedder that nobody named"):
            gallery.search(PEOPLE.images(0, 0))
