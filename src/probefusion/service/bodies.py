"""What requests hold. Every query is a `Query`: images, embeddings, a state, a template or a session."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PrivateAttr, model_validator
from pydantic_core import PydanticCustomError

from probefusion.errors import IntegrityError, InvalidInputError
from probefusion.service.problems import Refusal, refusal_at
from probefusion.types import EmbeddingSet, FloatArray, FusionState, Template, Usability
from probefusion.types.usability import checked_numbers

__all__ = [
    "Comparison",
    "Decide",
    "Difference",
    "Embeddings",
    "Enrolment",
    "Forgetting",
    "ImageFile",
    "Merge",
    "PersonChange",
    "Query",
    "Search",
    "SessionImages",
    "Split",
    "Verify",
    "Visit",
]

_MOST_DIM = 4096
_MOST_ROWS = 10_000
_MOST_UNKNOWN = 20


def _as_row(numbers: list[float]) -> Any:
    """An embedding as (D,) float32. Each row by itself: other threads get their turn between two."""
    with np.errstate(over="ignore"):  # becomes infinite, which is refused once all are there
        return np.array(numbers, np.float32)


Name = Annotated[str, Field(min_length=1, max_length=1024, examples=["Ann"])]
Id = Annotated[str, Field(min_length=1, max_length=128)]
Label = Annotated[str, Field(max_length=256)]
Labels = Annotated[list[Label], Field(max_length=_MOST_ROWS, fail_fast=True)]
Ids = Annotated[list[Id], Field(max_length=_MOST_ROWS, fail_fast=True)]
Number = Annotated[float, Field(strict=True)]
Count = Annotated[int, Field(strict=True)]
Flag = Annotated[bool, Field(strict=True)]
Row = Annotated[list[Number], Field(max_length=_MOST_DIM, fail_fast=True), AfterValidator(_as_row)]
Rows = Annotated[list[Row], Field(max_length=_MOST_ROWS, fail_fast=True)]
Base64 = Annotated[str, Field(max_length=64_000_000)]


class _Body(BaseModel):
    """A part of a body. What is no number, flag or known field is refused, never converted or left out."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)
    _place: str = PrivateAttr("")

    @property
    def place(self) -> str:
        """Where it stands in the body, as a JSON pointer; "" is the body itself."""
        return self._place

    @model_validator(mode="before")
    @classmethod
    def _has_few_unknown(cls, given: Any) -> Any:
        """Told once, where a list of all of them would be endless."""
        if isinstance(given, dict) and len(given) > len(cls.model_fields) + _MOST_UNKNOWN:
            raise PydanticCustomError(
                "unknown_fields",
                "expected at most the fields {known}, got {number}",
                {"known": ", ".join(cls.model_fields), "number": len(given)},
            )
        return given

    @model_validator(mode="after")
    def _knows_places(self) -> _Body:
        self._put("")  # as the body itself, until what it is a part of says more
        return self

    def _put(self, place: str) -> None:
        self._place = place
        for name, part in self:
            if isinstance(part, _Body):
                part._put(f"{place}/{name}")

    def _at(self, pointer: str) -> str:
        return f"{self._place}{pointer}"

    def _field(self, pointer: str, detail: str) -> Refusal:
        at = self._at(pointer)
        return Refusal(422, f"{at or 'query'}: {detail}", code="field", field=at)

    @contextmanager
    def _errors_at(self, pointer: str) -> Iterator[None]:
        """What is wrong with a field names it."""
        try:
            yield
        except (InvalidInputError, IntegrityError) as error:
            raise refusal_at(error, self._at(pointer)) from None


class ImageFile(_Body):
    """An image file, as base64."""

    name: str = Field(default="", max_length=256, description="What names it in answers.")
    base64: Base64


Images = Annotated[list[ImageFile], Field(max_length=_MOST_ROWS, fail_fast=True)]


class Embeddings(_Body):
    """Embeddings of images: a list of lists, or little-endian float32 as base64, which is ten times faster."""

    rows: Rows | None = Field(default=None, description="(N, D) numbers.")
    base64: Base64 | None = Field(default=None, description="N times D float32 numbers.")
    dim: Count | None = Field(default=None, ge=2, le=_MOST_DIM, description="D, with base64.")
    style: Base64 | None = Field(
        default=None,
        description="N times C times 2 float32 numbers: mean and deviation of channels.",
    )
    sources: Labels | None = Field(default=None, description="A name for each image.")
    media_ids: Labels | None = Field(default=None, description="Still or clip of each image.")
    embedder: str | None = Field(
        default=None, max_length=256, description="Fingerprint of the network that made them."
    )
    norms_known: Flag | None = Field(default=None, description="Whether lengths are the network's.")

    def to_set(self) -> EmbeddingSet:
        """The set.

        Raises:
            Refusal: If neither or both of rows and base64 are given, sizes do not fit, or the numbers are not
                embeddings.
        """
        if (self.rows is None) == (self.base64 is None):
            raise self._field("", "expected rows or base64, got both or neither.")
        if self.rows is not None:
            if len({len(row) for row in self.rows}) != 1:
                raise self._field("/rows", "expected at least one row, all of one length.")
            matrix = np.array(self.rows, np.float32).reshape(len(self.rows), -1)
        else:
            if self.dim is None:
                raise self._field("/dim", "expected D, which base64 needs.")
            matrix = _floats(self.base64 or "", self.dim, self._at("/base64"))
        style = None
        if self.style is not None:
            flat = _floats(self.style, 1, self._at("/style")).reshape(-1)
            if not len(matrix) or len(flat) % (2 * len(matrix)):
                raise self._field("/style", f"expected (N, C, 2) numbers for N = {len(matrix)}.")
            style = flat.reshape(len(matrix), -1, 2)
        more: dict[str, Any] = {}
        if self.sources is not None:
            more["sources"] = self.sources
        if self.media_ids is not None:
            more["media_ids"] = self.media_ids
        if self.norms_known is not None:
            more["norms_known"] = self.norms_known
        with self._errors_at(""):
            return EmbeddingSet(
                embeddings=matrix, style=style, embedder=self.embedder, origin="embeddings", **more
            )


class Estimate(_Body):
    """What can be expected of a template, as an answer gave it. What follows from the numbers is passed over."""

    similarity: Number | None = None
    interval: Annotated[list[Number], Field(min_length=2, max_length=2)] | None = None
    level: Number | None = None
    false_match_rate: Number | None = None
    verdict: Label | None = None
    quality: Count | None = None
    reason: str | None = Field(default=None, max_length=1024)

    def to_usability(self) -> Usability | None:
        """The estimate, None where nothing is known; raises Refusal if it cannot be one."""
        if self.similarity is None:
            return None
        low, high = self.interval or (None, None)
        numbers = (self.similarity, low, high, self.level, self.false_match_rate)
        with self._errors_at(""):
            (found,) = checked_numbers(np.array([numbers], np.float64), 1)
            return Usability.of_numbers(found)


class FinishedTemplate(_Body):
    """A finished template, to search or compare with."""

    base64: Base64 = Field(description="D float32 numbers.")
    num_images: Count = Field(ge=1, le=10_000_000)
    fuser: str = Field(max_length=256)
    embedder: str | None = Field(default=None, max_length=256)
    usability: Estimate | None = Field(
        default=None, description="As the answer gave it that the template came with."
    )

    def to_template(self) -> Template:
        """The template; raises Refusal if it is none."""
        vector = _floats(self.base64, 1, self._at("/base64")).reshape(-1)
        with self._errors_at(""):
            return Template(
                vector=vector,
                num_images=self.num_images,
                fuser=self.fuser,
                embedder=self.embedder,
                usability=None if self.usability is None else self.usability.to_usability(),
            )


class Query(_Body):
    """Images of one person in one of five forms."""

    images: Images | None = None
    embeddings: Embeddings | None = None
    state: Base64 | None = Field(default=None, description="A state, as `FusionState.to_bytes`.")
    template: FinishedTemplate | None = None
    session: Id | None = Field(default=None, description="Id of a session: what it holds so far.")

    def form(self) -> Literal["images", "embeddings", "state", "template", "session"]:
        """Which form it has.

        Raises:
            Refusal: If it is not exactly one.
        """
        names: tuple[Literal["images", "embeddings", "state", "template", "session"], ...] = (
            "images",
            "embeddings",
            "state",
            "template",
            "session",
        )
        given = [name for name in names if getattr(self, name) is not None]
        if len(given) != 1:
            raise self._field(
                "", f"expected one of {', '.join(names)}, got {', '.join(given) or 'none'}."
            )
        return given[0]

    def to_state(self) -> FusionState:
        """The state; raises Refusal if it is none."""
        with self._errors_at("/state"):
            content = decoded(self.state or "", self._at("/state"))
            return FusionState.from_bytes(content, origin="state")


class _Rates(_Body):
    fmr: Number | None = Field(default=None, gt=0, lt=1, description="Rate of false matches.")
    threshold: Number | None = Field(default=None, ge=-1, le=1)


class Search(_Rates):
    """Who is this?"""

    query: Query
    top_k: Count = Field(default=10, ge=1, le=1000)
    fpir: Number | None = Field(
        default=None, gt=0, lt=1, description="Rate of searches for strangers that find a match."
    )


class Verify(_Rates):
    """Is this the named person?"""

    query: Query


class Comparison(_Rates):
    """Are two sets of images of one person?"""

    first: Query
    second: Query


class Visit(_Body):
    """Images to be added to a person."""

    query: Query
    source: str = Field(default="", max_length=1024)
    guard: Flag = Field(default=True, description="Hold back what does not look like the person.")
    keep_chips: Flag = Field(default=False, description="Keep a small sealed picture of each face.")


class Enrolment(_Body):
    """A new person."""

    name: Name
    query: Query
    source: str = Field(default="", max_length=1024)
    keep_chips: Flag = False


class PersonChange(_Body):
    """A new name, or whether matches are ignored."""

    name: Name | None = None
    is_ignored: Flag | None = None


class Merge(_Body):
    """The person whose images go over; it is not shown any more, until the merge is undone."""

    other: Name


class Split(_Body):
    """What goes to a new person."""

    into: Name
    contributions: Ids = Field(default_factory=list)
    images: Ids = Field(default_factory=list)


class Difference(_Body):
    """Somebody who is known to be another person, or not any more."""

    other: Name
    are_different: Flag = True


class Decide(_Body):
    """What becomes of images that are held back."""

    decision: Literal["accept", "reject"]


class Forgetting(_Body):
    """What is to be erased for good: one of three."""

    person: Name | None = None
    contribution: Id | None = None
    image: Id | None = None


class SessionImages(_Body):
    """Images that come in."""

    images: Images | None = None
    embeddings: Embeddings | None = None


def decoded(text: str, pointer: str) -> bytes:
    """The bytes of base64.

    Args:
        text: Base64 with padding.
        pointer: Where it stands in the body.

    Raises:
        Refusal: If it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        detail = f"{pointer}: expected base64 (RFC 4648, with padding)."
        raise Refusal(422, detail, code="field", field=pointer) from None


def _floats(text: str, dim: int, pointer: str) -> FloatArray:
    data = decoded(text, pointer)
    if len(data) % (4 * dim) or not data:
        detail = f"{pointer}: expected a multiple of {4 * dim} bytes (float32), more than 0, got {len(data)}."
        raise Refusal(422, detail, code="field", field=pointer)
    return np.frombuffer(data, "<f4").astype(np.float32).reshape(-1, dim)
