"""Errors as RFC 9457 problem details: what was wrong, with which field, and what to do."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from probefusion.errors import (
    ConflictError,
    IntegrityError,
    InvalidInputError,
    MismatchError,
    MissingExtraError,
    MissingFileError,
    MissingKeyError,
    MissingNormsError,
    MissingQualityError,
    MissingStyleError,
    NotUsableError,
    OutputExistsError,
    ProbeFusionError,
    SealError,
    SeveralPeopleError,
    StoreBusyError,
    StoreError,
    UnknownNameError,
    UnsupportedOperationError,
)

__all__ = [
    "MEDIA_TYPE",
    "Refusal",
    "code_of",
    "handle_errors",
    "no_key",
    "no_valid_key",
    "problem",
    "refusal_at",
]

_log = logging.getLogger("probefusion.service")

_ERRORS_TOLD = 20

MEDIA_TYPE = "application/problem+json"

_STATUS: tuple[tuple[type[ProbeFusionError], int], ...] = (
    (SeveralPeopleError, 422),
    (NotUsableError, 422),
    (UnknownNameError, 404),
    (OutputExistsError, 409),
    (ConflictError, 409),
    (MismatchError, 409),
    (StoreBusyError, 503),
    (StoreError, 503),
    (IntegrityError, 500),
    (SealError, 500),
    (MissingKeyError, 500),
    (MissingExtraError, 501),
    (UnsupportedOperationError, 501),
    (MissingNormsError, 422),
    (MissingStyleError, 422),
    (MissingQualityError, 422),
    (MissingFileError, 422),
    (InvalidInputError, 422),
)
"""The first that fits decides."""

_TITLES = {
    400: "The request cannot be read",
    401: "No valid key",
    403: "The key does not allow this",
    404: "Not found",
    405: "Not allowed here",
    408: "The request came too slowly",
    409: "It does not fit what is there",
    412: "It was changed meanwhile",
    413: "Too large",
    415: "This kind of content is not taken",
    422: "A field is not what it must be",
    429: "Too many requests",
    500: "A fault of the service",
    501: "Not possible here",
    503: "Not available now",
}


class Refusal(Exception):  # noqa: N818 - not an error of the program
    """A request that is refused.

    Args:
        status: HTTP status.
        detail: What was expected, what came, what to do.
        code: A word for programs.
        field: Of the request, as a JSON pointer, or None.
        headers: More headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        code: str,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status, self.detail, self.code, self.field = status, detail, code, field
        self.headers = dict(headers or {})


def no_valid_key() -> Refusal:
    """The refusal of who has no valid key."""
    return Refusal(
        401,
        "expected a key that is valid: Authorization: Bearer pf_... Ask for one, or make one: probefusion serve-keys.",
        code="key",
        headers={"WWW-Authenticate": "Bearer"},
    )


def problem(
    status: int,
    detail: str,
    *,
    code: str,
    errors: list[dict[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> JSONResponse:
    """An answer with problem details.

    Args:
        status: HTTP status.
        detail: In words.
        code: A word for programs: the last part of the type.
        errors: Fields that are wrong, each with a JSON `pointer` and `detail`.
        headers: More headers.
    """
    content: dict[str, Any] = {
        "type": f"urn:probefusion:problem:{code}",
        "title": _TITLES.get(status, "Refused"),
        "status": status,
        "detail": detail,
    }
    if errors:
        content["errors"] = errors
    return JSONResponse(
        content, status_code=status, media_type=MEDIA_TYPE, headers=dict(headers or {})
    )


def code_of(body: bytes) -> str:
    """The word for programs of problem details; "" for other answers."""
    try:
        return str(json.loads(body)["type"]).rpartition(":")[2]
    except (ValueError, TypeError, KeyError):
        return ""


def no_key() -> JSONResponse:
    """The answer to who has no valid key."""
    told = no_valid_key()
    return problem(told.status, told.detail, code=told.code, headers=told.headers)


def refusal_at(error: ProbeFusionError, field: str) -> Refusal:
    """An error of what a field holds: the same answer, which names the field.

    Args:
        error: What is wrong; a state whose checksum is wrong is a fault of the client, not of the service.
        field: JSON pointer.
    """
    status = 422 if isinstance(error, IntegrityError) else _status(error)
    return Refusal(status, f"{field or 'body'}: {error}", code=_code(error), field=field)


def handle_errors(app: FastAPI) -> None:
    """Makes every error of an application problem details."""

    @app.exception_handler(Refusal)
    async def refused(request: Request, error: Refusal) -> JSONResponse:
        errors = None if error.field is None else [{"pointer": error.field, "detail": error.detail}]
        return problem(
            error.status, error.detail, code=error.code, errors=errors, headers=error.headers
        )

    @app.exception_handler(ProbeFusionError)
    async def known(request: Request, error: ProbeFusionError) -> JSONResponse:
        status = _status(error)
        if status == 500:
            _log.error("%s %s: %s", request.method, _route(request), error)
        headers = {"Retry-After": "1"} if status == 503 else {}
        return problem(status, _detail(error), code=_code(error), headers=headers)

    @app.exception_handler(RequestValidationError)
    async def invalid(request: Request, error: RequestValidationError) -> JSONResponse:
        errors = [
            {"pointer": _pointer(item["loc"]), "detail": str(item["msg"])}
            for item in error.errors()[:_ERRORS_TOLD]
        ]
        first = errors[0] if errors else {"pointer": "", "detail": "not valid"}
        return problem(
            422, f"{first['pointer'] or 'request'}: {first['detail']}", code="field", errors=errors
        )

    @app.exception_handler(HTTPException)
    async def plain(request: Request, error: HTTPException) -> JSONResponse:
        return problem(
            error.status_code,
            str(error.detail),
            code={404: "unknown-path", 405: "unknown-method"}.get(error.status_code, "http"),
            headers=error.headers,
        )

    @app.exception_handler(Exception)
    async def unknown(request: Request, error: Exception) -> JSONResponse:
        _log.exception("%s %s failed", request.method, _route(request))
        return problem(
            500, "The service failed; its log says why. Look before you try again.", code="fault"
        )


def _route(request: Request) -> str:
    """The path as the route declares it: names of people do not belong into a log."""
    return str(getattr(request.scope.get("route"), "path", "unknown path"))


def _status(error: ProbeFusionError) -> int:
    return next((code for kind, code in _STATUS if isinstance(error, kind)), 500)


def _detail(error: ProbeFusionError) -> str:
    """In words; who else is in a gallery is told by its list alone, which is noted in the log of accesses."""
    if isinstance(error, UnknownNameError) and error.kind.startswith("person"):
        return f"unknown {error.kind} {error.name!r}. The list of people tells who there is."
    return str(error)


def _code(error: ProbeFusionError) -> str:
    """`SeveralPeopleError` as `several-people`."""
    name = type(error).__name__.removesuffix("Error")
    return "".join(f"-{c.lower()}" if c.isupper() else c for c in name).lstrip("-")


def _pointer(place: tuple[Any, ...] | Any) -> str:
    """Where a field stands, as a JSON pointer in the body or the name of a parameter."""
    parts = [str(part).replace("~", "~0").replace("/", "~1") for part in place]
    if parts and parts[0] == "body":
        return "/" + "/".join(parts[1:]) if len(parts) > 1 else ""
    return "/".join(parts)
