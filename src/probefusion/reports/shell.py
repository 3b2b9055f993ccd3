"""The one shell of all pages: a Jinja2 template in, a self-contained HTML page out."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any

from probefusion.extras import import_extra

__all__ = ["page_parts", "safe"]

_TEMPLATES = Path(__file__).with_name("templates")


def page_parts(template: str, *, extra: str, **content: Any) -> Iterator[str]:
    """The page, piece by piece, so that pages of many pictures need not be in memory at once.

    Pages have no scripts and load nothing: a content security policy forbids it. Every text is escaped
    unless it is marked by `safe`.

    Args:
        template: Name of a page without its ending ("evaluation").
        extra: The extra of probefusion that brings Jinja2, for the message where it is missing.
        **content: What the template shows; a name that it lacks is an error.

    Raises:
        MissingExtraError: If Jinja2 is not installed.
    """
    return iter(_environment(extra).get_template(f"{template}.html.j2").generate(**content))


def safe(markup: str) -> Any:
    """Marks text that is HTML or SVG already, made by our own drawing code."""
    return import_extra("markupsafe", extra="plot", purpose="writing reports").Markup(markup)


@lru_cache(maxsize=4)
def _environment(extra: str) -> Any:
    jinja2 = import_extra("jinja2", extra=extra, purpose="writing an HTML report")
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(_TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
