"""Runs the tests of the page's logic where node is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest


def test_page_logic() -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("no node on the path; the logic of the page is tested in the browser alone")
    script = Path(__file__).with_name("page_logic.test.mjs")
    done = subprocess.run(
        [node, "--test", str(script)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
    assert "# pass 9" in done.stdout
