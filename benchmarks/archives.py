"""Fuses a made-up archive with every engine: wall and processor time, peak memory of all processes, bytes compared.

    python benchmarks/archives.py --images 1000000 --people 50000 --engines local ray dask --fusers mean

The people have images as cities have inhabitants (Zipf), the rows are shuffled, embeddings are half precision. Every
run is a process of its own; memory is what it and its children hold at the same time, shared pages counted once.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

import probefusion

_SECONDS_BETWEEN_LOOKS = 0.1
_TICKS = os.sysconf("SC_CLK_TCK")


def images_of(people: int, images: int, exponent: float) -> np.ndarray:
    """(people,) how many images each has: Zipf, at least one."""
    shares = np.arange(1, people + 1, dtype=np.float64) ** -exponent
    counts = np.maximum(1, np.floor(shares / shares.sum() * images)).astype(np.int64)
    counts[0] += images - counts.sum()
    return counts


def make(folder: Path, options: argparse.Namespace, style_channels: int) -> None:
    """Writes the archive: shuffled rows in several Parquet files."""
    import pyarrow
    from pyarrow import parquet

    rng = np.random.default_rng(options.seed)
    counts = images_of(options.people, options.images, options.exponent)
    ids = rng.permutation(np.repeat(np.arange(options.people), counts))
    folder.mkdir(parents=True)
    centres = rng.standard_normal((options.people, options.dim)).astype(np.float32)
    more = max(1, options.files // 100)  # the files that are added
    borders = np.linspace(0, len(ids), options.files + 1).astype(int)
    for number in range(options.files + more):
        if number < options.files:
            part = ids[borders[number] : borders[number + 1]]
            name = folder / f"part-{number:04d}.parquet"
        else:
            part = rng.choice(ids, options.images // 100 // more)
            name = folder.parent / "added" / f"part-{number:04d}.parquet"
            name.parent.mkdir(exist_ok=True)
        noise = rng.standard_normal((len(part), options.dim)).astype(np.float32)
        rows = (12 * (centres[part] + 0.7 * noise) / np.sqrt(options.dim)).astype(np.float16)
        columns = {"template_id": pyarrow.array(part), "embedding": lists(pyarrow, rows)}
        if style_channels:
            style = np.abs(rng.standard_normal((len(part), 2 * style_channels))).astype(np.float16)
            columns["style"] = lists(pyarrow, style)
        table = pyarrow.table(columns).replace_schema_metadata({"embedder": options.embedder})
        parquet.write_table(table, name, row_group_size=options.group_rows)


def lists(pyarrow, matrix: np.ndarray):
    """A matrix as a column of lists."""
    flat = pyarrow.array(matrix.reshape(-1))
    return pyarrow.FixedSizeListArray.from_arrays(flat, matrix.shape[1])


def family(process: int) -> Iterator[int]:
    """A process and all that came of it."""
    yield process
    try:
        children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
        for task in Path(f"/proc/{process}/task").iterdir():
            if task.name != str(process):
                children += (task / "children").read_text().split()
    except OSError:
        return
    for child in children:
        yield from family(int(child))


def held(process: int) -> int:
    """Bytes that a process holds, its share of pages that it has together with others."""
    try:
        for line in Path(f"/proc/{process}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return 1024 * int(line.split()[1])
    except OSError:
        pass
    return 0


def used(process: int) -> float:
    """Seconds of processor time of a process alone, without its children's."""
    try:
        fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:13])) / _TICKS


def _of_ended_children() -> float:
    """Seconds of processor time of all children that ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def measured(command: list[str], environment: dict[str, str]) -> dict[str, float]:
    """Runs a command; wall and processor seconds, and most memory of all its processes."""
    begun, before = time.monotonic(), _of_ended_children()
    with subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL) as process:
        peak, seconds = 0, {}
        while process.poll() is None:
            members = list(family(process.pid))
            peak = max(peak, sum(map(held, members)))
            seconds.update({member: used(member) for member in members})
            time.sleep(_SECONDS_BETWEEN_LOOKS)
        wall = time.monotonic() - begun
    if process.returncode not in (0, 3):
        sys.exit(f"{' '.join(command)}: exit code {process.returncode}")
    # What was seen of each process misses its last moments; what the system counted misses those nobody waited for.
    seen, waited_for = sum(seconds.values()), _of_ended_children() - before
    return {
        "wall_s": round(wall, 1),
        "cpu_s": round(max(seen, waited_for), 1),
        "peak_mb": round(peak / 1e6),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=1_000_000)
    parser.add_argument("--people", type=int, default=50_000)
    parser.add_argument("--files", type=int, default=20)
    parser.add_argument("--dim", type=int, default=128)
    parser.add_argument(
        "--exponent", type=float, default=0.924, help="of Zipf's law (default .924)"
    )
    parser.add_argument("--group-rows", type=int, default=10_000, help="rows of a row group")
    parser.add_argument("--embedder", default="benchmark@1", help="fingerprint that the files say")
    parser.add_argument("--style-channels", type=int, default=0)
    parser.add_argument("--engines", nargs="+", default=["local"], metavar="local|ray|dask")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--fusers", nargs="+", default=["mean"])
    parser.add_argument(
        "--screening", action="store_true", help="look at the images of each template too"
    )
    parser.add_argument("--add", action="store_true", help="keep states, and add 1 %% more images")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder for the archive, made unless it is there")
    parser.add_argument("--json", type=Path, help="write the figures here as well")
    options = parser.parse_args()

    scratch = Path(tempfile.mkdtemp(prefix="archives"))
    home = options.keep or scratch
    if not (home / "archive").exists():
        make(home / "archive", options, options.style_channels)
    size = sum(file.stat().st_size for file in (home / "archive").iterdir())
    counts = images_of(options.people, options.images, options.exponent)
    print(
        f"{options.images} images, {options.people} people, largest {counts.max()}, {size / 1e6:.0f} MB"
    )
    figures = []
    environment = {
        **os.environ,
        "PYTHONWARNINGS": "ignore",
        "PYTHONPYCACHEPREFIX": str(scratch / "pyc"),
    }
    environment.pop(
        "PYTHONDONTWRITEBYTECODE", None
    )  # modules are compiled once, as in an installed package
    compiled = [sys.executable, "-m", "compileall", "-q", str(Path(probefusion.__file__).parent)]
    subprocess.run(compiled, env=environment, check=True)
    for fuser in options.fusers:
        hashes = {}
        for engine in options.engines:
            base = [sys.executable, "-m", "probefusion", "fuse-archive"]
            common = ["--fuser", fuser, "--engine", engine, "--workers", str(options.workers)]
            common += [] if options.screening else ["--no-screening"]
            output, states = scratch / f"{fuser}-{engine}.parquet", scratch / f"{fuser}-{engine}"
            runs = [("fuse", [str(home / "archive"), "-o", str(output), *common])]
            if options.add:
                runs[0][1].extend(["--keep-states", str(states)])
                added = [str(home / "added"), "-o", str(output.with_suffix(".npz")), *common]
                runs.append(("add 1 %", [*added, "--add-to", str(states)]))
            for name, arguments in runs:
                found = measured([*base, *arguments], environment)
                print(f"{fuser:14} {engine:6} {name:8} {found}", flush=True)
                figures.append({"fuser": fuser, "engine": engine, "run": name, **found})
            hashes[engine] = hashlib.sha256(output.read_bytes()).hexdigest()[:16]
        print(f"{fuser:14} same bytes: {len(set(hashes.values())) == 1} {hashes}")
    if options.json:
        options.json.write_text(
            json.dumps(
                {"options": vars(options) | {"keep": None, "json": None}, "figures": figures},
                indent=2,
            )
        )
    shutil.rmtree(scratch)
    return 0


if __name__ == "__main__":
    sys.exit(main())
