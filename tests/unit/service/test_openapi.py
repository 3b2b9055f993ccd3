"""The description of the service: stable, whole, and kept when thrown at with generated requests."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

schemathesis = pytest.importorskip("schemathesis")
SNAPSHOT = Path(__file__).with_name("operations.json")
HOST = {"Host": "127.0.0.1"}
CASES = int(os.environ.get("PROBEFUSION_API_CASES", "12"))
"""Generated requests for each operation; 60 make more than a thousand."""


@pytest.fixture
def description(serve) -> dict:
    return serve().get("/openapi.json").json()


def operations(description: dict) -> dict[str, dict]:
    """Each operation with the names of its parameters and the needed fields of its body."""
    found = {}
    for path, methods in description["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {})
            name = body.get("schema", {}).get("$ref", "").rpartition("/")[2]
            schema = description["components"]["schemas"].get(name, {})
            found[f"{method.upper()} {path}"] = {
                "parameters": sorted(each["name"] for each in operation.get("parameters", [])),
                "body": sorted(schema.get("properties", {})),
                "needed": sorted(schema.get("required", [])),
            }
    return found


def test_operations_change_on_purpose_only(description) -> None:
    found = operations(description)
    if os.environ.get("PROBEFUSION_WRITE_SNAPSHOT"):
        SNAPSHOT.write_text(json.dumps(found, indent=2, sort_keys=True) + "\n")
    assert found == json.loads(SNAPSHOT.read_text())
    assert len(found) <= 40
    assert description["openapi"].startswith("3.1")


def test_nothing_in_pages_comes_from_elsewhere(repository) -> None:
    page = repository / "src" / "probefusion" / "service" / "page"
    for path in page.iterdir():
        text = path.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert "http://" not in text, path
        assert "https://" not in text, path
        assert "innerHTML" not in text, path
        assert " style=" not in text, path  # the policy of the page forbids it


def test_generated_requests_are_answered_as_described(filled) -> None:
    from hypothesis import HealthCheck, Phase, given, settings

    schema = schemathesis.openapi.from_asgi("/openapi.json", filled.app, headers=HOST)
    strategies = [result.ok() for result in schema.get_all_operations()]
    assert len(strategies) > 25
    for operation in strategies:

        @given(case=operation.as_strategy())
        @settings(
            max_examples=CASES,
            deadline=None,
            derandomize=True,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        def answered(case) -> None:
            answer = case.call(headers=HOST)
            assert answer.status_code < 500 or answer.status_code == 501, (case, answer.text)
            if answer.status_code >= 400:
                assert "problem+json" in answer.headers["content-type"][0], case

        answered()
