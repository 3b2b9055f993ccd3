"""Load on a service at 127.0.0.1: requests a second and times at 1 to 64 clients, and the server's processor time.

A gallery of made templates is filled, `probefusion serve` is started, and processes of clients search and fuse. The
unbatched rate is that of one client: each search is then a product of its own.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

DIM = 512
SEED = 0


def fill(path: Path, people: int) -> None:
    """Enrols made people of one image each."""
    from probefusion import Gallery
    from probefusion.types import EmbeddingSet

    rng = np.random.default_rng(SEED)
    with Gallery(path, fuser="mean") as gallery:
        gallery.load(
            (f"p{row}", EmbeddingSet(embeddings=rng.standard_normal((1, DIM)).astype(np.float32)))
            for row in range(people)
        )


def client(url: str, what: str, number: int, seed: int, queue: Any, start: Any) -> None:
    """Makes requests one after the other; puts their times in seconds."""
    from probefusion.service.client import Client, query_of

    rng = np.random.default_rng([SEED, seed])
    rows = 1 if what == "search" else 16
    body = query_of(embeddings=rng.standard_normal((rows, DIM)))
    path = "/v1/fuse"
    if what == "search":
        path, body = "/v1/collections/people/search", {"query": body, "threshold": 0.5}
    times = []
    with Client(url) as caller:
        caller.call("GET", "/v1/health")
        start.wait()
        for _ in range(number):
            begin = time.perf_counter()
            if what == "health":
                caller.call("GET", "/v1/collections")
            else:
                caller.call("POST", path, body)
            times.append(time.perf_counter() - begin)
    queue.put(times)


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    import os

    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(url: str, pid: int, what: str, clients: int, total: int) -> dict[str, float]:
    """One row of the table."""
    context = multiprocessing.get_context("spawn")
    queue, start = context.Queue(), context.Event()
    each = max(1, total // clients)
    processes = [
        context.Process(target=client, args=(url, what, each, seed, queue, start))
        for seed in range(clients)
    ]
    for process in processes:
        process.start()
    time.sleep(2 + 0.2 * clients)
    used, begin = processor_seconds(pid), time.perf_counter()
    start.set()
    times = [second for _ in processes for second in queue.get()]
    wall, used = time.perf_counter() - begin, processor_seconds(pid) - used
    for process in processes:
        process.join()
    return {
        "what": what,
        "clients": clients,
        "requests": len(times),
        "per_second": round(len(times) / wall, 1),
        "p50_ms": round(1e3 * float(np.quantile(times, 0.5)), 2),
        "p99_ms": round(1e3 * float(np.quantile(times, 0.99)), 2),
        "server_cpu_ms": round(1e3 * used / len(times), 3),
    }


def main() -> None:
    """Fills, serves, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=1000, help="for each row of the table")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--gallery", type=Path, help="a gallery that was filled before")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.gallery or Path(folder) / "g.db"
        if not path.exists():
            begin = time.perf_counter()
            fill(path, options.people)
            print(f"filled in {time.perf_counter() - begin:.0f} s", file=sys.stderr)
        command = [sys.executable, "-m", "probefusion", "serve", "--gallery", str(path)]
        command += ["--port", "0", "--fuser", "mean", "--rate", "1000000000", "--threads", "1"]
        server = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        try:
            line = server.stderr.readline() if server.stderr else ""
            found = re.search(r"http://\S+", line)
            if found is None:
                raise SystemExit(line)
            url = found[0]
            measure(url, server.pid, "search", 1, 3)
            for what in ("health", "search", "fuse"):
                for clients in options.clients:
                    row = measure(url, server.pid, what, clients, options.requests)
                    row["memory_mb"] = round(memory_of(server.pid) / 1e6, 1)
                    print(json.dumps(row), flush=True)
        finally:
            server.terminate()
            server.wait()


def memory_of(pid: int) -> int:
    """Bytes of memory a process holds."""
    import resource

    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


if __name__ == "__main__":
    main()
