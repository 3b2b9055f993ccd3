"""`serve --workers 2` on an encrypted gallery in PostgreSQL: processes that act as one, are killed, and end."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="needs probefusion[serve]")
pytest.importorskip("cryptography", reason="needs probefusion[gallery]")

from probefusion.gallery import Gallery
from probefusion.gallery.audit.trail_check import verify_chain
from probefusion.gallery.keys.master_key import write_master_key
from probefusion.service.guards.access import new_key, read_keys, revoke_key
from probefusion.service.guards.access_log import read_access_log

ROOT = "/v1/collections/people"
KILLS = 2
NUM_CLIENTS = 3


def query_of(person: int, seed: int = 0) -> dict:
    centre = np.random.default_rng(person).standard_normal(64)
    rows = centre + 0.4 * np.random.default_rng([person, seed]).standard_normal((2, 64))
    return {"embeddings": {"rows": rows.tolist()}}


@dataclass(kw_only=True)
class Service:
    """Processes that serve, and what they were started with."""

    process: subprocess.Popen
    port: int
    folder: Path
    url: str
    admin: str

    def call(
        self, method: str, path: str, body: dict | None = None, *, key: str = "", once: str = ""
    ) -> tuple[int, dict]:
        """Status and content of an answer, over a connection of its own: any of the processes gives it."""
        headers = {
            "Authorization": f"Bearer {key or self.admin}",
            "Content-Type": "application/json",
        }
        if once:
            headers["Idempotency-Key"] = once
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            content = None if body is None else json.dumps(body)
            connection.request(method, path, content, headers)
            answer = connection.getresponse()
            text = answer.read()
        finally:
            connection.close()
        is_json = "json" in (answer.headers["Content-Type"] or "")
        return answer.status, json.loads(text) if is_json else {"text": text.decode()}

    def numbers(self) -> list[int]:
        """Numbers of the processes that serve."""
        text = self.call("GET", "/metrics")[1]["text"]
        return [int(number) for number in re.findall(r'process_open_fds\{pid="(\d+)"', text)]

    def open_gallery(self) -> Gallery:
        secret = {"keys": self.folder / "master", "key_file": self.folder / "the.keys"}
        return Gallery(self.url, fuser="mean", create=False, **secret)


@pytest.fixture(scope="module")
def service(postgres_server, tmp_path_factory) -> Iterator[Service]:
    """Two processes and an encrypted gallery."""
    folder = tmp_path_factory.mktemp("service")
    write_master_key(folder / "master")
    admin = new_key(folder / "access.json", name="admin", role="admin")
    url = postgres_server.new_database()
    command = [sys.executable, "-m", "probefusion", "serve", "--gallery", url, "--port", "0"]
    command += ["--workers", "2", "--fuser", "mean", "--access", folder / "access.json"]
    command += ["--keys", folder / "master", "--key-file", folder / "the.keys"]
    command += ["--access-log", folder / "access.log"]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    port = re.search(r"http://127.0.0.1:(\d+)/", process.stderr.readline())[1]
    yield Service(process=process, port=int(port), folder=folder, url=url, admin=admin)
    process.terminate()
    process.wait()
    process.stderr.close()


def test_processes_act_as_one(service) -> None:
    assert len(service.numbers()) == 2
    assert service.call("POST", f"{ROOT}/people", {"name": "Ann", "query": query_of(0)})[0] == 201
    session = service.call("POST", "/v1/sessions")[1]["id"]
    for count in range(1, 6):
        path = f"/v1/sessions/{session}/images"
        assert service.call("POST", path, query_of(0, count))[1]["num_images"] == 2 * count
    for _ in range(6):
        status, found = service.call("POST", f"{ROOT}/search", {"query": {"session": session}})
        assert (status, found["candidates"][0]["name"]) == (200, "Ann")
    more = {"query": {"session": session}}

    def add(_: int) -> int:
        return service.call("POST", f"{ROOT}/people/Ann/contributions", more, once="k")[0]

    with ThreadPoolExecutor(8) as pool:
        statuses = set(pool.map(add, range(8)))
    assert 201 in statuses
    assert statuses <= {201, 409}
    assert service.call("GET", f"{ROOT}/people/Ann")[1]["num_images"] == 12
    assert service.call("DELETE", f"/v1/sessions/{session}")[0] == 204
    asked = [service.call("GET", f"/v1/sessions/{session}")[0] for _ in range(6)]
    assert set(asked) == {404}
    counted = 'route="/v1/sessions/{session}",status="404"} 6.0'
    assert counted in service.call("GET", "/metrics")[1]["text"]


def test_a_key_is_revoked_in_all_processes_and_the_log_holds_together(service) -> None:
    path = service.folder / "access.json"
    key = new_key(path, name="door", role="read")

    def ask(_: int) -> int:
        return service.call("GET", f"{ROOT}/people", key=key)[0]

    with ThreadPoolExecutor(4) as pool:
        assert set(pool.map(ask, range(16))) == {200}
    revoke_key(path, next(each.id for each in read_keys(path) if each.name == "door"))
    assert {ask(number) for number in range(8)} == {401}
    lines = list(read_access_log(service.folder / "access.log"))
    assert sum(key.split("_")[1] in line.decode() for line in lines) == 16
    assert verify_chain(lines, collection="accesses").is_whole


class Adding(threading.Thread):
    """Enrols somebody, and adds images again and again; sends each request until it is told what became of it."""

    def __init__(self, service: Service, person: int) -> None:
        super().__init__()
        path = service.folder / "access.json"
        self.key = new_key(path, name=f"adder {person}", role="write")
        self.service, self.person, self.num_done, self.is_over = service, person, 0, False

    def run(self) -> None:
        body = {"name": f"p{self.person}", "query": query_of(self.person)}
        self.send(f"{ROOT}/people", body, "0")
        while not self.is_over:
            body = {"query": query_of(self.person, self.num_done), "guard": False}
            once = str(self.num_done)
            self.send(f"{ROOT}/people/p{self.person}/contributions", body, once)

    def send(self, path: str, body: dict, once: str) -> None:
        while True:
            try:
                status, answer = self.service.call("POST", path, body, key=self.key, once=once)
            except (OSError, http.client.HTTPException):
                continue  # its process was killed
            if status == 201 or answer["type"].endswith("idempotency-unknown"):
                self.num_done += 1  # this key made no other change since, so that was it
                return
            assert answer["type"].endswith("idempotency-key"), answer  # under way
            time.sleep(0.05)


def test_killed_processes_lose_nothing_and_do_nothing_twice(service) -> None:
    adders = [Adding(service, person) for person in range(10, 10 + NUM_CLIENTS)]
    for adder in adders:
        adder.start()
    for _ in range(KILLS):
        done = sum(adder.num_done for adder in adders)
        while sum(adder.num_done for adder in adders) < done + 4 * NUM_CLIENTS:
            time.sleep(0.01)
        numbers = service.numbers()
        os.kill(numbers[0], signal.SIGKILL)
        assert "was ended by SIGKILL; another one begins" in service.process.stderr.readline()
        while len(left := service.numbers()) < 2 or numbers[0] in left:
            time.sleep(0.05)
    for adder in adders:
        adder.is_over = True
        adder.join()
    with service.open_gallery() as gallery:
        for adder in adders:
            assert gallery.person(f"p{adder.person}").num_images == 2 * adder.num_done
        assert gallery.check() == ()
    lines = list(read_access_log(service.folder / "access.log"))
    assert verify_chain(lines, collection="accesses").is_whole


def test_what_is_under_way_is_finished_and_nobody_new_is_let_in(service) -> None:
    """The last of this service: it ends."""
    psycopg = pytest.importorskip("psycopg")
    with ThreadPoolExecutor(1) as pool, psycopg.connect(service.url) as other:
        other.execute("SELECT * FROM probefusion.collections FOR UPDATE")  # enrolling waits for it
        body = {"name": "Zoe", "query": query_of(1)}
        enrolling = pool.submit(service.call, "POST", f"{ROOT}/people", body)
        waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock'"
        with psycopg.connect(service.url, autocommit=True) as watching:
            while watching.execute(waiting).fetchone() == (0,):
                time.sleep(0.01)
        service.process.send_signal(signal.SIGTERM)
        refused = False
        while not refused:
            try:
                service.call("GET", "/v1/health")
            except (OSError, http.client.HTTPException) as error:
                refused = isinstance(error, ConnectionRefusedError)
        assert not enrolling.done()
        other.rollback()
        assert enrolling.result()[0] == 201
    assert service.process.wait() in (130, -signal.SIGTERM)
    with service.open_gallery() as gallery:
        assert "Zoe" in gallery.list()


def test_what_is_wrong_is_said_once_and_ends_the_command(postgres_server, tmp_path) -> None:
    url = postgres_server.new_database()
    command = [sys.executable, "-m", "probefusion", "serve", "--gallery", url, "--port", "0"]
    done = subprocess.run(
        [*command, "--workers", "2", "--embedder", str(tmp_path / "no.onnx")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert "no.onnx" in done.stderr
