"""Every code of a refusal stands in the reference with its status, and no other."""

from __future__ import annotations

import ast
import re

ERRORS = {("404", "unknown-name"), ("409", "conflict")}
"""Made from the names of errors of the library."""
BY_FRAMEWORK = {("404", "unknown-path")}


def test_codes_are_in_the_reference(repository) -> None:
    written = set()
    for path in (repository / "src" / "probefusion" / "service").rglob("*.py"):
        for call in ast.walk(ast.parse(path.read_text())):
            if not isinstance(call, ast.Call) or not call.args:
                continue
            code = {each.arg: each.value for each in call.keywords}.get("code")
            status = call.args[0]
            if isinstance(code, ast.Constant) and isinstance(status, ast.Constant):
                written.add((str(status.value), code.value))
    page = (repository / "docs" / "reference" / "python" / "service.md").read_text()
    rows = re.findall(r"^\| (\d{3}) \| ([^|]+) \|", page, re.MULTILINE)
    told = {(status, code) for status, codes in rows for code in re.findall(r"`([a-z-]+)`", codes)}
    assert len(written) > 25
    assert told == written | ERRORS | BY_FRAMEWORK
