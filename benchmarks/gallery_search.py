"""Search in a gallery: what kernels and batches cost beside each other, and that nothing is missed.

    python benchmarks/gallery_search.py --json gallery_search.json [--postgres URL] [--small]

Times are processor time of the whole process, so that a busy machine matters little; compare the rows of one run.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gallery_people import MadeUpPeople
from probefusion.gallery import BatchedSearch, Hits, SearchIndex
from probefusion.workers import available_threads

Rows = list[dict[str, Any]]

TOP_K = 10
TOGETHER = 64


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", type=Path, help="write all figures here")
    parser.add_argument("--postgres", metavar="URL", help="a server on this machine with pgvector")
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--small", action="store_true", help="a hundredth of the templates")
    options = parser.parse_args()
    figures: dict[str, Any] = {"machine": machine()}
    scale = 100 if options.small else 1
    figures["100,000 x 512"] = kernels(100_000 // scale, 512, options)
    figures["1,000,000 x 128"] = exactness(1_000_000 // scale, 128, options)
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def machine() -> dict[str, Any]:
    cpuinfo = Path("/proc/cpuinfo")
    lines = cpuinfo.read_text().splitlines() if cpuinfo.exists() else []
    names = {line.split(":")[1].strip() for line in lines if line.startswith("model name")}
    flags = next((line for line in lines if line.startswith("flags")), "").split()
    return {
        "processor": ", ".join(sorted(names)) or platform.processor(),
        "avx2, avx512_vnni": [name in flags for name in ("avx2", "avx512_vnni")],
        "cores": available_threads(),
        "threads of BLAS": os.environ.get("OPENBLAS_NUM_THREADS", "one per core"),
        "load": [round(value, 1) for value in os.getloadavg()],
        "clock": "process time",
    }


def processor_seconds(call: Callable[[], object]) -> float:
    start = time.process_time()
    call()
    return time.process_time() - start


def medians(calls: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """Median processor seconds of each call; rounds are interleaved, the first does not count."""
    runs = [
        {name: processor_seconds(call) for name, call in calls.items()} for _ in range(rounds + 1)
    ]
    return {name: float(np.median([run[name] for run in runs[1:]])) for name in calls}


def filled(kernel: str, vectors: np.ndarray) -> tuple[SearchIndex, float, int]:
    """An index, the processor seconds to fill it, and how many bytes the process grew by."""
    names = [f"{place:08d}" for place in range(len(vectors))]
    before = resident()
    index = SearchIndex(vectors.shape[1], kernel)
    seconds = processor_seconds(lambda: index.put(names, vectors))
    return index, seconds, resident() - before


def resident() -> int:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        return 0
    return int(statm.read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def alone(search: Callable[..., tuple[Hits, ...]], queries: np.ndarray) -> list[Hits]:
    return [search(query[None], top_k=TOP_K)[0] for query in queries]


def in_threads(index: SearchIndex, queries: np.ndarray) -> list[Hits]:
    people = BatchedSearch(index)
    with ThreadPoolExecutor(TOGETHER) as pool:
        return list(pool.map(lambda query: people.search(query[None], top_k=TOP_K)[0], queries))


def kernels(num_templates: int, dim: int, options: argparse.Namespace) -> dict[str, Any]:
    people = MadeUpPeople(dim, np.random.default_rng(0))
    vectors = people.templates(num_templates)
    queries = people.probes(vectors[:: max(1, num_templates // 512)][:512])
    some, batch = queries[:16], queries[:TOGETHER]
    built = {kernel: filled(kernel, vectors) for kernel in ("float32", "int8")}
    indexes = {kernel: index for kernel, (index, _, _) in built.items()}
    calls: dict[str, Callable[[], object]] = {
        "bare product, one query": lambda: [vectors @ query for query in some],
        f"bare product, {TOGETHER} at once": lambda: batch @ vectors.T,
    }
    counts = {"bare product, one query": len(some), f"bare product, {TOGETHER} at once": TOGETHER}
    for kernel, index in indexes.items():
        for name, call, count in (
            ("one query", lambda index=index: alone(index.search, some), len(some)),
            (f"{TOGETHER} at once", lambda index=index: index.search(batch, top_k=TOP_K), TOGETHER),
            (f"{TOGETHER} threads", lambda index=index: in_threads(index, queries), len(queries)),
        ):
            calls[f"{kernel}, {name}"], counts[f"{kernel}, {name}"] = call, count
    seconds = medians(calls, options.rounds)
    milliseconds = {name: seconds[name] / counts[name] * 1e3 for name in calls}
    rows: Rows = [
        {
            "search": name,
            "ms a query": round(value, 3),
            "float32, one query / this": round(milliseconds["float32, one query"] / value, 2),
        }
        for name, value in milliseconds.items()
    ]
    expected = alone(indexes["float32"].search, queries)
    same = {
        name: sum(equal(first, second) for first, second in zip(found, expected, strict=True))
        for name, found in {
            "int8, one by one": alone(indexes["int8"].search, queries),
            "int8, together": indexes["int8"].search(queries, top_k=TOP_K),
            "float32, together": indexes["float32"].search(queries, top_k=TOP_K),
            "int8, threads": in_threads(indexes["int8"], queries),
            "float32, threads": in_threads(indexes["float32"], queries),
        }.items()
    }
    print(f"{num_templates} x {dim}: {rows}", file=sys.stderr, flush=True)
    return {
        "rows": rows,
        "queries": len(queries),
        "equal to float32 one by one, bit by bit": same,
        "build": built_rows(built),
        "changes": changes(indexes, vectors),
        "PostgreSQL": postgres(options.postgres, vectors, queries[:32], expected[:32]),
    }


def equal(first: Hits, second: Hits) -> bool:
    return first.ids == second.ids and first.similarities.tobytes() == second.similarities.tobytes()


def built_rows(built: dict[str, tuple[SearchIndex, float, int]]) -> Rows:
    return [
        {
            "kernel": kernel,
            "s to fill": round(seconds, 2),
            "MB of vectors and codes": round(index.num_bytes / 1e6),
            "MB the process grew by": round(grown / 1e6),
        }
        for kernel, (index, seconds, grown) in built.items()
    ]


def changes(indexes: dict[str, SearchIndex], vectors: np.ndarray) -> Rows:
    """Microseconds to add one template and take it out again, in an index that is full."""
    rows = []
    for kernel, index in indexes.items():
        index.put(["room"], vectors[:1])  # the room grows now, not while the clock runs
        seconds = processor_seconds(
            lambda index=index: [
                (
                    index.put([f"new {place}"], vectors[place : place + 1]),
                    index.remove([f"new {place}"]),
                )
                for place in range(1000)
            ]
        )
        index.remove(["room"])
        rows.append({"kernel": kernel, "us to put and remove one": round(seconds * 1e3, 1)})
    return rows


def exactness(num_templates: int, dim: int, options: argparse.Namespace) -> dict[str, Any]:
    people = MadeUpPeople(dim, np.random.default_rng(1))
    vectors = people.templates(num_templates)
    mated = np.random.default_rng(2).choice(num_templates, 512, replace=False)
    queries = np.concatenate([people.probes(vectors[mated]), people.templates(512)])
    built = {kernel: filled(kernel, vectors) for kernel in ("float32", "int8")}
    index = built["int8"][0]
    checks = check_against_float64(index, vectors, queries, mated)
    some, batch = queries[:8], queries[:TOGETHER]
    calls: dict[str, Callable[[], object]] = {}
    counts = {}
    for kernel, (one, _, _) in built.items():
        calls[f"{kernel}, one query"] = lambda one=one: alone(one.search, some)
        calls[f"{kernel}, {TOGETHER} at once"] = lambda one=one: one.search(batch, top_k=TOP_K)
        counts |= {f"{kernel}, one query": len(some), f"{kernel}, {TOGETHER} at once": TOGETHER}
    seconds = medians(calls, options.rounds)
    base = seconds["float32, one query"] / len(some)
    rows = [
        {
            "search": name,
            "ms a query": round(value / counts[name] * 1e3, 3),
            "float32, one query / this": round(base * counts[name] / value, 2),
        }
        for name, value in seconds.items()
    ]
    return {"checks": checks, "rows": rows, "build": built_rows(built)}


def check_against_float64(
    index: SearchIndex, vectors: np.ndarray, queries: np.ndarray, mated: np.ndarray
) -> dict[str, Any]:
    """Everything at or above thresholds, and the mates, beside products of all rows in float64."""
    thresholds = (0.3, 0.4, 0.5)
    found = {threshold: index.search(queries, at_least=threshold) for threshold in thresholds}
    best = index.search(queries, top_k=TOP_K)
    counts = dict.fromkeys(("candidates", "missed", "too many", "other similarity"), 0)
    ranks_right = mates_first = 0
    strangers = []
    for start in range(0, len(queries), 32):
        wide = queries[start : start + 32].astype(np.float64)
        exact = np.concatenate(
            [
                wide @ vectors[row : row + 65_536].astype(np.float64).T
                for row in range(0, len(vectors), 65_536)
            ],
            axis=1,
        ).astype(np.float32)
        for place, row in enumerate(exact, start=start):
            for threshold in thresholds:
                hits = found[threshold][place]
                expected = np.flatnonzero(row >= threshold)
                rows = np.array([int(name) for name in hits.ids], dtype=np.intp)
                counts["candidates"] += len(expected)
                counts["missed"] += len(np.setdiff1d(expected, rows))
                counts["too many"] += len(np.setdiff1d(rows, expected))
                counts["other similarity"] += int((row[rows] != hits.similarities).sum())
            order = np.lexsort((np.arange(len(row)), -row))[:TOP_K] if len(row) < 1e5 else top(row)
            ranks_right += [f"{number:08d}" for number in order] == list(best[place].ids)
            if place < len(mated):
                mates_first += int(order[0]) == mated[place] == int(best[place].ids[0])
                row = np.delete(row, mated[place])
            strangers.append(row.max())
    return {
        "searches": len(queries),
        "thresholds": thresholds,
        "candidates at or above, all checked": counts["candidates"],
        "missed": counts["missed"],
        "too many": counts["too many"],
        "other similarity": counts["other similarity"],
        "searches whose ten best are the exact ones in order": ranks_right,
        "mated searches": len(mated),
        "mate first in both": int(mates_first),
        "best stranger, mean": round(float(np.mean(strangers)), 3),
        "best stranger, largest": round(float(np.max(strangers)), 3),
    }


def top(row: np.ndarray) -> np.ndarray:
    """The ten best rows, ties by row (names sort as rows do)."""
    likely = np.flatnonzero(row >= np.partition(row, -TOP_K)[-TOP_K])
    return likely[np.lexsort((likely, -row[likely]))][:TOP_K]


def postgres(
    url: str | None, vectors: np.ndarray, queries: np.ndarray, expected: list[Hits]
) -> dict[str, Any] | str:
    """pgvector's exact search in one backend, half-precision vectors."""
    if url is None:
        return "not asked for (--postgres)"
    from gallery_postgres import PostgresTable

    with PostgresTable(url, vectors) as table:
        found, seconds = table.search(queries, TOP_K)
        return {
            "ms a query, processor time of the backend": round(seconds / len(queries) * 1e3, 1),
            "s to load, wall": round(table.loading, 1),
            "MB of the table": round(table.num_bytes() / 1e6),
            "queries": len(queries),
            "first is the exact first": sum(
                rows[0] == int(hits.ids[0]) for rows, hits in zip(found, expected, strict=True)
            ),
            "ten best as exact, in order": sum(
                rows == list(map(int, hits.ids)) for rows, hits in zip(found, expected, strict=True)
            ),
        }


if __name__ == "__main__":
    main()
