"""What a new user waits for: installing, importing, help, and a first template, of one or more checkouts.

    python benchmarks/first_use.py . OLDER_CHECKOUT

Each checkout is installed into a fresh environment (NumPy and all else come from the package index, through
pip's cache), then once more with the extra `faces`. The commands of all checkouts take turns in one run, and
the least processor time of nine is given: other load counts for little. Installing is timed once, by the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import cv2

from probefusion.evaluation.drawn_people import draw_crop

REPEATS = 9
NUM_CROPS = 6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkouts", nargs="+", type=Path)
    parser.add_argument("--repeats", type=int, default=REPEATS)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder)
        crops = work / "crops"
        crops.mkdir()
        for number in range(NUM_CROPS):
            cv2.imwrite(str(crops / f"{number}.png"), draw_crop(7, number)[..., ::-1])
        rows = [
            install(path.resolve(), work / f"venv{k}") for k, path in enumerate(options.checkouts)
        ]
        for name in ("import", "types", "help", "fuse"):
            for row in rows:
                row[name] = float("inf")
            for _ in range(options.repeats):
                for row in rows:
                    row[name] = min(row[name], processor_seconds(command(name, row, crops)))
        for row in rows:
            del row["bin"]
        print(json.dumps(rows, indent=2))


def install(checkout: Path, venv: Path) -> dict:
    """Facts of the installed package; megabytes are of all it brings, and of the package alone."""
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    pip = [venv / "bin" / "python", "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    empty = size(venv)
    begin = time.perf_counter()
    subprocess.run([*pip, checkout], check=True)
    seconds = time.perf_counter() - begin
    (package,) = venv.glob("lib/python*/site-packages/probefusion")
    facts = {
        "checkout": checkout.name,
        "install_seconds": round(seconds, 1),
        "installed_mb": round((size(venv) - empty) / 1e6, 1),
        "package_mb": round(size(package) / 1e6, 1),
        "bin": venv / "bin",
    }
    subprocess.run([*pip, f"{checkout}[faces]"], check=True)
    return facts


def size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def command(name: str, row: dict, crops: Path) -> list[str]:
    python, program = str(row["bin"] / "python"), str(row["bin"] / "probefusion")
    output = str(crops.parent / f"{row['bin'].parent.name}.npz")
    return {
        "import": [python, "-c", "import probefusion"],
        "types": [python, "-c", "from probefusion import EmbeddingSet, Template"],
        "help": [program, "--help"],
        "fuse": [program, "fuse", str(crops), "--aligned", "-o", output, "--force"],
    }[name]


def processor_seconds(arguments: list[str]) -> float:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(arguments, check=True, capture_output=True, env=environment)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 3)


if __name__ == "__main__":
    main()
