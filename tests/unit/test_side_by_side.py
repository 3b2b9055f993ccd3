"""The tests run in several processes: every one once, and the result is that of all."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "side_by_side.py"

Run = Callable[..., tuple[int, str]]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """Writes files of tests and runs them; gives exit code and output."""

    def run(*arguments: str, **files: str) -> tuple[int, str]:
        (tmp_path / "pytest.ini").write_text("[pytest]\n")
        for name, text in files.items():
            (tmp_path / f"test_{name}.py").write_text(text)
        command = [sys.executable, str(SCRIPT), "--workers", "2", "-p", "no:cacheprovider"]
        environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}  # a start takes less
        done = subprocess.run(
            [*command, *arguments],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )
        return done.returncode, done.stdout + done.stderr

    return run


NOTED = """
import os, pathlib, pytest
@pytest.mark.parametrize("number", range(3))
def test_it(number):
    with open("ran", "a") as file:
        file.write(f"{pathlib.Path(__file__).name} {number} {os.getpid()}\\n")
    assert "support" not in os.environ.get("PYTHONPATH", "")
"""


def test_every_test_is_run_once_and_a_file_by_one_process(run: Run, tmp_path: Path) -> None:
    skipped = "import pytest\n@pytest.mark.skip(reason='so')\ndef test_s(): pass\n"
    code, out = run(a=NOTED, b=NOTED, c=NOTED, d=NOTED, e=skipped)
    assert (code, "all: 12 passed, 1 skipped" in out) == (0, True), out
    ran = [line.split() for line in (tmp_path / "ran").read_text().splitlines()]
    assert sorted((name, number) for name, number, _ in ran) == [
        (f"test_{name}.py", str(number)) for name in "abcd" for number in range(3)
    ]
    assert len({(name, process) for name, _, process in ran}) == 4


def test_a_failure_is_that_of_the_run_and_is_shown(run: Run) -> None:
    failing = "def test_f():\n    assert 1 == 2\n"
    broken = "import pytest\n@pytest.fixture\ndef f(): raise ValueError('odd')\ndef test_e(f): pass"
    code, out = run(a=NOTED, f=failing, g=broken)
    assert (code, "all: 3 passed, 1 failed, 1 errors" in out) == (1, True), out
    assert "assert 1 == 2" in out
    assert "ValueError: odd" in out


def test_a_process_that_dies_is_no_success(run: Run) -> None:
    code, out = run(a=NOTED, d="import os\ndef test_d():\n    os._exit(0)\n")
    assert code == 1, out
    assert "error: 1 tests were not run once: ['test_d.py::test_d']" in out


def test_processes_that_find_different_tests_are_no_success(run: Run) -> None:
    named_by_process = (
        "import os, pytest\n@pytest.mark.parametrize('n', [os.getpid()])\ndef test_n(n): pass\n"
    )
    code, out = run(a=named_by_process)
    assert code == 1, out
    assert "error: the processes found different tests: ['test_a.py::test_n[" in out


def test_a_file_that_cannot_be_read_is_no_success(run: Run) -> None:
    code, out = run(a=NOTED, w="import nothing_of_that_name\n")
    assert code == 2, out
    assert "nothing_of_that_name" in out


def test_arguments_reach_pytest(run: Run) -> None:
    code, out = run("-k", "2", a=NOTED, b=NOTED)
    assert (code, "all: 2 passed" in out) == (0, True), out
    code, out = run("-k", "nothing", a=NOTED)
    assert (code, "no tests ran" in out) == (5, True), out


def test_one_process_is_plain_pytest() -> None:
    plain = subprocess.run(
        [sys.executable, str(SCRIPT), "--workers", "1", "--version"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert plain.returncode == 0
    assert plain.stdout.startswith("pytest ")


def test_a_product_of_the_run_is_made_once(made_once: Callable[..., Path]) -> None:
    made = []

    def fill(folder: Path) -> None:
        made.append(folder)
        (folder / "content").write_text("made")

    name = f"test-product-{os.getpid()}"
    assert made_once(name, fill) == made_once(name, fill)
    assert (made_once(name, fill) / "content").read_text() == "made"
    assert len(made) == 1

    def fail(folder: Path) -> None:
        raise ValueError("half")

    with pytest.raises(ValueError, match="half"):
        made_once(f"{name}-failing", fail)
    assert (made_once(f"{name}-failing", fill) / "content").read_text() == "made"
