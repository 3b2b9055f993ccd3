"""Every verb refuses every argument of a wrong type or value in words that name it, and changes nothing."""

from __future__ import annotations

import inspect

import pytest

from gallery_people import MadeUp
from probefusion.errors import InvalidInputError, ProbeFusionError
from probefusion.gallery import Gallery

PEOPLE = MadeUp()
IMAGES = PEOPLE.images(0, 1)

TEXTS = [3, None, b"ann", ["ann"], ""]
IDS = [3, b"c1", ["c1"]]
FLAGS = ["yes", None, 1, 0.0]
WHAT = ["ann.jpg", 3, None, [], [1, 2], object(), {"a": 1}]
RATES = ["0.1", True, -0.1, 1.5, float("nan")]
TIMES = [5, "2020", 3.5]
COUNTS = [-1, 1.5, "1", True, 2**70]
SECONDS = [-1, "1", True, float("nan"), float("inf")]
CHIPS = [b"one", 3, [b"one"], ["x", "y", "z"]]

VERBS = {
    "enroll": (
        {"name": "bob", "what": IMAGES},
        {
            "name": TEXTS,
            "what": WHAT,
            "source": [3, None, b"x"],
            "time": TIMES,
            "chips": CHIPS,
        },
    ),
    "update": (
        {"name": "ann", "what": IMAGES},
        {
            "name": TEXTS,
            "what": WHAT,
            "source": [3, None, b"x"],
            "time": TIMES,
            "guard": FLAGS,
            "kind": [3, None, "enrolment", ["visit"]],
            "chips": CHIPS,
        },
    ),
    "accept": ({}, {"contribution": [*IDS, None, "c0"]}),
    "reject": ({}, {"contribution": [*IDS, None, "c0"]}),
    "search": (
        {"what": IMAGES, "threshold": 0.5},
        {
            "what": WHAT,
            "top_k": [0, *COUNTS],
            "threshold": [*RATES[:2], 1.5, float("nan")],
            "model": [*IDS, "m0"],
            "fmr": [0.1],
            "fpir": [0.1],
        },
    ),
    "search_together": ({}, {"queries": [3, None, "ann", IMAGES, [3], [None], [IMAGES]]}),
    "verify": (
        {"name": "ann", "what": IMAGES},
        {"name": TEXTS, "what": WHAT, "fmr": RATES, "threshold": ["1", 2]},
    ),
    "explain": ({"name": "ann", "what": IMAGES}, {"name": TEXTS, "what": WHAT}),
    "merge": ({"name": "ann", "other": "cid"}, {"name": TEXTS, "other": [*TEXTS, "ann"]}),
    "split": (
        {"name": "ann", "into": "new"},
        {
            "name": TEXTS,
            "into": TEXTS,
            "contributions": [3, "c1", ["c1"], [3]],
            "images": [3, "i", ["i"], [None]],
        },
    ),
    "move": (
        {"to": "ann", "contributions": ["c1"]},
        {
            "to": TEXTS,
            "contributions": [3, "c1", ["c1"], [3]],
            "images": [3, "i", ["i"], [None]],
        },
    ),
    "remove": (
        {},
        {
            "name": [3, b"ann", ["ann"], "", None],
            "contribution": [*IDS, "c0"],
            "image": [*IDS, "i0"],
        },
    ),
    "rename": ({"name": "ann", "new_name": "new"}, {"name": TEXTS, "new_name": [*TEXTS, "cid"]}),
    "ignore": ({"name": "ann"}, {"name": TEXTS, "is_ignored": FLAGS}),
    "cannot_link": (
        {"name": "ann", "other": "cid"},
        {
            "name": TEXTS,
            "other": [*TEXTS, "ann"],
            "are_different": FLAGS,
        },
    ),
    "undo": ({}, {"revision": [*COUNTS, 99]}),
    "add_model": (
        {"fuser": "mean"},
        {
            "fuser": [3, None, "nofuser"],
            "embedder": [3, b"x"],
            "dim": [0, -1, "64", 1.5],
        },
    ),
    "re_fuse": ({}, {"model": [*IDS, None, "m0"]}),
    "missing": ({}, {"model": [*IDS, None, "m0"]}),
    "re_embed": ({}, {"embeddings": [3, None, [1], {"c0": IMAGES}, {3: IMAGES}]}),
    "serve": ({}, {"model": [*IDS, None, "m0"]}),
    "drop_model": ({}, {"model": [*IDS, None, "m0"]}),
    "forget": (
        {},
        {
            "name": [3, b"ann", ["ann"], "", None],
            "contribution": [*IDS, "c0"],
            "image": [*IDS, "i0"],
        },
    ),
    "forget_people": ({}, {"names": [3, None, "ann", b"ann", [3], [""], ["ann", "nobody"]]}),
    "compact": ({}, {"name": [3, b"ann", ["ann"], ""], "before": TIMES}),
    "receipts": ({}, {"pending_only": FLAGS}),
    "person": ({}, {"name": TEXTS}),
    "history": (
        {},
        {"name": [3, b"ann", ["ann"], "", "nobody"], "limit": COUNTS, "before": COUNTS},
    ),
    "stats": ({}, {"looks_for_damage": FLAGS}),
    "template": ({"name": "ann"}, {"name": TEXTS, "model": [*IDS, "m0"]}),
    "made_by": ({}, {"embedder": [3, b"x"]}),
    "check_fits": ({}, {"what": WHAT}),
    "chip": ({}, {"image": [*IDS, None, "i0"]}),
    "load": (
        {"people": {"bob": IMAGES}},
        {
            "people": [3, None, "ann", b"x", [3], [("a",)], {"": IMAGES}, {3: IMAGES}, {"bob": 3}],
            "skip_existing": FLAGS,
            "people_at_once": [0, *COUNTS],
            "source": [3, None, b"x"],
        },
    ),
    "take_people": ({}, {"people": [3, None, "ann", [3]]}),
    "plain_people": ({}, {"model": [*IDS, "m0"], "chips": FLAGS}),
    "acting_as": (
        {"actor": "ann"},
        {"actor": [3, None, b"x", "x" * 300, "a\nb"], "at_revision": COUNTS},
    ),
    "images_of": ({}, {"name": TEXTS}),
    "wait": ({"after": 0, "timeout": 0}, {"after": COUNTS, "timeout": SECONDS}),
}

WITHOUT = {
    "held",
    "removed",
    "finish_forgetting",
    "rollback",
    "list",
    "ids",
    "models",
    "check",
    "close",
}
"""Verbs that take nothing."""

UNCHECKED = {"progress"}
"""Functions of the caller's own."""

CASES = [
    pytest.param(verb, usual, argument, value, id=f"{verb}-{argument}-{place}")
    for verb, (usual, wrong) in VERBS.items()
    for argument, values in wrong.items()
    for place, value in enumerate(values)
]


@pytest.fixture(scope="module")
def gallery(tmp_path_factory):
    with Gallery(tmp_path_factory.mktemp("gallery") / "people.db", fuser="mean") as opened:
        opened.enroll("ann", PEOPLE.images(0, 0))
        opened.enroll("cid", PEOPLE.images(2, 0))
        yield opened


def test_all_arguments_of_all_verbs_are_listed():
    verbs = {
        name: set(inspect.signature(member).parameters) - {"self"}
        for name, member in inspect.getmembers(Gallery, inspect.isfunction)
        if not name.startswith("_")
    }
    assert {name for name, arguments in verbs.items() if not arguments} == WITHOUT
    listed = {verb: set(wrong) | UNCHECKED & verbs[verb] for verb, (_, wrong) in VERBS.items()}
    assert listed == {name: arguments for name, arguments in verbs.items() if arguments}


def called(gallery, verb, arguments):
    """Calls a verb; the one that gives people one by one is asked for the first."""
    told = getattr(gallery, verb)(**arguments)
    return next(told) if verb == "plain_people" else told


@pytest.mark.parametrize(("verb", "usual", "argument", "value"), CASES)
def test_what_cannot_be_is_refused_and_named(gallery, verb, usual, argument, value):
    before = gallery.revision
    with pytest.raises(ProbeFusionError) as caught:
        called(gallery, verb, {**usual, argument: value})
    assert gallery.revision == before
    message = str(caught.value)
    assert "\n" not in message
    if isinstance(caught.value, InvalidInputError) and not isinstance(value, list):
        words = {argument, "what", "name", verb, repr(value), "person", "contribution"}
        assert any(word in message for word in words), message
