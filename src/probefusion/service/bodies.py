"""What requests hold. Every query is a `Query`: images, embeddings, a state, a template or a session."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from probefusion.errors import IntegrityError
from probefusion.service.problems import Refusal
from probefusion.types import EmbeddingSet, FloatArray, FusionState, Template

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

Name = Annotated[str, Field(min_length=1, max_length=1024, examples=["Ann"])]
Id = Annotated[str, Field(min_length=1, max_length=128)]
Label = Annotated[str, Field(max_length=256)]
Row = Annotated[list[float], Field(max_length=_MOST_DIM, fail_fast=True)]
Rows = Annotated[list[Row], Field(max_length=_MOST_ROWS, fail_fast=True)]
Base64 = Annotated[str, Field(max_length=64_000_000)]


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid", allow_inf_nan=False)


class ImageFile(_Body):
    """An image file, as base64."""

    name: str = Field(default="", max_length=256, description="What names it in answers.")
    base64: Base64


class Embeddings(_Body):
    """Embeddings of images: a list of lists, or little-endian float32 as base64, which is ten times faster."""

    rows: Rows | None = Field(default=None, description="(N, D) numbers.")
    base64: Base64 | None = Field(default=None, description="N times D float32 numbers.")
    dim: int | None = Field(default=None, ge=2, le=_MOST_DIM, description="D, with base64.")
    style: Base64 | None = Field(
        default=None,
        description="N times C times 2 float32 numbers: mean and deviation of channels.",
    )
    sources: list[Label] | None = Field(default=None, description="A name for each image.")
    media_ids: list[Label] | None = Field(default=None, description="Still or clip of each image.")
    embedder: str | None = Field(
        default=None, max_length=256, description="Fingerprint of the network that made them."
    )
    norms_known: bool | None = Field(default=None, description="Whether lengths are the network's.")

    def to_set(self) -> EmbeddingSet:
        """The set.

        Raises:
            Refusal: If neither or both of rows and base64 are given, or sizes do not fit.
            InvalidInputError: If the numbers are not embeddings.
        """
        if (self.rows is None) == (self.base64 is None):
            raise _field("/embeddings", "expected rows or base64, got both or neither.")
        if self.rows is not None:
            if len({len(row) for row in self.rows}) != 1:
                raise _field("/embeddings/rows", "expected at least one row, all of one length.")
            matrix = np.array(self.rows, np.float32).reshape(len(self.rows), -1)
        else:
            if self.dim is None:
                raise _field("/embeddings/dim", "expected D, which base64 needs.")
            matrix = _floats(self.base64 or "", "/embeddings/base64", self.dim)
        style = None
        if self.style is not None:
            flat = _floats(self.style, "/embeddings/style", 1).reshape(-1)
            if not len(matrix) or len(flat) % (2 * len(matrix)):
                raise _field(
                    "/embeddings/style", f"expected (N, C, 2) numbers for N = {len(matrix)}."
                )
            style = flat.reshape(len(matrix), -1, 2)
        more: dict[str, Any] = {}
        if self.sources is not None:
            more["sources"] = self.sources
        if self.media_ids is not None:
            more["media_ids"] = self.media_ids
        if self.norms_known is not None:
            more["norms_known"] = self.norms_known
        return EmbeddingSet(
            embeddings=matrix, style=style, embedder=self.embedder, origin="embeddings", **more
        )


class FinishedTemplate(_Body):
    """A finished template, to search or compare with."""

    base64: Base64 = Field(description="D float32 numbers.")
    num_images: int = Field(ge=1, le=10_000_000)
    fuser: str = Field(max_length=256)
    embedder: str | None = Field(default=None, max_length=256)

    def to_template(self) -> Template:
        """The template; raises InvalidInputError if it is none."""
        vector = _floats(self.base64, "/template/base64", 1).reshape(-1)
        return Template(
            vector=vector, num_images=self.num_images, fuser=self.fuser, embedder=self.embedder
        )


class Query(_Body):
    """Images of one person in one of five forms."""

    images: list[ImageFile] | None = None
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
            raise _field(
                "", f"expected one of {', '.join(names)}, got {', '.join(given) or 'none'}."
            )
        return given[0]

    def to_state(self) -> FusionState:
        """The state; raises ProbeFusionError if it is none."""
        try:
            return FusionState.from_bytes(decoded(self.state or "", "/state"), origin="state")
        except IntegrityError as error:
            raise _field("/state", str(error)) from None


class _Rates(_Body):
    fmr: float | None = Field(default=None, gt=0, lt=1, description="Rate of false matches.")
    threshold: float | None = Field(default=None, ge=-1, le=1)


class Search(_Rates):
    """Who is this?"""

    query: Query
    top_k: int = Field(default=10, ge=1, le=1000)
    fpir: float | None = Field(
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
    guard: bool = Field(default=True, description="Hold back what does not look like the person.")
    keep_chips: bool = Field(default=False, description="Keep a small sealed picture of each face.")


class Enrolment(_Body):
    """A new person."""

    name: Name
    query: Query
    source: str = Field(default="", max_length=1024)
    keep_chips: bool = False


class PersonChange(_Body):
    """A new name, or whether matches are ignored."""

    name: Name | None = None
    is_ignored: bool | None = None


class Merge(_Body):
    """The person whose images go over; it is not shown any more, until the merge is undone."""

    other: Name


class Split(_Body):
    """What goes to a new person."""

    into: Name
    contributions: list[Id] = Field(default_factory=list, max_length=10_000)
    images: list[Id] = Field(default_factory=list, max_length=10_000)


class Difference(_Body):
    """Somebody who is known to be another person, or not any more."""

    other: Name
    are_different: bool = True


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

    images: list[ImageFile] | None = None
    embeddings: Embeddings | None = None


def decoded(text: str, field: str) -> bytes:
    """The bytes of base64.

    Raises:
        Refusal: If it is none.
    """
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise _field(field, "expected base64 (RFC 4648, with padding).") from None


def _floats(text: str, field: str, dim: int) -> FloatArray:
    data = decoded(text, field)
    if len(data) % (4 * dim) or not data:
        raise _field(field, f"expected a multiple of {4 * dim} bytes (float32), got {len(data)}.")
    return np.frombuffer(data, "<f4").astype(np.float32).reshape(-1, dim)


def _field(pointer: str, detail: str) -> Refusal:
    return Refusal(422, f"{pointer or 'query'}: {detail}", code="field", field=pointer)
