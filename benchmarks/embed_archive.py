"""The whole path of `embed-archive` (read, decode, detect, align, embed, write) beside the bare network.

    python benchmarks/embed_archive.py --images faces.zip [--count 4000] [--embedder MODEL] [--json out.json]
    python benchmarks/embed_archive.py --images faces.zip --clip clip.mp4 --detector yunet_2023mar

Every figure is of one run: the steps take turns, so that whatever else the machine does falls on all of them. Images a
second are by the clock; images a core second are by the processor time of all processes, which others disturb less.
What starting costs (imports, loading models) is measured with few images and taken off, and told by itself.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable
from datetime import date
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

FEW = 8
"""Images of a run that shows what starting costs."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument(
        "--images", required=True, help="zip archive of aligned crops, a folder per person"
    )
    parser.add_argument("--count", type=int, default=4000, help="images to take of it")
    parser.add_argument("--embedder", default="compact_128d", help="name or ONNX file")
    parser.add_argument("--clip", help="clip whose frames are taken as photos")
    parser.add_argument("--frames", type=int, default=120, help="frames to take of it")
    parser.add_argument("--detector", help="name or ONNX file; for --clip")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", help="file for all figures")
    parser.add_argument("--bare", type=int, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.bare is not None:
        print(json.dumps(bare_network(options.embedder, options.bare)))
        return
    with tempfile.TemporaryDirectory(prefix="embed-archive-") as folder:
        rows = measure(options, Path(folder))
    facts = {
        "date": date.today().isoformat(),
        "machine": f"{platform.processor() or platform.machine()}, {os.cpu_count()} cores",
        "load": os.getloadavg()[0],
        "embedder": options.embedder,
        "rows": rows,
    }
    print(json.dumps(facts, indent=2))
    if options.json:
        Path(options.json).write_text(json.dumps(facts, indent=2), encoding="utf-8")


def measure(options: argparse.Namespace, folder: Path) -> list[dict[str, Any]]:
    """A row for each number of workers and kind of image."""
    few, many = folder / "few.zip", folder / "many.zip"
    taken = (
        take_crops(Path(options.images), few, FEW),
        take_crops(Path(options.images), many, options.count),
    )
    rows = whole_rows(
        "aligned crops", few, many, taken, ["--aligned", "--trust-alignment"], options, folder
    )
    if options.clip:
        taken = (
            write_frames(options.clip, folder / "few", FEW),
            write_frames(options.clip, folder / "many", options.frames),
        )
        flags = ["--detector", options.detector]
        rows += whole_rows("photos", folder / "few", folder / "many", taken, flags, options, folder)
    return rows


def whole_rows(
    what: str,
    few: Path,
    many: Path,
    taken: tuple[int, int],
    flags: list[str],
    options: argparse.Namespace,
    folder: Path,
) -> list[dict[str, Any]]:
    """The whole path and the bare network in turns, for each number of workers."""
    output = folder / "out"
    chunk = max(1, taken[1] // 8)

    def whole(source: Path, workers: int) -> Callable[[], Any]:
        return lambda: run_command(source, output, workers, chunk, flags, options.embedder)

    steps: dict[tuple[str, int], Callable[[], Any]] = {}
    for workers in options.workers:
        steps["whole", workers] = whole(many, workers)
        steps["start", workers] = whole(few, workers)
        steps["bare", workers] = lambda workers=workers: run_bare(options, workers)
    seconds: dict[tuple[str, int], list[tuple[float, float]]] = {step: [] for step in steps}
    num_bytes = 0
    for _ in range(options.rounds):
        for step, call in steps.items():
            seconds[step].append(call())
            num_bytes = size_of(output) if step[0] == "whole" else num_bytes
    rows = []
    for workers in options.workers:
        wall, cores = (
            [
                whole[k] - start[k]
                for whole, start in zip(
                    seconds["whole", workers], seconds["start", workers], strict=True
                )
            ]
            for k in (0, 1)
        )
        count = taken[1] - taken[0]
        bare = median(rate for rate, _ in seconds["bare", workers])
        bare_core = median(rate for _, rate in seconds["bare", workers])
        rows.append(
            {
                "images": what,
                "workers": workers,
                "count": taken[1],
                "images/s, whole path": round(count / median(wall), 1),
                "images/s, bare network": round(bare, 1),
                "whole / bare": round(count / median(wall) / bare, 3),
                "images/core second, whole path": round(count / median(cores), 1),
                "images/core second, bare network": round(bare_core, 1),
                "whole / bare, by core seconds": round(count / median(cores) / bare_core, 3),
                "seconds to start": round(median(wall for wall, _ in seconds["start", workers]), 2),
                "bytes/image": round(num_bytes / taken[1], 1),
            }
        )
    return rows


def run_command(
    source: Path, output: Path, workers: int, chunk: int, flags: list[str], embedder: str
) -> tuple[float, float]:
    """Seconds by the clock and of processors that the command takes."""
    shutil.rmtree(output, ignore_errors=True)
    before, begun = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run(
        [
            *(sys.executable, "-m", "probefusion", "embed-archive", str(source), "-o", str(output)),
            *("--workers", str(workers), "--chunk", str(chunk), "--embedder", embedder, *flags),
        ],
        capture_output=True,
        text=True,
    )
    if done.returncode not in (0, 3):  # 3: some frames show no face
        raise SystemExit(done.stderr)
    wall = time.perf_counter() - begun
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def run_bare(options: argparse.Namespace, workers: int) -> tuple[float, float]:
    """Images a second of so many bare networks side by side, and images a core second."""
    command = [
        *(sys.executable, __file__, "--images", options.images),
        *("--embedder", options.embedder, "--bare", str(options.count)),
    ]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE) for _ in range(workers)]
    found = [json.loads(process.communicate()[0]) for process in running]
    return sum(each["images/s"] for each in found), float(
        np.mean([each["images/core second"] for each in found])
    )


def bare_network(model: str, count: int) -> dict[str, float]:
    """ONNX Runtime alone on one thread, at its best batch, without decoding and without style."""
    import onnxruntime

    from probefusion.embedders.onnx_graph import free_batch_axis, image_input, read_model
    from probefusion.zoo import resolve_embedder

    path, _ = resolve_embedder(model)
    graph, _ = read_model(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(
        free_batch_axis(graph).SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = image_input(graph).name
    best = {"images/s": 0.0, "images/core second": 0.0, "batch": 0.0}
    for size in (4, 8, 16, 32):
        batch = np.random.default_rng(0).standard_normal((size, 3, 112, 112)).astype(np.float32)
        session.run(None, {name: batch})
        begun, cores = time.perf_counter(), time.process_time()
        for _ in range(max(1, count // 4 // size)):
            session.run(None, {name: batch})
        done = max(1, count // 4 // size) * size
        rate = done / (time.perf_counter() - begun)
        core = done / (time.process_time() - cores)
        if core > best["images/core second"]:
            best = {"images/s": rate, "images/core second": core, "batch": float(size)}
    return best


def take_crops(source: Path, target: Path, count: int) -> int:
    """Copies the first images into an archive of their own."""
    with zipfile.ZipFile(source) as archive, zipfile.ZipFile(target, "w") as chosen:
        names = sorted(name for name in archive.namelist() if name.endswith((".jpg", ".png")))[
            :count
        ]
        for name in names:
            chosen.writestr(name, archive.read(name))
    return len(names)


def write_frames(clip: str, folder: Path, count: int) -> int:
    """Frames of a clip as JPEG photos, a folder for each ten."""
    import cv2

    from probefusion.faces.frames import VideoReader

    written = 0
    with VideoReader(clip) as reader:
        for frame in reader:
            path = folder / f"{written // 10:04d}" / f"{written:06d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(
                cv2.imencode(".jpg", np.ascontiguousarray(frame.image[..., ::-1]))[1].tobytes()
            )
            written += 1
            if written == count:
                break
    return written


def size_of(folder: Path) -> int:
    """Bytes of the Parquet files in a folder."""
    return sum(path.stat().st_size for path in folder.glob("*.parquet"))


if __name__ == "__main__":
    main()
