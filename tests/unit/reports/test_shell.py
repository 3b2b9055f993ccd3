from __future__ import annotations

import re

import pytest

from probefusion.errors import MissingExtraError
from probefusion.reports.shell import page_parts

pytest.importorskip("jinja2")

CONTENT = {
    "title": "A <test> & more",
    "notes": ["<script>alert(1)</script>"],
    "limits": [],
    "tables": [("T", ["a"], [["<b>"]])],
    "figures": [],
    "evaluated": "{}",
}


def test_every_text_is_escaped_and_nothing_is_loaded() -> None:
    page = "".join(page_parts("evaluation", extra="plot", **CONTENT))
    assert "<title>A &lt;test&gt; &amp; more</title>" in page
    assert "<script" not in page
    assert "<td>&lt;b&gt;</td>" in page
    assert "default-src 'none'" in page
    assert not re.search(r"https?://|<link|@import|url\(", page)


def test_pages_are_light_and_dark_and_fit_a_phone() -> None:
    page = "".join(page_parts("evaluation", extra="plot", **CONTENT))
    assert "prefers-color-scheme: dark" in page
    assert 'content="width=device-width, initial-scale=1"' in page
    assert '<div class="scroll"><table>' in page


def test_a_forgotten_value_is_an_error() -> None:
    from jinja2 import UndefinedError

    with pytest.raises(UndefinedError, match="notes"):
        "".join(page_parts("evaluation", extra="plot", title="x"))


def test_a_missing_package_is_told(monkeypatch) -> None:
    from probefusion.reports import shell

    def refuse(name: str, *rest: object, **settings: object):
        if name == "jinja2":
            raise ModuleNotFoundError(name="jinja2")
        return real(name, *rest, **settings)

    import importlib

    real = importlib.import_module
    monkeypatch.setattr(importlib, "import_module", refuse)
    shell._environment.cache_clear()
    try:
        with pytest.raises(MissingExtraError, match=r"probefusion\[plot\]"):
            list(page_parts("evaluation", extra="plot", **CONTENT))
    finally:
        shell._environment.cache_clear()
