"""How long large JSON bodies hold up everybody else: parsed in the event loop, in a thread, and in a thread in pieces.

    python -m benchmarks.service_bodies --numbers 512 4096 8192 32768 262144 972800

An event loop does nothing but look at the clock while a body of so many numbers (embeddings of 512, as lists) is parsed
and checked. Told are the processor time that it takes, and the longest time of this process between two looks: what
every other request has to wait. The three ways take turns in one run, so only their ratios mean something. The clock is
that of the process's own work, so that other programs do not count.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import time
from collections.abc import Callable
from functools import partial

import numpy as np

from probefusion.service.bodies import Search
from probefusion.service.json_parsing import parse_json

_DIM = 512
_ROUNDS = 5


def _body(numbers: int) -> bytes:
    rng = np.random.default_rng(0)
    rows = np.round(rng.standard_normal((max(1, numbers // _DIM), _DIM)) / 20, 8).tolist()
    return json.dumps({"query": {"embeddings": {"rows": rows}}}).encode()


def _check(body: bytes, *, in_pieces: bool) -> None:
    Search.model_validate(parse_json(body, in_pieces=in_pieces))


async def _longest_gap(work: Callable[[], None], *, in_thread: bool) -> tuple[float, float]:
    """Longest time between two looks, and the time of the work, in seconds of this process."""
    gaps: list[float] = []
    is_over = False

    async def look() -> None:
        last = time.process_time()
        while not is_over:
            await asyncio.sleep(0.0005)
            now = time.process_time()
            gaps.append(now - last)
            last = now

    looking = asyncio.create_task(look())
    await asyncio.sleep(0.005)
    gaps.clear()
    begin = time.process_time()
    if in_thread:
        await asyncio.to_thread(work)
    else:
        work()
    taken = time.process_time() - begin
    is_over = True
    await looking
    return max(gaps), taken


def main() -> None:
    """Prints a line for each size."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--numbers", type=int, nargs="+", default=[512, 8192, 262144])
    options = parser.parse_args()
    ways = {
        "loop": (False, False),
        "thread": (True, False),
        "pieces": (True, True),
    }
    for numbers in options.numbers:
        body = _body(numbers)
        found: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
        for _ in range(_ROUNDS):
            for way, (in_thread, in_pieces) in ways.items():
                work = partial(_check, body, in_pieces=in_pieces)
                found[way].append(asyncio.run(_longest_gap(work, in_thread=in_thread)))
        told = "  ".join(
            f"{way}: gap {statistics.median(each[0] for each in rows) * 1e3:.2f} ms, "
            f"work {statistics.median(each[1] for each in rows) * 1e3:.2f} ms"
            for way, rows in found.items()
        )
        print(f"{numbers:>8} numbers, {len(body):>9} bytes  {told}")


if __name__ == "__main__":
    main()
