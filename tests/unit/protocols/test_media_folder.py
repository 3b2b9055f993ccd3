"""The split of media-folder/v1: a small example by hand, a plain reading of its text, invariances."""

from __future__ import annotations

import hashlib
import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probefusion.errors import ConfigError, EmptySetError, InvalidInputError, ShapeError
from probefusion.protocols.media_folder import MediaSplit, SizeClass, split_media
from probefusion.protocols.media_order import PersonMedia

UNKNOWN = float("nan")


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def split(rows: list[tuple[str, float]], **options) -> MediaSplit:
    """Splits images `PERSON/MEDIUM/IMAGE` with the widths of their faces."""
    names = [name for name, _ in rows]
    parts = [name.split("/") for name in names]
    return split_media(
        names,
        [part[0] for part in parts],
        [part[1] for part in parts],
        [width for _, width in rows],
        **options,
    )


EXAMPLE = [
    ("ann/day1/a.jpg", 50.0),
    ("ann/day1/b.jpg", 80.0),
    ("ann/day2/c.jpg", UNKNOWN),
    ("ann/day2/d.jpg", UNKNOWN),
    ("ann/day3/e.jpg", 20.0),
    ("ann/day3/f.jpg", 20.0),
    ("bob/day1/g.jpg", 90.0),
    ("bob/day1/h.jpg", UNKNOWN),
    ("cid/day1/i.jpg", 10.0),
    ("cid/day2/j.jpg", 60.0),
    ("cid/day2/k.jpg", 59.9),
]
"""Rows 0 to 10."""


def test_a_small_example_written_out_by_hand():
    """The first digits that `sha256sum` gives order the media and images.

    ann: day3 63a4, day2 f595, day1 ffad; cid: day2 a5dd, day1 c73f. Images of ann by row:
    4 (0235), 5 (5097), 3 (70a9), 2 (8064), 1 (9f86), 0 (b1ca); of bob 6 (086d), 7 (f1d5); of cid
    10 (2b25), 9 (d149), 8 (dcda).
    """
    found = split(EXAMPLE, set_sizes=(1, 3), num_replicates=5, size_classes=[SizeClass(high=60)])
    assert found.subjects.tolist() == ["ann", "bob", "cid"]
    assert found.num_media.tolist() == [3, 1, 2]
    ann = ["day3", "day2", "day1", "day3", "day2"]
    cid = ["day2", "day1", "day2", "day1", "day2"]
    assert found.gallery_media.T.tolist() == [ann, ["day1"] * 5, cid]
    # ann: two equally large, the first in order; all unknown, position 0, in the second turn 1.
    assert found.gallery.T.tolist() == [[4, 3, 1, 4, 2], [6] * 5, [9, 8, 9, 8, 9]]
    sizes = [(draw.size_class.text, draw.num_images, draw.num_too_few) for draw in found.draws]
    assert sizes == [("all", 1, 0), ("all", 3, 1), ("..60", 1, 0), ("..60", 3, 2)]
    assert [draw.people.tolist() for draw in found.draws] == [[0, 2], [0], [0, 2], []]
    # The permutations of ann, all, N = 1, begin with 0, 0, 2, 3, 0 of 3 2 1 0, 4 5 1 0, 4 5 3 2, ...
    ones, threes, small, none = (draw.rows for draw in found.draws)
    assert ones[:, :, 0].T.tolist() == [[3, 4, 3, 0, 4], [8, 10, 8, 9, 8]]
    assert threes[:, 0].tolist() == [[2, 0, 3], [4, 5, 1], [4, 2, 5], [1, 0, 2], [4, 1, 0]]
    assert small[:, :, 0].T.tolist() == [[0, 5, 4, 0, 0], [8, 10, 8, 10, 8]]
    assert none.shape == (5, 0, 3)
    everything, small_ones = found.medium_probes
    assert medium_sets(everything) == [
        (0, 0, [3, 2]),
        (0, 2, [8]),
        (1, 0, [1, 0]),
        (1, 2, [10, 9]),
        (2, 0, [4, 5]),
        (2, 2, [8]),
        (3, 0, [1, 0]),
        (3, 2, [10, 9]),
        (4, 0, [4, 5]),
        (4, 2, [8]),
    ]
    assert everything.num_images.tolist() == [2, 1, 2, 2, 2, 1, 2, 2, 2, 1]
    # In replicate 0 the medium is ann's day2, of which no width is known.
    assert medium_sets(small_ones) == [
        (0, 2, [8]),
        (1, 0, [0]),
        (1, 2, [10]),
        (2, 0, [4, 5]),
        (2, 2, [8]),
        (3, 0, [0]),
        (3, 2, [10]),
        (4, 0, [4, 5]),
        (4, 2, [8]),
    ]
    assert (everything.num_empty, small_ones.num_empty) == (0, 1)


def medium_sets(probes) -> list[tuple[int, int, list[int]]]:
    """(replicate, person, rows) of each set."""
    bounds = zip(probes.offsets[:-1], probes.offsets[1:], strict=True)
    rows = [probes.rows[begin:end].tolist() for begin, end in bounds]
    return list(zip(probes.replicates.tolist(), probes.people.tolist(), rows, strict=True))


# ---- a plain reading of the protocol's text, to compare with


def plain_split(rows, classes, sizes, replicates, seed):
    """The same sets by name, in the words of the definition."""
    people: dict[str, dict[str, list[tuple[str, float]]]] = {}
    for name, width in sorted(rows, key=lambda row: digest(row[0])):
        person, medium, _ = name.split("/")
        people.setdefault(person, {}).setdefault(medium, []).append((name, width))
    gallery, draws, media_sets = [], {}, {}
    for r in range(replicates):
        for person in sorted(people):
            media = sorted(people[person], key=lambda medium: digest(f"{person}/{medium}"))
            mine = people[person][media[r % len(media)]]
            known = [image for image in mine if image[1] == image[1]]
            best = max((image[1] for image in known), default=None)
            gallery.append(
                next(name for name, width in known if width == best)
                if known
                else mine[(r // len(media)) % len(mine)][0]
            )
            if len(media) < 2:
                continue
            for text, low, high in classes:

                def fits(width, text=text, low=low, high=high):
                    return text == "all" or low <= width < high

                images = [i for medium in media for i in people[person][medium] if fits(i[1])]
                without = {
                    medium: [i[0] for i in images if i[0].split("/")[1] != medium]
                    for medium in media
                }
                for size in sizes:
                    if min(map(len, without.values())) < size:
                        continue
                    pool = sorted(without[media[r % len(media)]], key=digest)
                    word = hashlib.sha256(
                        f"media-folder/v1|{seed}|{text}|{size}|{r}|{person}".encode()
                    ).digest()
                    rng = np.random.default_rng(int.from_bytes(word[:8], "big"))
                    draws[text, size, r, person] = [
                        pool[k] for k in rng.permutation(len(pool))[:size]
                    ]
                others = [medium for medium in media if medium != media[r % len(media)]]
                chosen = others[r % (len(media) - 1)]
                whole = [name for name, width in people[person][chosen] if fits(width)]
                if whole:
                    media_sets[text, r, person] = whole
    return gallery, draws, media_sets


def by_name(found: MediaSplit, names):
    subjects = found.subjects.tolist()
    draws = {
        (draw.size_class.text, draw.num_images, r, subjects[person]): [names[k] for k in rows]
        for draw in found.draws
        for r in range(found.num_replicates)
        for person, rows in zip(draw.people, draw.rows[r], strict=True)
    }
    media_sets = {
        (probes.size_class.text, r, subjects[person]): [names[k] for k in rows]
        for probes in found.medium_probes
        for r, person, rows in medium_sets(probes)
    }
    return [names[k] for k in found.gallery.ravel()], draws, media_sets


@st.composite
def image_lists(draw):
    shape = draw(
        st.lists(st.lists(st.integers(1, 5), min_size=1, max_size=4), min_size=1, max_size=5)
    )
    widths = st.one_of(st.just(UNKNOWN), st.sampled_from([10.0, 20.0, 59.5, 60.0, 300.0]))
    rows = [
        (f"P{person}/m{medium}/{image}.jpg", draw(widths))
        for person, media in enumerate(shape)
        for medium, count in enumerate(media)
        for image in range(count)
    ]
    return draw(st.permutations(rows))


@settings(deadline=None, max_examples=60)
@given(rows=image_lists(), seed=st.integers(0, 3), replicates=st.integers(1, 7))
def test_sets_are_those_of_the_text_and_keep_media_apart(rows, seed, replicates):
    classes = [SizeClass(high=60), SizeClass(low=60), SizeClass(low=20, high=60)]
    found = split(
        rows, size_classes=classes, set_sizes=(1, 2, 4), num_replicates=replicates, seed=seed
    )
    names = [name for name, _ in rows]
    plain = [("all", 0, 0), ("..60", 0, 60), ("60..", 60, np.inf), ("20..60", 20, 60)]
    expected = plain_split(rows, plain, (1, 2, 4), replicates, seed)
    assert by_name(found, names) == expected
    for draw in found.draws:
        assert draw.num_too_few + len(draw.people) == int((found.num_media > 1).sum())
        for r in range(replicates):
            for person, images in zip(draw.people, draw.rows[r], strict=True):
                media = {names[k].split("/")[1] for k in images}
                assert names[found.gallery[r, person]].split("/")[1] not in media
                assert len(set(images.tolist())) == draw.num_images
                assert {names[k].split("/")[0] for k in images} == {found.subjects[person]}


def test_the_order_of_the_listing_changes_nothing(rng):
    options = {"size_classes": [SizeClass(high=60)], "set_sizes": (1, 3), "num_replicates": 6}
    expected = by_name(split(EXAMPLE, **options), [name for name, _ in EXAMPLE])
    for _ in range(5):
        rows = [EXAMPLE[k] for k in rng.permutation(len(EXAMPLE))]
        assert by_name(split(rows, **options), [name for name, _ in rows]) == expected


def test_people_classes_and_sizes_do_not_depend_on_each_other():
    full = split(EXAMPLE, size_classes=[SizeClass(high=60), SizeClass(low=60)], set_sizes=(1, 2, 3))
    part = split(EXAMPLE[:6], set_sizes=(2,), size_classes=[SizeClass(high=60)])
    _, all_draws, all_media = by_name(full, [name for name, _ in EXAMPLE])
    _, draws, media = by_name(part, [name for name, _ in EXAMPLE])
    assert draws
    assert media
    assert all(all_draws[key] == value for key, value in draws.items())
    assert all(all_media[key] == value for key, value in media.items())


def test_another_seed_draws_other_sets_from_the_same_gallery():
    one, two = split(EXAMPLE, set_sizes=(2,)), split(EXAMPLE, set_sizes=(2,), seed=1)
    assert np.array_equal(one.gallery, two.gallery)
    assert not np.array_equal(one.draws[0].rows, two.draws[0].rows)


def test_names_are_hashed_in_their_composed_form():
    rows = [("Zoë/été/a.jpg", UNKNOWN), ("Zoë/été/b.jpg", UNKNOWN), ("Zoë/mai/ç.jpg", UNKNOWN)]
    apart = [(unicodedata.normalize("NFD", name), width) for name, width in rows]
    assert apart != rows
    one, two = split(rows, set_sizes=(1,)), split(apart, set_sizes=(1,))
    assert one.subjects.tolist() == two.subjects.tolist() == ["Zoë"]
    assert np.array_equal(one.gallery, two.gallery)
    assert np.array_equal(one.draws[0].rows, two.draws[0].rows)
    mixed = [rows[0], apart[1], rows[2]]
    assert split(mixed, set_sizes=(1,)).num_media.tolist() == [2]


def test_unknown_widths_are_in_the_class_of_all_alone():
    rows = [(f"ann/m{k}/{j}.jpg", UNKNOWN) for k in range(2) for j in range(3)]
    found = split(rows, size_classes=[SizeClass(high=60), SizeClass(low=60)], set_sizes=(1,))
    assert [draw.people.tolist() for draw in found.draws] == [[0], [], []]
    assert [draw.rows.shape for draw in found.draws] == [(16, 1, 1), (16, 0, 1), (16, 0, 1)]
    assert [probes.num_empty for probes in found.medium_probes] == [0, 16, 16]
    names = [name for name, _ in rows]
    without = split_media(
        names, ["ann"] * 6, [name.split("/")[1] for name in names], set_sizes=(1,)
    )
    assert np.array_equal(without.gallery, found.gallery)


def test_gallery_of_unknown_widths_takes_the_images_in_turn():
    rows = [(f"ann/m{k}/{j}.jpg", UNKNOWN) for k in range(2) for j in range(3)]
    found = split(rows, set_sizes=(1,), num_replicates=8)
    first, second = found.gallery[0::2, 0].tolist(), found.gallery[1::2, 0].tolist()
    for turn in (first, second):
        assert len(set(turn[:3])) == 3
        assert turn[3] == turn[0]


def test_one_person_with_one_image_is_a_gallery_without_probes():
    found = split([("ann/m/a.jpg", 30.0)], set_sizes=(1,), num_replicates=2)
    assert found.gallery.tolist() == [[0], [0]]
    assert found.draws[0].rows.shape == (2, 0, 1)
    assert found.draws[0].num_too_few == 0
    assert found.medium_probes[0].offsets.tolist() == [0]
    assert found.medium_probes[0].rows.tolist() == []


# ---- size classes


@pytest.mark.parametrize(
    ("text", "spelling"),
    [
        ("all", "all"),
        ("..60", "..60"),
        ("60..", "60.."),
        ("20..60.0", "20..60"),
        ("2.50..", "2.5.."),
    ],
)
def test_a_class_has_one_spelling(text, spelling):
    assert SizeClass.parse(text).text == spelling
    assert SizeClass.parse(spelling) == SizeClass.parse(text)


def test_a_class_holds_its_lower_bound_and_not_its_upper():
    widths = np.array([19.9, 20, 59.9, 60, UNKNOWN])
    assert SizeClass(low=20, high=60).holds(widths).tolist() == [False, True, True, False, False]
    assert SizeClass(low=60).holds(widths).tolist() == [False, False, False, True, False]
    assert SizeClass(high=60).holds(widths).tolist() == [True, True, True, False, False]
    assert SizeClass().holds(widths).all()


@pytest.mark.parametrize(
    "text", ["", "..", "60", "60..20", "60..60", "0..", "-5..", "a..b", "nan..", "..٦٠"]
)
def test_texts_that_are_no_class_are_refused(text):
    with pytest.raises(ConfigError, match="face_px: expected"):
        SizeClass.parse(text)


# ---- refusals


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"set_sizes": ()}, "set_sizes: expected ascending"),
        ({"set_sizes": (0, 1)}, "set_sizes: expected ascending"),
        ({"set_sizes": (2, 1)}, "set_sizes: expected ascending"),
        ({"set_sizes": (1.5,)}, "set_sizes: expected whole numbers"),
        ({"num_replicates": 0}, "num_replicates: expected at least 1"),
        ({"seed": -1}, "seed: expected 0 or more"),
        ({"size_classes": [SizeClass(low=60)] * 2}, "each size class once, got all, 60.., 60.."),
    ],
)
def test_settings_out_of_range_are_refused(options, words):
    with pytest.raises(ConfigError, match=words):
        split(EXAMPLE, **options)


def test_unusable_images_are_refused():
    with pytest.raises(EmptySetError, match="at least one image"):
        split([])
    with pytest.raises(InvalidInputError, match=r"'ann/day1/a.jpg' more than once"):
        split([*EXAMPLE, EXAMPLE[0]])
    with pytest.raises(InvalidInputError, match="face_px 1: expected a width in pixels above 0"):
        split([("a/b/c", 5.0), ("a/b/d", 0.0)])
    with pytest.raises(InvalidInputError, match="face_px 0: expected a width in pixels above 0"):
        split([("a/b/c", float("inf"))])
    with pytest.raises(ShapeError, match="media"):
        split_media(["a/b"], ["a"], [])
    with pytest.raises(ShapeError, match="subjects"):
        split_media(["a/b"], [], ["m"])
    with pytest.raises(ShapeError, match="face_px"):
        split_media(["a/b"], ["a"], ["m"], [1.0, 2.0])
    with pytest.raises(InvalidInputError, match="media 1: expected a name, got none for 'a/c'"):
        split_media(["a/b", "a/c"], ["a", "a"], ["m", ""])
    with pytest.raises(InvalidInputError, match="subjects 0: expected a name"):
        split_media(["a/b"], [""], ["m"])
    for names in (("a/\udcff", "a", "m"), ("a/b", "\udcff", "m"), ("a/b", "a", "\udcff")):
        with pytest.raises(InvalidInputError, match="in Unicode"):
            split_media(*([name] for name in names))


def test_people_are_read_from_one_place():
    """The ordering is what both the gallery and the probes look at."""
    person = PersonMedia(
        name="ann",
        rows=np.array([4, 2, 0]),
        media=("x", "y"),
        medium_of=np.array([0, 1, 0]),
        widths=np.array([UNKNOWN, 5.0, 7.0]),
    )
    inside = np.ones(5, dtype=bool)
    assert [person.gallery(r) for r in range(3)] == [0, 2, 0]
    assert person.others(0, inside).tolist() == [2]
    assert person.smallest(inside) == 1
