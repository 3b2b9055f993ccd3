"""Speed and memory, our two sizes beside the official architecture run the official way, in one run.

    python benchmarks/speed.py [--parts set-size,ijbc,...] [--small] [--json FILE]

Parts:
    set-size    time and peak memory against N, 1 to 1,048,576 images in one set
    flat        time per image of sets of 1,024 to 1,048,576 images, all sizes in turn
    ijbc        469,375 images in 23,124 templates of very different sizes
    one-by-one  images that arrive one at a time
    archive     a million images on disk, sorted and shuffled (writes 2.6 GB to --scratch)
    embedding   crops of --images through --embedder (an ONNX file), from files to embeddings
    training    one training step of 64 people with 32 images each
    search      1,000 probes against 100,000 templates

Both sides get 2 threads (SPEED_THREADS in the environment), D = 512 and 384 style channels, random weights.
Times are lower quartiles of calls made in turn. Every measurement of memory runs in a process of its own.
On a machine with other work SPEED_CLOCK=cpu counts processor time; then give both sides one thread.
"""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

import speed_sides as sides

Rows = list[dict[str, Any]]

WARM_UP = 0.2
"""Seconds of calls before each timed burst of those parts that compare sizes of sets."""

SIZES = {"exact": "exact", "fast": "exact-fast"}
"""Our fusers: the default, and the fast size."""


def set_size(options: argparse.Namespace) -> Rows:
    last = 14 if options.small else 20
    sizes = [1, 4, 16, 64, *(2**power for power in range(8, last + 1, 2))]
    if options.sizes:
        sizes = [int(size) for size in options.sizes.split(",")]
    ours = {size: sides.our_fuser(architecture) for size, architecture in SIZES.items()}
    official, fused = sides.Official(), sides.Official(fused=True)
    rows = []
    for size in sizes:
        embeddings, style = sides.make_arrays(size)
        images = sides.EmbeddingSet(embeddings=embeddings, style=style)
        calls: dict[str, Callable[[], object]] = {
            name: lambda images=images, fuser=fuser: fuser.fuse(images)
            for name, fuser in ours.items()
        }
        calls["exact with checks"] = lambda e=embeddings, s=style: ours["exact"].fuse(
            sides.EmbeddingSet(embeddings=e, style=s)
        )
        if size <= 4096:
            calls["official"] = lambda e=embeddings, s=style: official.fuse(e, s)
            calls["official, fused attention"] = lambda e=embeddings, s=style: fused.fuse(e, s)
        if 256 < size <= 65_536:
            calls["official, chunks of 256"] = lambda e=embeddings, s=style: official.fuse(
                e, s, 256
            )
        seconds = dict(
            zip(
                calls,
                sides.paired_seconds(list(calls.values()), budget=options.budget, warm_up=WARM_UP),
                strict=True,
            )
        )
        row: dict[str, Any] = {"images": size}
        for name, value in seconds.items():
            row[f"us an image, {name}"] = round(value / size * 1e6, 3)
        for name in ("official", "official, fused attention", "official, chunks of 256"):
            for mine in ours if name in seconds else ():
                row[f"{mine}: times faster than {name}"] = round(seconds[name] / seconds[mine], 1)
        for mine in () if options.no_memory else ours:
            row[f"MB above the input, {mine}"] = _memory(mine, size)
        if size <= 4096 and not options.no_memory:
            row["MB above the input, official"] = _memory("official", size)
        rows.append(row)
        print(row, file=sys.stderr, flush=True)
    return rows


def _memory(side: str, size: int) -> float:
    command = [sys.executable, __file__, "--memory-of", side, "--size", str(size)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return round(int(done.stdout) / 1e6, 1)


def memory_of(side: str, size: int) -> int:
    embeddings, style = sides.make_arrays(size)
    if side == "official":
        official = sides.Official()
        official.fuse(embeddings[:4], style[:4])
        return sides.peak_above(lambda: official.fuse(embeddings, style))
    fuser = sides.our_fuser(SIZES[side])
    images = sides.EmbeddingSet(embeddings=embeddings, style=style)
    fuser.fuse(images[:1])
    return sides.peak_above(lambda: fuser.fuse(images))


def flat(options: argparse.Namespace) -> Rows:
    sizes = [2**power for power in range(10, 15 if options.small else 21, 2)]
    embeddings, style = sides.make_arrays(sizes[-1])
    whole = sides.EmbeddingSet(embeddings=embeddings, style=style)
    rows: Rows = [{"images": size} for size in sizes]
    for name, architecture in SIZES.items():
        fuser = sides.our_fuser(architecture)
        calls = [lambda images=whole[:size], fuser=fuser: fuser.fuse(images) for size in sizes]
        seconds = sides.paired_seconds(calls, budget=20 * options.budget, warm_up=WARM_UP)
        each = [value / size * 1e6 for value, size in zip(seconds, sizes, strict=True)]
        for row, value in zip(rows, each, strict=True):
            row[f"us an image, {name}"] = round(value, 3)
            row[f"times the least, {name}"] = round(value / min(each), 2)
    return rows


def ijbc(options: argparse.Namespace) -> Rows:
    num_images, num_templates = (46_937, 2_312) if options.small else (469_375, 23_124)
    rng = np.random.default_rng(0)
    shares = rng.dirichlet(np.full(num_templates, 0.4))
    sizes = 1 + rng.multinomial(num_images - num_templates, shares)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    embeddings, style = sides.make_arrays(num_images)
    fusers = {size: sides.our_fuser(architecture) for size, architecture in SIZES.items()}
    official = sides.Official()
    start = time.perf_counter()
    images = sides.EmbeddingSet(embeddings=embeddings, style=style)
    checking = time.perf_counter() - start
    for fuser in fusers.values():
        fuser.fuse_many(images[: offsets[50]], offsets[:51])

    chosen = np.sort(rng.permutation(num_templates)[: options.official_templates or num_templates])

    def loop() -> None:
        for begin, end in zip(offsets[chosen].tolist(), offsets[chosen + 1].tolist(), strict=True):
            official.fuse(embeddings[begin:end], style[begin:end])

    def measured() -> dict[str, float]:
        return {
            name: _seconds(lambda fuser=fuser: fuser.fuse_many(images, offsets))
            for name, fuser in fusers.items()
        }

    runs = [measured(), measured()]
    theirs = _seconds(loop) * num_templates / len(chosen)
    runs.append(measured())
    row: dict[str, Any] = {
        "images": num_images,
        "templates": num_templates,
        "largest template": int(sizes.max()),
        "s, checking the input": round(checking, 2),
        "s, official loop": round(theirs, 1),
        "templates in the official loop, scaled up": len(chosen),
    }
    for name, fuser in fusers.items():
        seconds = float(np.median([run[name] for run in runs]))
        above = sides.peak_above(lambda fuser=fuser: fuser.fuse_many(images, offsets))
        row[f"s, {name}"] = round(seconds, 2)
        row[f"{name}: times faster"] = round(theirs / seconds, 1)
        row[f"MB above the input, {name}"] = round(above / 1e6, 1)
    return [row]


def one_by_one(options: argparse.Namespace) -> Rows:
    import torch

    count = 200 if options.small else 1000
    embeddings, style = sides.make_arrays(count)
    fuser, official = sides.our_fuser(), sides.Official()
    images = sides.EmbeddingSet(embeddings=embeddings, style=style)

    def ours() -> None:
        state = fuser.encode(images[:1])
        for index in range(1, count):
            state = state + fuser.encode(images[index : index + 1])
        fuser.finish(state)

    def theirs() -> None:
        official.fuse(embeddings, style, chunk=1)

    with torch.inference_mode():
        mine, other = sides.paired_seconds([ours, theirs], budget=20, most=9)
    return [
        {
            "images": count,
            "us an image, ours": round(mine / count * 1e6, 1),
            "us an image, official": round(other / count * 1e6, 1),
            "times faster": round(other / mine, 1),
        }
    ]


def archive(options: argparse.Namespace) -> Rows:
    num_images, num_templates = (50_000, 2_500) if options.small else (1_000_000, 50_000)
    rows = []
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        sides.export_ours(scratch)
        folder = Path(scratch) / "archive"
        folder.mkdir()
        rng = np.random.default_rng(0)
        ids = np.sort(rng.integers(0, num_templates, num_images))
        for name, shape in (
            ("embeddings", (num_images, sides.DIM)),
            ("style", (num_images, sides.CHANNELS, 2)),
        ):
            file = np.lib.format.open_memmap(
                folder / f"{name}.npy", mode="w+", dtype=np.float16, shape=shape
            )
            pattern = rng.standard_normal((8192, *shape[1:])).astype(np.float16)
            for start in range(0, num_images, 8192):
                part = file[start : start + 8192]
                part[:] = pattern[: len(part)]
            file.flush()
            del file
        for order in ("sorted by template", "shuffled"):
            np.save(
                folder / "template_ids.npy", ids if order != "shuffled" else rng.permutation(ids)
            )
            for memory in (150,) if order != "shuffled" else (150, 1500):
                rows.append(
                    {"images": num_images, "order": order, "MB for states": memory}
                    | archive_of(folder, memory)
                )
                print(rows[-1], file=sys.stderr, flush=True)
    return rows


def archive_of(folder: Path, memory: int) -> dict[str, Any]:
    """Runs the command on an archive and follows the peak of its whole process."""
    command = [
        sys.executable, "-m", "probefusion", "fuse-archive", str(folder),
        "--fuser", str(folder.parent / "exact"), "--threads", str(sides.THREADS),
        "--memory", str(memory), "-o", str(folder.parent / "templates.npz"), "--force", "--json",
    ]  # fmt: skip
    start = time.perf_counter()
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    peak = 0
    while process.poll() is None:
        peak = max(peak, sides.process_peak(process.pid))
        time.sleep(0.02)
    seconds = time.perf_counter() - start
    report = json.loads(process.stdout.read() if process.stdout else "{}")
    return {
        "templates": report["num_templates"],
        "passes": report["num_passes"],
        "s": round(seconds, 1),
        "MB peak of the process": round(peak / 1e6, 1),
    }


def embedding(options: argparse.Namespace) -> Rows:
    from speed_embedding import embedding_rows

    if options.images is None or options.embedder is None:
        print("embedding: needs --images and --embedder, left out", file=sys.stderr)
        return []
    return embedding_rows(options.images, options.embedder, 640 if options.small else 3000)


def training(options: argparse.Namespace) -> Rows:
    import torch

    from probefusion.nn.architectures import build_network

    torch.set_num_threads(sides.THREADS)
    people = 16 if options.small else 64
    embeddings, style = sides.make_arrays(people * 32)
    given = (
        torch.from_numpy(embeddings).reshape(people, 32, sides.DIM),
        torch.from_numpy(style).reshape(people, 32, sides.CHANNELS, 2),
    )

    def step(network: torch.nn.Module) -> None:
        network.zero_grad()
        result = network.training_pass(*given)
        (result.prefix_fused.square().mean() + result.sequential.square().mean()).backward()

    networks = [
        build_network(name, {"dim": sides.DIM, "style_channels": sides.CHANNELS}).train()
        for name in ("exact", "official")
    ]
    mine, other = sides.paired_seconds(
        [lambda network=network: step(network) for network in networks], budget=20, most=15
    )
    return [
        {
            "people": people,
            "ms a step, exact": round(mine * 1e3, 1),
            "ms a step, official": round(other * 1e3, 1),
            "times faster": round(other / mine, 1),
        }
    ]


def search(options: argparse.Namespace) -> Rows:
    from probefusion.metrics import search_templates

    gallery, probes = (10_000, 200) if options.small else (100_000, 1000)
    rng = np.random.default_rng(0)
    templates = rng.standard_normal((gallery, sides.DIM), dtype=np.float32)
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    queries = templates[:probes] + 0.02 * rng.standard_normal((probes, sides.DIM), dtype=np.float32)
    queries /= np.linalg.norm(queries, axis=1, keepdims=True)
    names = np.arange(gallery)

    def ours() -> None:
        search_templates(queries, templates, probe_subjects=names[:probes], gallery_subjects=names)

    def product() -> None:
        np.argmax(queries @ templates.T, axis=1)

    mine, bare = sides.paired_seconds([ours, product], budget=10, most=9)
    return [
        {
            "gallery": gallery,
            "probes": probes,
            "ms a probe, ours": round(mine / probes * 1e3, 3),
            "ms a probe, bare product": round(bare / probes * 1e3, 3),
        }
    ]


PARTS: dict[str, Callable[[argparse.Namespace], Rows]] = {
    "set-size": set_size,
    "flat": flat,
    "ijbc": ijbc,
    "one-by-one": one_by_one,
    "archive": archive,
    "embedding": embedding,
    "training": training,
    "search": search,
}


def _seconds(function: Callable[[], object]) -> float:
    start = sides.clock()
    function()
    return sides.clock() - start


def _table(rows: Rows) -> str:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(str(row.get(key, "-")) for key in columns) + " |" for row in rows]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default=",".join(PARTS))
    parser.add_argument("--small", action="store_true", help="a twentieth of the size, for a try")
    parser.add_argument("--sizes", help="for set-size, as 1,4,256 (default: 1 to 1,048,576)")
    parser.add_argument("--budget", type=float, default=4.0, help="seconds per row of set-size")
    parser.add_argument("--no-memory", action="store_true", help="for set-size: times only")
    parser.add_argument(
        "--official-templates", type=int, help="for ijbc: time the loop on so many (default: all)"
    )
    parser.add_argument("--images", help="folder or zip of aligned crops, for embedding")
    parser.add_argument("--embedder", help="ONNX file, for embedding")
    parser.add_argument("--scratch", help="folder for the archive (default: the system's)")
    parser.add_argument("--json", metavar="FILE")
    for hidden in ("--memory-of", "--size"):
        parser.add_argument(hidden, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        print(memory_of(options.memory_of, int(options.size)))
        return
    facts: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d %H:%M"),
        "machine": f"{platform.machine()}, {platform.system()}, numpy {np.__version__}",
        "threads": sides.THREADS,
        "clock": sides.CLOCK_NAME,
        "parts": {},
    }
    for name in options.parts.split(","):
        if name not in PARTS:
            parser.error(f"--parts: expected some of {', '.join(PARTS)}, got {name!r}")
        rows = PARTS[name](options)
        facts["parts"][name] = rows
        if rows:
            print(f"\n{name}\n{_table(rows)}", flush=True)
        if options.json:
            Path(options.json).write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
