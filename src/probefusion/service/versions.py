"""ETags: the version of a collection, so that a client sees whether anything changed, and changes nothing unseen."""

from __future__ import annotations

from typing import Annotated

from fastapi import Header, Response

from probefusion.service.problems import Refusal

__all__ = ["IfMatch", "IfNoneMatch", "check_unchanged", "tagged"]

IfMatch = Annotated[str | None, Header(max_length=256, description="ETag that must still hold.")]
IfNoneMatch = Annotated[str | None, Header(max_length=256, description="ETag that is known.")]


def tagged(response: Response, version: str, if_none_match: str | None) -> Response | None:
    """Gives an answer its ETag; an empty one with status 304 if the client has it already."""
    tag = f'"{version}"'
    response.headers["ETag"] = tag
    if if_none_match is not None and (if_none_match.strip() == "*" or tag in _tags(if_none_match)):
        return Response(status_code=304, headers={"ETag": tag})
    return None


def check_unchanged(version: str, if_match: str | None) -> None:
    """Refuses a change of what is not as the client saw it.

    Raises:
        Refusal: If the collection has changed since.
    """
    if if_match is None or if_match.strip() == "*" or f'"{version}"' in _tags(if_match, weak=False):
        return
    raise Refusal(
        412,
        f"If-Match: expected the collection at {if_match}, it is at {version} now. Read again, then decide.",
        code="changed",
        headers={"ETag": f'"{version}"'},
    )


def _tags(header: str, *, weak: bool = True) -> set[str]:
    """The tags of a header; a weak one stands for the same content, and is not enough to change it."""
    tags = (tag.strip() for tag in header.split(","))
    return {tag.removeprefix("W/") for tag in tags if weak or not tag.startswith("W/")}
