"""What approximate indexes save and miss, beside the exact search, where every person has one template.

    python benchmarks/gallery_approximate.py --postgres URL --json gallery_approximate.json

100,000 templates of 128 numbers, 256 probes of people among them and 256 of strangers. The indexes are pgvector's
(half precision, one backend); ours is the int8 kernel in this process. All times are processor time.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np

from gallery_people import MadeUpPeople
from gallery_postgres import PostgresTable
from gallery_search import alone, filled, machine, processor_seconds
from probefusion.gallery import Hits

Rows = list[dict[str, Any]]

DIM = 128
TOP_K = 10
INDEXES = {
    "IVFFlat, 300 lists": (
        "CREATE INDEX by_vector ON {table} USING ivfflat (vector halfvec_ip_ops) WITH (lists = 300)",
        [("probes", f"SET ivfflat.probes = {number}") for number in (10, 40, 100)],
        (10, 40, 100),
    ),
    "HNSW, m 16, ef_construction 64": (
        "CREATE INDEX by_vector ON {table} USING hnsw (vector halfvec_ip_ops) WITH (m = 16, ef_construction = 64)",
        [("ef", f"SET hnsw.ef_search = {number}") for number in (40, 100, 200, 400)],
        (40, 100, 200, 400),
    ),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--postgres", metavar="URL", required=True, help="a server on this machine with pgvector"
    )
    parser.add_argument("--templates", type=int, default=100_000)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    people = MadeUpPeople(DIM, np.random.default_rng(3))
    vectors = people.templates(options.templates)
    mated = np.random.default_rng(4).choice(len(vectors), 256, replace=False)
    queries = np.concatenate([people.probes(vectors[mated]), people.templates(256)])
    figures = {
        "machine": machine(),
        "templates": len(vectors),
        "rows": compared(vectors, queries, mated, options.postgres),
        "ranks": ranks(vectors, queries[: len(mated)]),
    }
    text = json.dumps(figures, indent=1)
    print(text)
    if options.json:
        options.json.write_text(text + "\n", encoding="utf-8")


def ranks(vectors: np.ndarray, queries: np.ndarray) -> dict[str, float]:
    """Mean similarity of mated probes to their k-th best template."""
    sorted_rows = np.sort(queries @ vectors.T, axis=1)
    return {
        f"rank {rank}": round(float(sorted_rows[:, -rank].mean()), 3) for rank in (1, 2, 10, 100)
    }


def compared(vectors: np.ndarray, queries: np.ndarray, mated: np.ndarray, url: str) -> Rows:
    index, seconds, _ = filled("int8", vectors)
    hits: list[Hits] = []
    searching = processor_seconds(lambda: hits.extend(alone(index.search, queries)))
    exact = [list(map(int, found.ids)) for found in hits]
    rows = [told("exact, int8", exact, exact, mated, searching) | {"s to build": round(seconds, 2)}]
    with PostgresTable(url, vectors) as table:
        found, searching = table.search(queries, TOP_K)
        rows.append(told("pgvector, no index", found, exact, mated, searching))
        for name, (statement, settings, numbers) in INDEXES.items():
            building = table.run(statement.format(table=table.table))
            size = table.num_bytes("by_vector")
            for (word, setting), number in zip(settings, numbers, strict=True):
                table.run(setting)
                found, searching = table.search(queries, TOP_K)
                row = told(f"pgvector {name}, {word} {number}", found, exact, mated, searching)
                rows.append(
                    row | {"s to build": round(building, 1), "MB of the index": round(size / 1e6)}
                )
                print(rows[-1], file=sys.stderr, flush=True)
            table.run("DROP INDEX by_vector")
    return rows


def told(
    name: str, found: list[list[int]], exact: list[list[int]], mated: np.ndarray, seconds: float
) -> dict[str, Any]:
    shared = [len(set(one) & set(other)) / TOP_K for one, other in zip(found, exact, strict=True)]
    first = [rows[:1] == [mate] for rows, mate in zip(found, mated.tolist(), strict=False)]
    return {
        "search": name,
        "ms a query": round(seconds / len(found) * 1e3, 2),
        "recall of ten": round(float(np.mean(shared)), 3),
        "mate first": round(float(np.mean(first)), 3),
    }


if __name__ == "__main__":
    main()
