"""Whoever asks a gallery is told how poor images are: by embeddings, states, templates, and of people who are there."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.judged_fusers import COMPACT, judge_as, judged_fuser, some_images

from probefusion.gallery import Gallery
from probefusion.gallery.verbs.search_query import SearchQuery
from probefusion.types import Template, TemplateSet
from probefusion.zoo import judge_usability, load_fuser

POOR = "the threshold is not verified for faces this poor"
VERDICTS = ["usable", "doubtful", "not usable", "no face"]


@pytest.fixture(scope="module")
def folder_of(tmp_path_factory):
    root = tmp_path_factory.mktemp("fusers")
    return lambda verdict: judged_fuser(root, verdict)


@pytest.fixture
def own_folder(tmp_path):
    """One that a test may change."""
    return judged_fuser(tmp_path, "usable")


@pytest.fixture
def gallery_of(tmp_path, folder_of):
    opened = []

    def open_one(verdict, **settings):
        found = Gallery(tmp_path / f"{len(opened)}.db", fuser=folder_of(verdict), **settings)
        opened.append(found)
        return found

    yield open_one
    for each in opened:
        each.close()


def expected(folder, images):
    fuser = load_fuser(folder, embedder=COMPACT)
    return judge_usability(fuser, fuser.encode(images))


def forms(folder, images):
    """The same images in every form that a query has."""
    fuser = load_fuser(folder, embedder=COMPACT)
    state = fuser.encode(images)
    template = replace(fuser.finish(state), usability=judge_usability(fuser, state))
    return {"set": images, "list": [images[:2], images[2:]], "state": state, "template": template}


@pytest.mark.parametrize("form", ["set", "list", "state", "template"])
@pytest.mark.parametrize("verdict", VERDICTS)
def test_a_search_carries_what_can_be_expected_of_the_query(
    gallery_of, folder_of, verdict, form
) -> None:
    gallery = gallery_of(verdict)
    gallery.enroll("ann", some_images(1))
    query = some_images(2)
    found = gallery.search(forms(folder_of(verdict), query)[form])
    wanted = expected(folder_of(verdict), query)
    assert found.usability == wanted
    assert wanted.verdict == verdict.replace("no face", "not usable")
    assert found.false_match_rate == 1e-3
    assert found.candidates[0].threshold is not None
    told = {
        "usable": [],
        "doubtful": ["the query: the threshold is not"],
        "not usable": ["the query: not usable: predicte"],
        "no face": ["the query: not usable: the imag"],
    }[verdict]
    assert [text[:31] for text in found.warnings] == told
    assert sum(POOR in text for text in found.warnings) == len(told)
    assert found.num_damaged == 0


@pytest.mark.parametrize("verdict", ["doubtful", "not usable"])
def test_ones_own_threshold_was_not_measured_with_anything(gallery_of, verdict) -> None:
    gallery = gallery_of(verdict)
    gallery.enroll("ann", some_images(1))
    found = gallery.search(some_images(2), threshold=0.5)
    assert found.usability.verdict == verdict
    assert sum(POOR in text for text in found.warnings) == 0
    assert len(found.warnings) == (verdict == "not usable")
    assert found.candidates[0].usability is None
    checked = gallery.verify("ann", some_images(2), threshold=0.5)
    assert not any(POOR in text for text in checked.warnings)
    assert [text[:23] for text in checked.warnings] == (
        ["the person: not usable:", "the query: not usable: "] if verdict == "not usable" else []
    )


def test_searches_together_say_the_same_as_each_alone(gallery_of) -> None:
    gallery = gallery_of("doubtful")
    for person in range(3):
        gallery.enroll(f"person {person}", some_images(person))
    queries = [some_images(person, count) for person, count in ((0, 1), (1, 4), (7, 3))]
    together = gallery.search_together([SearchQuery(what=query) for query in queries])
    assert list(together) == [gallery.search(query) for query in queries]
    assert all(each.warnings for each in together)


def test_a_match_with_a_person_of_poor_images_says_so(gallery_of, folder_of) -> None:
    gallery = gallery_of("doubtful")
    gallery.enroll("ann", some_images(1))
    gallery.enroll("bob", some_images(2))
    found = gallery.search(some_images(1))
    first, second = found.candidates
    assert (first.name, first.is_match, second.is_match) == ("ann", True, False)
    assert first.usability == expected(folder_of("doubtful"), some_images(1))
    assert [text for text in first.warnings if POOR in text] == [
        "the person: the threshold is not verified for faces this poor (predicted similarity to a clean image 0.50, "
        "below 0.60): false matches may be many times as frequent as stated"
    ]
    assert second.usability is None
    assert not any(POOR in text for text in second.warnings)


def test_a_verification_tells_both_sides(gallery_of, folder_of) -> None:
    gallery = gallery_of("not usable")
    gallery.enroll("ann", some_images(1))
    same = gallery.verify("ann", some_images(1))
    assert same.is_match
    assert [each.verdict for each in same.usability] == ["not usable", "not usable"]
    assert [text[:25] for text in same.warnings if "usable" in text or POOR in text] == [
        "the person: not usable: p",
        "the query: not usable: pr",
    ]
    other = gallery.verify("ann", some_images(2))
    assert not other.is_match
    assert other.usability[1] == same.usability[1]
    assert [text[:25] for text in other.warnings if "usable" in text or POOR in text] == [
        "the person: not usable: p",
        "the query: not usable: pr",
    ]


def test_what_is_enrolled_and_added_is_judged(gallery_of) -> None:
    gallery = gallery_of("not usable")
    added = gallery.enroll("ann", some_images(1))
    assert added.usability is not None
    assert (added.usability.verdict, added.usability.quality) == ("not usable", 50)
    (warning,) = added.warnings
    assert warning.startswith("the images: not usable: predicted similarity to a clean image 0.50")
    assert str(added).endswith(warning)
    more = gallery.update("ann", some_images(1, 2), guard=False)
    assert more.warnings == added.warnings
    fine = gallery_of("usable").enroll("ann", some_images(1))
    assert (fine.usability.verdict, fine.warnings) == ("usable", ())


@pytest.mark.parametrize("keep", ["features", "state"])
def test_a_load_names_whose_template_is_not_usable(gallery_of, folder_of, keep) -> None:
    people = {"ann": some_images(1), "bob": some_images(2)}
    done = gallery_of("no face", keep=keep).load(people)
    assert done.not_usable == ("ann", "bob")
    assert str(done) == "2 people of 8 images added, 2 of them are not usable"
    assert gallery_of("doubtful", keep=keep).load(people).not_usable == ()
    fuser = load_fuser(folder_of("not usable"), embedder=COMPACT)
    states = {name: fuser.encode(images) for name, images in people.items()}
    templates = {name: fuser.finish(state) for name, state in states.items()}
    gallery = gallery_of("not usable", keep=keep)
    assert gallery.load(TemplateSet.of(templates, states)).not_usable == ("ann", "bob")
    assert gallery.load({"ann": people["ann"]}, skip_existing=True).not_usable == ()


def test_a_template_that_goes_out_takes_it_along(gallery_of, folder_of, tmp_path) -> None:
    gallery = gallery_of("doubtful")
    gallery.enroll("ann", some_images(1))
    template = gallery.template("ann")
    assert template.usability == expected(folder_of("doubtful"), some_images(1))
    template.save(tmp_path / "ann.npz")
    found = gallery.search(Template.load(tmp_path / "ann.npz"))
    assert found.usability == template.usability
    assert sum(POOR in text for text in found.warnings) == 1


def test_of_a_template_that_came_without_it_nothing_is_known_and_that_is_said_once(
    gallery_of,
) -> None:
    gallery = gallery_of("doubtful")
    gallery.enroll("ann", some_images(1))
    bare = replace(gallery.template("ann"), usability=None)
    found = gallery.search(bare)
    assert found.usability.verdict == "not known"
    assert found.warnings == (
        "the query: how poor its images are is not known (its template came without an estimate), so nor is whether "
        "the threshold holds for them",
    )
    assert gallery.search(bare, threshold=0.5).warnings == ()
    checked = gallery.verify("ann", bare)
    assert [each.verdict for each in checked.usability] == ["not known", "doubtful"]


def test_an_explanation_says_it_too(gallery_of) -> None:
    gallery = gallery_of("not usable")
    gallery.enroll("ann", some_images(1))
    found = gallery.explain(some_images(2), "ann")
    assert [each.verdict for each in found.usability] == ["not usable"] * 2
    assert [text[:22] for text in found.warnings] == [
        "the query: not usable:",
        "the person: not usable",
    ]
    assert gallery_of("usable").enroll("ann", some_images(1)).warnings == ()


def test_people_are_judged_once_while_their_template_is_the_same(gallery_of, monkeypatch) -> None:
    gallery = gallery_of("doubtful")
    gallery.enroll("ann", some_images(1))
    read = []
    of_person = type(gallery._parts).of_person
    monkeypatch.setattr(
        type(gallery._parts),
        "of_person",
        lambda self, *arguments: read.append(arguments[1]) or of_person(self, *arguments),
    )
    first = gallery.search(some_images(1)).candidates[0].usability
    assert gallery.search(some_images(1)).candidates[0].usability == first
    assert gallery.verify("ann", some_images(1)).usability[1] == first
    assert len(read) == 1
    gallery.update("ann", some_images(1, 2), guard=False)
    read.clear()
    assert gallery.search(some_images(1)).candidates[0].usability is not None
    assert len(read) == 1


def test_a_record_that_was_damaged_ends_no_search(own_folder, tmp_path) -> None:
    with Gallery(tmp_path / "people.db", fuser=own_folder) as gallery:
        gallery.enroll("ann", some_images(1))
        (own_folder / "usability.json").write_text('{"level": 0.9}')
        found = gallery.search(some_images(1))
        assert found.name == "ann"
        assert found.usability.verdict == "not known"
        assert "usability.json" in found.usability.reason
        judge_as_before = judged_fuser(tmp_path / "again", "doubtful") / "usability.json"
        (own_folder / "usability.json").write_bytes(judge_as_before.read_bytes())
        assert gallery.search(some_images(1)).usability.verdict == "doubtful"
        judge_as(own_folder, "usable")
        assert gallery.search(some_images(1)).usability.verdict == "usable"


def test_people_are_judged_by_the_record_that_holds_now(own_folder, tmp_path) -> None:
    file = own_folder / "usability.json"
    with Gallery(tmp_path / "people.db", fuser=own_folder) as gallery:
        gallery.enroll("ann", some_images(1))

        def verdicts() -> set[str]:
            return {each.verdict for each in gallery.verify("ann", some_images(1)).usability}

        assert verdicts() == {"usable"}
        judge_as(own_folder, "doubtful")
        assert verdicts() == {"doubtful"}
        content = file.read_bytes()
        for damage in (lambda: file.write_text('{"level": 0.9}'), file.unlink):
            damage()
            assert verdicts() == {"not known"}
            file.write_bytes(content)
            assert verdicts() == {"doubtful"}


def test_nobody_said_what_made_the_embeddings(tmp_path) -> None:
    with Gallery(tmp_path / "people.db", fuser="mean") as gallery:
        added = gallery.enroll("ann", some_images(1, embedder=None).embeddings)
        assert (added.usability.verdict, added.warnings) == ("not known", ())
        assert "nobody said which embedder made" in added.usability.reason
        found = gallery.search(some_images(1, embedder=None).embeddings)
        assert found.usability.verdict == "not known"
        assert found.warnings == ()  # without a measured threshold nothing hangs on it


def test_an_empty_gallery_decides_nothing(gallery_of) -> None:
    found = gallery_of("not usable").search(some_images(1))
    assert (found.candidates, found.warnings) == ((), ())
    assert found.usability.verdict == "not known"
