"""Routes whose bodies are JSON: small ones are parsed at once, large ones where they hold up nobody."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from anyio import to_thread
from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute

from probefusion.service.guards.deadline import nobody_waits, wanting
from probefusion.service.json_parsing import parse_json
from probefusion.service.problems import Refusal

__all__ = ["LARGE_BODY", "JsonRoute"]

LARGE_BODY = 500_000
"""Bytes from which on a body is parsed in a thread. Below, it takes less than the 5 ms for which the interpreter stays
with a thread anyway, so a thread would hold up others no less (`benchmarks/service_bodies.py`)."""

_SHOWN = 40


class JsonRoute(APIRoute):
    """A route whose body is JSON: its kind is checked, it is parsed within bounds, and no key stands twice."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers requests of this route."""
        answer = super().get_route_handler()
        field = self.body_field
        if field is None:
            return answer

        def checked(body: bytes, is_wanted: Callable[[], bool]) -> tuple[Any, list[Any]]:
            """The model of a body, which checks itself no second time; or None, and what is wrong."""
            if not is_wanted():
                raise nobody_waits()
            found = field.validate(parse_json(body, in_pieces=True), {}, loc=("body",))
            return (None, found[1]) if found[1] else found

        async def answer_parsed(request: Request) -> Response:
            body = await request.body()
            if body:
                _check_kind(request.headers.get("content-type"))
                if len(body) >= LARGE_BODY:
                    return await _answer_large(request, answer, partial(checked, body))
                request._json = parse_json(body)  # where the framework looks first
            return await answer(request)

        return answer_parsed


async def _answer_large(
    request: Request,
    answer: Callable[[Request], Coroutine[Any, Any, Response]],
    check: Callable[[Callable[[], bool]], tuple[Any, list[Any]]],
) -> Response:
    """Has a body parsed and checked in a thread; the framework, which would do it in the event loop, finds it done.

    What is wrong with it is told where the framework would tell it: after keys and roles were looked at.
    """
    is_wanted = wanting(request.scope)
    request._json, errors = await to_thread.run_sync(
        check, is_wanted, limiter=request.app.state.parsing
    )
    try:
        return await answer(request)
    except RequestValidationError as error:
        others = [each for each in error.errors() if each["loc"][:1] != ("body",)]
        raise RequestValidationError([*others, *errors]) from None


def _check_kind(content_type: str | None) -> None:
    kind = (content_type or "").partition(";")[0].strip().lower()
    if kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json")):
        return
    raise Refusal(
        415,
        f"Content-Type: expected application/json, got {kind[:_SHOWN]!r}.",
        code="content-type",
        field="Content-Type",
    )
