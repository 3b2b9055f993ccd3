"""JSON bodies are looked over before they are parsed: what would take memory or time without end is refused at once."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any, NoReturn

from fastapi import Request, Response
from fastapi.routing import APIRoute

from probefusion.service.problems import Refusal

__all__ = ["JsonRoute", "parse_json"]

_MOST_VALUES = 1_000_000
"""Values of a body; 512 embeddings of 512 numbers are a quarter of it."""
_MOST_PARTS = 50_000
"""Objects and arrays of a body."""
_MOST_FIELDS = 100_000
"""Fields of all objects of a body."""
_SHOWN = 40


class JsonRoute(APIRoute):
    """A route whose body is JSON: its kind is checked, it is parsed within bounds, and no key stands twice."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """What answers requests of this route."""
        answer = super().get_route_handler()
        if self.body_field is None:
            return answer

        async def answer_parsed(request: Request) -> Response:
            body = await request.body()
            if body:
                _check_kind(request.headers.get("content-type"))
                request._json = parse_json(body)  # where the framework looks first
            return await answer(request)

        return answer_parsed


def parse_json(body: bytes) -> Any:
    """What a body holds.

    Args:
        body: JSON in UTF-8, UTF-16 or UTF-32.

    Raises:
        Refusal: If it is no JSON, holds too much, or names a field twice.
    """
    values = body.count(b",") + 1
    parts = body.count(b"{") + body.count(b"[")
    fields = body.count(b":")
    if values > _MOST_VALUES or parts > _MOST_PARTS or fields > _MOST_FIELDS:
        raise Refusal(
            413,
            f"body: expected at most {_MOST_VALUES:,} values in {_MOST_PARTS:,} objects and lists with "
            f"{_MOST_FIELDS:,} fields, got about {values:,} in {parts:,} with {fields:,}. Send embeddings as base64, "
            f"or in parts to a session.",
            code="too-large",
        )
    try:
        return json.loads(body, object_pairs_hook=_each_once, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise _no_json(f"{error.msg[:1].lower()}{error.msg[1:]} ({where})") from None
    except UnicodeDecodeError as error:
        raise _no_json(f"byte {error.start} is not UTF-8") from None
    except RecursionError:
        raise _no_json("it is nested too deep") from None
    except ValueError:  # of integers alone
        raise _no_json("it has a whole number of too many digits") from None


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise _no_json(f"an object names {twice[:_SHOWN]!r} twice")
    return found


def _refuse_constant(word: str) -> NoReturn:
    raise _no_json(f"{word} is no number of JSON")


def _no_json(why: str) -> Refusal:
    return Refusal(400, f"body: expected JSON (RFC 8259): {why}.", code="json", field="")


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
