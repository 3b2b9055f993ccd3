"""The calls of a client, one for each operation of the service."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote, urlencode

import numpy as np
import numpy.typing as npt

from probefusion.service.client.connection import Connection, ServiceError
from probefusion.service.client.queries import Json, query_of

__all__ = ["Client"]

_MOST_AT_ONCE = 1000


class Client(Connection):
    """Calls a service. For several threads; each has a connection of its own.

    People are named by name or id, in the collection of the client. Changes give the revision that `undo` takes.

    Args:
        url: Where the service is, as "https://host:8470".
        key: Key of `probefusion serve-keys`, or None.
        collection: Collection that is meant.
        timeout: Seconds to wait for an answer.
        certificate: File of the certificate of who signed the service's, where the system does not know it.

    Raises:
        ConfigError: If the url is none.
    """

    def collections(self) -> list[str]:
        """Names of the collections that the key may see."""
        return list(self.call("GET", "/v1/collections")["names"])

    def stats(self) -> Json:
        """How much the collection holds, see `probefusion.gallery.views.Stats`."""
        return self._json("GET", self._at(""))

    def people(self) -> Iterator[str]:
        """Names of all people, in order."""
        cursor = None
        while True:
            query = {"limit": str(_MOST_AT_ONCE)} | ({} if cursor is None else {"cursor": cursor})
            page = self.call("GET", self._at(f"/people?{urlencode(query)}"))
            yield from (person["name"] for person in page["people"])
            cursor = page["next"]
            if cursor is None:
                return

    def person(self, name: str) -> Json:
        """What there is of a person, see `probefusion.gallery.views.PersonView`."""
        return self._json("GET", self._person(name))

    def chip(self, image: str) -> bytes:
        """The small picture (JPEG) of a face, where one was kept of the image."""
        return self._content("GET", self._at(f"/images/{_quoted(image)}/chip"), None, None)

    def enroll(
        self, name: str, *, source: str = "", keep_chips: bool = False, **query: Any
    ) -> Json:
        """Enrols a new person, see `query_of` for the images; gives `Added` of a gallery, and its problems."""
        body = {
            "name": name,
            "query": query_of(**query),
            "source": source,
            "keep_chips": keep_chips,
        }
        return self._json("POST", self._at("/people"), body)

    def update(
        self,
        name: str,
        *,
        source: str = "",
        guard: bool = True,
        keep_chips: bool = False,
        **query: Any,
    ) -> Json:
        """Adds images to a person; as `enroll`."""
        body = {
            "query": query_of(**query),
            "source": source,
            "guard": guard,
            "keep_chips": keep_chips,
        }
        return self._json("POST", self._person(name, "/contributions"), body)

    def rename(self, name: str, new_name: str) -> int:
        """Gives a person another name; gives the revision, which `undo` takes, as all changes do."""
        return self._revision("PATCH", self._person(name), {"name": new_name})

    def ignore(self, name: str, is_ignored: bool = True) -> int:
        """Says whether matches with a person are not to be acted on."""
        return self._revision("PATCH", self._person(name), {"is_ignored": is_ignored})

    def merge(self, name: str, other: str) -> Json:
        """Puts another person's images to a person; gives `probefusion.gallery.results.Merged`."""
        return self._json("POST", self._person(name, "/merge"), {"other": other})

    def split(
        self,
        name: str,
        into: str,
        *,
        contributions: Sequence[str] = (),
        images: Sequence[str] = (),
    ) -> int:
        """Puts a part of a person, by ids, to a new one."""
        body = {"into": into, "contributions": list(contributions), "images": list(images)}
        return self._revision("POST", self._person(name, "/split"), body)

    def different(self, name: str, other: str, are_different: bool = True) -> int:
        """Says that two people are different, or are not any more said to be."""
        body = {"other": other, "are_different": are_different}
        return self._revision("POST", self._person(name, "/different"), body)

    def remove(self, name: str) -> int:
        """Removes a person."""
        return self._revision("DELETE", self._person(name))

    def remove_contribution(self, contribution: str) -> int:
        """Takes a contribution out, by its id."""
        return self._revision("DELETE", self._at(f"/contributions/{_quoted(contribution)}"))

    def remove_image(self, image: str) -> int:
        """Takes an image out, by its id."""
        return self._revision("DELETE", self._at(f"/images/{_quoted(image)}"))

    def held(self) -> list[Json]:
        """Contributions that are held back, each with the name of the person."""
        return list(self.call("GET", self._at("/held")))

    def decide(self, contribution: str, *, accept: bool) -> int:
        """Accepts or rejects what is held back."""
        body = {"decision": "accept" if accept else "reject"}
        return self._revision("POST", self._at(f"/held/{_quoted(contribution)}"), body)

    def changes(self, person: str | None = None, *, limit: int | None = 100) -> list[Json]:
        """The newest changes first, of all or of a person.

        Args:
            person: Name or id, or None for all.
            limit: How many at most; None is every change that was ever made, a thousand with each request.
        """
        whose = {} if person is None else {"person": person}
        found: list[Json] = []
        where: Json = {}
        while True:
            some = _MOST_AT_ONCE if limit is None else min(limit - len(found), _MOST_AT_ONCE)
            query = urlencode({"limit": some, **whose, **where})
            page = self.call("GET", self._at(f"/changes?{query}"))
            found += page["changes"]
            if page["next"] is None or len(found) == limit:
                return found
            where = {"cursor": page["next"]}

    def undo(self, revision: int) -> int:
        """Takes a change back; gives the new revision."""
        return self._revision("POST", self._at(f"/changes/{revision}/undo"))

    def forget(
        self,
        name: str | None = None,
        *,
        contribution: str | None = None,
        image: str | None = None,
    ) -> Json:
        """Erases a person, a contribution or an image for good; gives the receipt."""
        body = {"person": name, "contribution": contribution, "image": image}
        return self._json("POST", self._at("/forget"), body)

    def receipts(self, *, pending_only: bool = False) -> list[Json]:
        """What became of requests to forget."""
        query = urlencode({"pending_only": str(pending_only).lower()})
        return list(self.call("GET", self._at(f"/receipts?{query}")))

    def search(
        self,
        *,
        top_k: int = 10,
        fmr: float | None = None,
        fpir: float | None = None,
        threshold: float | None = None,
        **query: Any,
    ) -> Json:
        """Whom images are most similar to, see `probefusion.gallery.results.SearchResult`."""
        body = {
            "query": query_of(**query),
            "top_k": top_k,
            "fmr": fmr,
            "fpir": fpir,
            "threshold": threshold,
        }
        return self._json("POST", self._at("/search"), body)

    def verify(
        self, name: str, *, fmr: float | None = None, threshold: float | None = None, **query: Any
    ) -> Json:
        """Whether images are of a person, see `probefusion.gallery.results.Verification`."""
        body = {"query": query_of(**query), "fmr": fmr, "threshold": threshold}
        return self._json("POST", self._person(name, "/verify"), body)

    def explain(self, name: str, **query: Any) -> Json:
        """What carries a match, see `probefusion.gallery.verbs.explanation.MatchExplanation`."""
        return self._json("POST", self._person(name, "/explain"), query_of(**query))

    def compare(
        self,
        first: Json,
        second: Json,
        *,
        fmr: float | None = None,
        threshold: float | None = None,
    ) -> Json:
        """Whether two sets, each as `query_of` gives it, are of one person."""
        body = {"first": first, "second": second, "fmr": fmr, "threshold": threshold}
        return self._json("POST", "/v1/compare", body)

    def fuse(self, **query: Any) -> npt.NDArray[np.float32]:
        """The template of images, (D,) float32."""
        answer = self.call("POST", "/v1/fuse", query_of(**query))
        return np.frombuffer(base64.b64decode(answer["template"]["base64"]), "<f4").astype(
            np.float32
        )

    def open_session(self) -> str:
        """Opens a streaming session; gives its id, which queries take as `session`."""
        return str(self.call("POST", "/v1/sessions")["id"])

    def add_images(self, session: str, **query: Any) -> Json:
        """Adds images or embeddings to a session; tells how many it holds and what was left out."""
        return self._json("POST", f"/v1/sessions/{_quoted(session)}/images", query_of(**query))

    def read_session(self, session: str, *, person: str | None = None) -> Json:
        """The template so far, also beside a person of the collection."""
        query = {} if person is None else {"collection": self.collection, "person": person}
        return self._json("GET", f"/v1/sessions/{_quoted(session)}?{urlencode(query)}")

    def close_session(self, session: str) -> None:
        """Closes a session."""
        self.call("DELETE", f"/v1/sessions/{_quoted(session)}")

    def _json(self, method: str, path: str, body: Json | None = None) -> Json:
        answer: Json = self.call(method, path, body)
        return answer

    def _revision(self, method: str, path: str, body: Json | None = None) -> int:
        return int(self.call(method, path, body)["revision"])

    def _at(self, path: str) -> str:
        return f"/v1/collections/{_quoted(self.collection)}{path}"

    def _person(self, name: str, path: str = "") -> str:
        if "/" in name or name in (".", ".."):  # what a path cannot say goes by its id
            page = self.call("GET", self._at(f"/people?{urlencode({'name': name})}"))
            if not page["people"]:
                detail = f"unknown person of {self.collection!r} {name!r}."
                raise ServiceError(404, {"status": 404, "detail": detail})
            name = page["people"][0]["id"]
        return self._at(f"/people/{_quoted(name)}{path}")


def _quoted(part: str) -> str:
    return quote(part, safe="")
