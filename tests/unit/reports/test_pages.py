"""Files of a report: names that are no Unicode text are told, not a traceback after the work."""

from __future__ import annotations

import json

import pytest

from probefusion.reports.pages import Table, write_pages

pytest.importorskip("jinja2")


def test_names_in_another_encoding_are_written_with_their_bytes(tmp_path) -> None:
    name = "caf\udce9"  # how Python gives the bytes caf\xe9 of a file system
    write_pages(
        tmp_path,
        content={"data": name},
        title=f"evaluation of {name}",
        notes=[],
        limits=[],
        tables=[Table("T", ["a"], [["b"]])],
        figures=[],
        facts={"data": name},
    )
    assert json.loads((tmp_path / "report.json").read_text(encoding="utf-8"))["data"] == name
    for page in ("report.md", "report.html"):
        assert "evaluation of caf\\udce9" in (tmp_path / page).read_text(encoding="utf-8")
