"""Load on a service at 127.0.0.1: requests a second and times at 1 to 64 clients, and the server's processor time.

A gallery of made templates is filled and `probefusion serve` is started. The clients are connections of one process
that holds their requests as prepared bytes: it costs about a twentieth of a millisecond a request, so that the figures
are the server's and not those of its callers. Each client sends its next request when it has the answer to the last.

With `--modes batched unbatched` the same load goes to a server that joins searches and to one that does not, in turn.
"""

from __future__ import annotations

import argparse
import base64
import collections
import dataclasses
import json
import os
import re
import resource
import selectors
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np

DIM = 512
SEED = 0
DIFFERENT = 8
"""Requests of each client that differ from each other."""

HERE = Path(__file__).parent


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


def requests_of(what: str, client: int) -> list[bytes]:
    """Whole requests of a client as bytes."""
    rng = np.random.default_rng([SEED, client])
    if what == "health":
        return [b"GET /v1/collections HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n"]
    found = []
    for _ in range(DIFFERENT):
        rows = rng.standard_normal((1 if what == "search" else 16, DIM)).astype("<f4")
        query = {
            "embeddings": {"base64": base64.b64encode(rows.tobytes()).decode(), "dim": DIM},
        }
        path, content = "/v1/fuse", json.dumps(query)
        if what == "search":
            path = "/v1/collections/people/search"
            content = json.dumps({"query": query, "threshold": 0.5})
        head = (
            f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(content)}\r\n\r\n"
        )
        found.append((head + content).encode())
    return found


class Caller:
    """A connection that sends one request after the other.

    Args:
        address: Of the service.
        requests: Sent in turn.
    """

    def __init__(self, address: tuple[str, int], requests: list[bytes]) -> None:
        self.socket = socket.create_connection(address)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._requests, self._sent, self._got, self._begun = requests, 0, b"", 0.0

    def send(self) -> None:
        """Sends the next request."""
        self._got, self._begun = b"", time.perf_counter()
        self.socket.sendall(self._requests[self._sent % len(self._requests)])
        self._sent += 1

    def receive(self) -> tuple[int, float] | None:
        """Status and seconds of an answer that is whole, else None."""
        part = self.socket.recv(1 << 18)
        if not part:
            raise SystemExit("the service closed a connection")
        self._got += part
        head, found, body = self._got.partition(b"\r\n\r\n")
        if not found:
            return None
        length = re.search(rb"(?i)\r\ncontent-length: (\d+)", head)
        if length is None or len(body) < int(length[1]):
            return None
        return int(head[9:12]), time.perf_counter() - self._begun


def load(callers: list[Caller], total: int) -> tuple[list[float], collections.Counter[int], float]:
    """Sends requests until there are so many answers; times of those that were served, statuses, seconds in all."""
    selector = selectors.DefaultSelector()
    for caller in callers:
        selector.register(caller.socket, selectors.EVENT_READ, caller)
    times, statuses = [], collections.Counter[int]()
    begin = time.perf_counter()
    to_send = total
    for caller in callers[:total]:
        caller.send()
        to_send -= 1
    while statuses.total() < total:
        for key, _ in selector.select():
            answer = key.data.receive()
            if answer is None:
                continue
            statuses[answer[0]] += 1
            if answer[0] < 400:
                times.append(answer[1])
            if to_send > 0:
                key.data.send()
                to_send -= 1
    wall = time.perf_counter() - begin
    selector.close()
    return times, statuses, wall


def processor_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_of(pid: int) -> int:
    """Bytes of memory a process holds."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * resource.getpagesize()


@dataclasses.dataclass(frozen=True, kw_only=True)
class Row:
    """What was measured; times in milliseconds, of requests that were served."""

    mode: str
    what: str
    clients: int
    requests: int
    refused: int
    per_second: float
    p50_ms: float
    p99_ms: float
    server_cpu_ms: float
    caller_cpu_ms: float
    memory_mb: float


class Server:
    """`probefusion serve` in a process of its own.

    Args:
        gallery: The gallery.
        changed: What is switched off in it, see `service_load_server.py`.
        more: More options of `serve`.
    """

    def __init__(self, gallery: Path, changed: list[str], more: list[str]) -> None:
        command = [sys.executable, str(HERE / "service_load_server.py"), *changed]
        command += ["--gallery", str(gallery), "--port", "0", "--fuser", "mean"]
        command += ["--rate", "1000000000", "--threads", "1", *more]
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
        line = self._process.stderr.readline() if self._process.stderr else ""
        found = re.search(r"http://\S+", line)
        if found is None:
            self._process.kill()
            raise SystemExit(line)
        parts = urlsplit(found[0])
        self.pid, self.address = self._process.pid, (str(parts.hostname), int(parts.port or 0))

    def measure(self, mode: str, what: str, clients: int, total: int) -> Row:
        """One row of the table."""
        callers = [Caller(self.address, requests_of(what, number)) for number in range(clients)]
        load(callers, 2 * clients)  # threads, caches
        used, own = processor_seconds(self.pid), time.process_time()
        times, statuses, wall = load(callers, total)
        used, own = processor_seconds(self.pid) - used, time.process_time() - own
        for caller in callers:
            caller.socket.close()
        refused = sum(number for status, number in statuses.items() if status == 429)
        wrong = {status for status in statuses if status >= 400 and status != 429}
        if wrong:
            raise SystemExit(f"the service answered with {sorted(wrong)}")
        return Row(
            mode=mode,
            what=what,
            clients=clients,
            requests=total,
            refused=refused,
            per_second=round(len(times) / wall, 1),
            p50_ms=round(1e3 * float(np.quantile(times, 0.5)), 2),
            p99_ms=round(1e3 * float(np.quantile(times, 0.99)), 2),
            server_cpu_ms=round(1e3 * used / total, 3),
            caller_cpu_ms=round(1e3 * own / total, 3),
            memory_mb=round(memory_of(self.pid) / 1e6, 1),
        )

    def measure_least(self, mode: str, what: str, clients: int, total: int, rounds: int) -> Row:
        """The row of the round in which the server needed least: others disturb, and never help."""
        rows = [self.measure(mode, what, clients, total) for _ in range(rounds)]
        return min(rows, key=lambda row: row.server_cpu_ms)

    def close(self) -> None:
        """Ends it."""
        self._process.terminate()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()


@contextmanager
def serving(gallery: Path, changed: list[str], more: list[str]) -> Iterator[Server]:
    """A server, for as long as the block lasts."""
    server = Server(gallery, changed, more)
    try:
        yield server
    finally:
        server.close()


MODES = {
    "batched": [],
    "unbatched": ["--one-by-one"],
    "batched-float32": ["--float32"],
    "unbatched-float32": ["--one-by-one", "--float32"],
}
TOO_FEW = ["--max-running", "16"]
"""Requests that may be under way where the service is to be full."""


def main() -> None:
    """Fills, serves, measures, prints."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=100_000)
    parser.add_argument("--requests", type=int, default=1000, help="for each row of the table")
    parser.add_argument(
        "--rounds",
        type=int,
        default=1,
        help="for each row; that with the least processor time is told",
    )
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16, 64])
    parser.add_argument("--what", nargs="+", default=["health", "search", "fuse"])
    parser.add_argument("--modes", nargs="+", choices=tuple(MODES), default=["batched"])
    parser.add_argument("--gallery", type=Path, help="a gallery that was filled before")
    parser.add_argument(
        "--overload", type=int, default=0, help="requests of 256 clients to a service that takes 16"
    )
    parser.add_argument("--serve", nargs=argparse.REMAINDER, default=[], help="options of serve")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = options.gallery or Path(folder) / "g.db"
        if not path.exists():
            begin = time.perf_counter()
            fill(path, options.people)
            print(f"filled in {time.perf_counter() - begin:.0f} s", file=sys.stderr)
        for mode in options.modes:
            with serving(path, MODES[mode], options.serve) as server:
                server.measure(mode, "search", 1, 3)
                for what in options.what:
                    for clients in options.clients:
                        row = server.measure_least(
                            mode, what, clients, options.requests, options.rounds
                        )
                        print(json.dumps(dataclasses.asdict(row)), flush=True)
        if options.overload:
            with serving(path, [], [*options.serve, *TOO_FEW]) as server:
                for _ in range(4):
                    row = server.measure("overload", "search", 256, options.overload // 4)
                    print(json.dumps(dataclasses.asdict(row)), flush=True)


if __name__ == "__main__":
    main()
