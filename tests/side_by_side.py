"""Runs the tests in several processes: each takes the next file of tests that no other has taken.

    python tests/side_by_side.py [--workers N] [arguments of pytest]

One process gives plain pytest. The result is that of one run: every test once, one count, one exit code.
"""

from __future__ import annotations

import collections
import os
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent
MOST = 8
"""More processes gain nothing: each loads the libraries anew, and the longest file of tests is left."""

ALONE = {"--collect-only", "--co", "--fixtures", "--help", "-h", "--version", "-V", "--markers"}
ALONE |= {
    "--lf",
    "--last-failed",
    "--ff",
    "--failed-first",
    "--nf",
    "--sw",
    "--pdb",
    "--trace",
    "-s",
}
"""Arguments that are about one process: what it shows, asks, or keeps for the next run."""

ONE_THREAD = {f"{name}_NUM_THREADS": "1" for name in ("OMP", "OPENBLAS", "MKL")}
"""Several processes on all cores already: more threads would wait for each other."""

WORDS = {
    ".": "passed",
    "F": "failed",
    "E": "errors",
    "s": "skipped",
    "x": "xfailed",
    "X": "xpassed",
}
NO_TESTS = 5
INTERRUPTED = 2
ROW = 72


def number_of_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def main(arguments: list[str]) -> int:
    """Runs pytest with the arguments; gives the exit code."""
    workers = min(number_of_cores(), MOST)
    if arguments[:1] == ["--workers"]:
        workers, arguments = int(arguments[1]), arguments[2:]
    pytest = [sys.executable, "-m", "pytest", "-q", *arguments]
    if workers < 2 or ALONE & set(arguments):
        return subprocess.call(pytest)
    with tempfile.TemporaryDirectory(prefix="tests-") as folder:
        run = Path(folder)
        processes = [_start(pytest, run, number) for number in range(workers)]
        try:
            _show_progress(run, processes)
        except KeyboardInterrupt:  # the terminal has sent it to all of them
            for process in processes:
                process.wait()
        return _tell(run, [process.wait() for process in processes])


def _start(pytest: list[str], run: Path, number: int) -> subprocess.Popen[bytes]:
    (run / "progress").touch()
    paths = [str(HERE / "support"), os.environ.get("PYTHONPATH", "")]
    environment = os.environ | ONE_THREAD
    environment |= {"TESTS_RUN_FOLDER": str(run), "TESTS_WORKER": str(number)}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, paths))
    command = [*pytest, "-p", "shared_run", "-o", "console_output_style=classic"]
    with (run / f"{number}.output").open("wb") as output:
        return subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output
        )


def _show_progress(run: Path, processes: list[subprocess.Popen[bytes]]) -> None:
    """A letter for each test as it ends, in rows with the share that is done."""
    shown = 0
    with (run / "progress").open() as progress:
        while True:
            at_end = all(process.poll() is not None for process in processes)
            for letter in progress.read():
                shown += 1
                _say(letter, end="" if shown % ROW else f" [{_share(run, shown)}]\n")
            if at_end:
                _say()
                return
            time.sleep(0.2)


def _share(run: Path, shown: int) -> str:
    total = max((len(_lines(file)) for file in run.glob("*.collected")), default=shown)
    return f"{100 * shown // max(total, 1):3d}%"


def _lines(file: Path) -> list[str]:
    return file.read_text(encoding="utf-8").splitlines()


def _say(text: str = "", end: str = "\n") -> None:
    sys.stdout.write(text + end)
    sys.stdout.flush()


def _tell(run: Path, codes: list[int]) -> int:
    """What each process had to say, the count of all, and whether every test was run once."""
    for number, code in enumerate(codes, 1):
        text = (run / f"{number - 1}.output").read_text(encoding="utf-8", errors="replace")
        said = re.sub(r"^[.FEsxX]+$\n?", "", text, flags=re.MULTILINE).strip()
        _say(f"---- process {number} of {len(codes)}, exit code {code} ----\n{said}")
    letters = collections.Counter((run / "progress").read_text())
    counts = ", ".join(f"{letters[each]} {word}" for each, word in WORDS.items() if letters[each])
    _say(f"---- all: {counts or 'no tests ran'} ----")
    failed = [code for code in codes if code not in (0, NO_TESTS)]
    if failed:
        return max(failed) if min(failed) > 0 else 1
    return _faults_of_sharing(run) or (0 if 0 in codes else NO_TESTS)


def _faults_of_sharing(run: Path) -> int:
    collected = {frozenset(_lines(file)) for file in run.glob("*.collected")}
    if len(collected) > 1:
        differing = sorted(frozenset.union(*collected) - frozenset.intersection(*collected))
        _say(f"error: the processes found different tests: {differing[:5]}")
        return 1
    ran = collections.Counter(line for file in run.glob("*.ran") for line in _lines(file))
    odd = [name for name in sorted(frozenset().union(*collected)) if ran[name] != 1]
    if odd:
        _say(f"error: {len(odd)} tests were not run once: {odd[:5]}")
    return 1 if odd else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
