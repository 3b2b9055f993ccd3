"""Embeds the images of an archive and fuses them on every engine: time and memory beside each other, bytes compared.

    python benchmarks/embed_and_fuse.py --images lfw112.zip --engines local ray dask --fusers mean exact

Every command is a process of its own, as a user gives it. Wall and processor seconds, and the most memory that all its
processes hold at the same time (shared pages counted once), are measured as in `benchmarks/archives.py`. All engines
fuse the rows that the first one wrote.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from archives import measured


def sha256_of(place: Path) -> str:
    """Of a file, or of all Parquet files of a folder in the order of their names."""
    files = sorted(place.glob("*.parquet")) if place.is_dir() else [place]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    return digest.hexdigest()


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, help="archive of aligned crops")
    parser.add_argument("--embedder", default="compact_128d", help="name or ONNX file")
    parser.add_argument("--engines", nargs="+", default=["local"], metavar="local|ray|dask")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fusers", nargs="+", default=["mean"])
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()
    environment = {**os.environ, "PYTHONWARNINGS": "ignore"}
    figures: list[dict[str, Any]] = []
    hashes: dict[str, set[str]] = {}
    with tempfile.TemporaryDirectory(prefix="embed-and-fuse-") as name:
        folder = Path(name)

        def run(what: str, engine: str, command: list[str], output: Path) -> None:
            where = ["--engine", engine, "--workers", str(options.workers), "-o", str(output)]
            found = measured([sys.executable, "-m", "probefusion", *command, *where], environment)
            digest = sha256_of(output)
            hashes.setdefault(what, set()).add(digest)
            figures.append({"run": what, "engine": engine, **found, "sha256": digest})
            print(figures[-1], flush=True)

        for engine in options.engines:
            command = ["embed-archive", options.images, "--aligned", "--embedder", options.embedder]
            run("embed", engine, command, folder / f"rows-{engine}")
        rows = str(folder / f"rows-{options.engines[0]}")
        for fuser in options.fusers:
            for engine in options.engines:
                output = folder / f"{fuser}-{engine}.parquet"
                run(f"fuse {fuser}", engine, ["fuse-archive", rows, "--fuser", fuser], output)
    for what, found in hashes.items():
        print(f"{what}: same bytes on all engines: {len(found) == 1}")
    if options.json:
        facts = {"load": os.getloadavg(), "figures": figures}
        options.json.write_text(json.dumps(facts, indent=2), encoding="utf-8")
    return 0 if all(len(found) == 1 for found in hashes.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
