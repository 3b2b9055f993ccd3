"""A service that is killed while many enrol loses nothing that it told of as done."""

from __future__ import annotations

import re
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

pytest.importorskip("uvicorn")

from probefusion import Gallery
from probefusion.errors import StoreError
from probefusion.service.client import Client, ServiceError

NUM_CLIENTS = 4
ROUNDS = 3


def enroll_until_it_ends(url: str, seed: int, done: list[str]) -> None:
    """Enrols one person after the other; notes each that the service told of."""
    rng = np.random.default_rng(seed)
    with Client(url) as client:
        for number in range(100_000):
            name = f"p{seed} {number}"
            try:
                client.enroll(name, embeddings=rng.standard_normal((2, 64)))
            except (StoreError, ServiceError):
                return
            done.append(name)


def test_nothing_that_was_told_of_is_lost(tmp_path) -> None:
    path = tmp_path / "g.db"
    command = [sys.executable, "-m", "probefusion", "serve", "--gallery", str(path), "--port", "0"]
    done: list[str] = []
    for round_number in range(ROUNDS):
        process = subprocess.Popen([*command, "--fuser", "mean"], stderr=subprocess.PIPE, text=True)
        url = re.search(r"http://\S+", process.stderr.readline())[0]
        told = len(done)
        threads = [
            threading.Thread(target=enroll_until_it_ends, args=(url, 10 * round_number + k, done))
            for k in range(NUM_CLIENTS)
        ]
        for thread in threads:
            thread.start()
        while len(done) < told + 12:  # all are at work
            time.sleep(0.01)
        process.kill()
        process.wait()
        process.stderr.close()
        for thread in threads:
            thread.join()
    assert len(done) >= 12 * ROUNDS
    with Gallery(path, create=False) as gallery:
        there = set(gallery.list())
        assert set(done) <= there
        assert (
            len(there) <= len(done) + NUM_CLIENTS * ROUNDS
        )  # one of each client may be done and not told
        assert gallery.check() == ()
        assert all(gallery.person(name).num_images == 2 for name in there)
