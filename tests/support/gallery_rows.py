"""Rows for tests of the places where galleries lie."""

from __future__ import annotations

from probefusion.gallery.stores.records import (
    ChangeRow,
    ContributionRow,
    ImageRow,
    ModelRow,
    PersonRow,
    VectorRow,
)

TIME = "2026-03-01T12:00:00+00:00"


def person(number: int, **settings) -> PersonRow:
    return PersonRow(
        **{"id": f"p{number:04}", "name": f"person {number}", "created": TIME, **settings}
    )


def contribution(number: int, of: int | None, **settings) -> ContributionRow:
    owner = None if of is None else f"p{of:04}"
    given = {
        "id": f"c{number:04}",
        "person_id": owner,
        "last_person": owner or "p0000",
        "kind": "visit",
        "keep": "features",
        "num_images": 2,
        "time": TIME,
        **settings,
    }
    return ContributionRow(**given)


def images(number: int, how_many: int = 2) -> list[ImageRow]:
    owner = f"c{number:04}"
    return [
        ImageRow(id=f"{owner}i{place}", contribution_id=owner, place=place, source=f"{place}.jpg")
        for place in range(how_many)
    ]


def model(number: int = 1, **settings) -> ModelRow:
    given = {"id": f"m{number}", "embedder": "net@1", "fuser": "mean:1", "fuser_source": "mean"}
    return ModelRow(**{**given, "dim": 16, "status": "serving", "created": TIME, **settings})


def vector(number: int, revision: int, content: bytes | None, **settings) -> VectorRow:
    given = {"person_id": f"p{number:04}", "model_id": "m1", "vector": content, "num_images": 2}
    return VectorRow(**{**given, "revision": revision, **settings})


def change(revision: int, **settings) -> ChangeRow:
    given = {"revision": revision, "time": TIME, "actor": "tests", "action": "enroll"}
    return ChangeRow(**{**given, **settings})


def enroll(store, number: int, payload: bytes, *, collection: str = "people") -> None:
    """A person with a contribution of two images and a template, in one change."""
    with store.writing(collection) as writer:
        if not writer.models():
            writer.put_model(model())
        writer.put_person(person(number))
        writer.add_contribution(contribution(number, number), images(number), payload, "net@1")
        writer.put_vector(vector(number, writer.revision, payload[:64]))
        writer.put_change(change(writer.revision, subjects=(f"p{number:04}",)))
