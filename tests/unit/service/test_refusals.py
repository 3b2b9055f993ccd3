"""Who was refused stands in the log of accesses, and a flood of requests cannot fill the disk with it."""

from __future__ import annotations

import json
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from probefusion.cli import main
from probefusion.service.guards.access import AccessFile, new_key, revoke_key
from probefusion.service.guards.access_log import AccessLog, read_access_log, verify_access_log
from probefusion.service.guards.refusals import RefusalKind, Refusals, read_refusals
from probefusion.service.settings import Limits

ROOT = "/v1/collections/people"


@pytest.fixture
def keys(tmp_path):
    """A file with a key of each role, and their tokens."""
    path = tmp_path / "keys.json"
    return path, {role: new_key(path, name=role, role=role) for role in ("read", "admin")}


def header(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def id_of(token: str) -> str:
    return token.split("_")[1]


def facts(path) -> list[tuple]:
    return [
        (
            each.actor,
            each.status,
            each.reason,
            each.operation,
            each.collection,
            each.key,
            each.count,
        )
        for each in read_refusals(path)
    ]


def kind_of(place: int = 0, actor: str = "unknown", status: int = 401) -> RefusalKind:
    return RefusalKind(
        actor=actor,
        status=status,
        reason="key",
        operation=f"operation{place}",
        collection="people",
        address="192.0.2.7",
        named_key=None,
    )


def test_who_was_refused_what_is_noted_at_once(serve, keys, tmp_path) -> None:
    path, tokens = keys
    log = tmp_path / "access.log"
    old = new_key(path, name="old", role="admin", expires=datetime.now(timezone.utc) - timedelta(1))
    gone = new_key(path, name="gone", role="admin")
    revoke_key(path, id_of(gone))
    client = serve(access_file=path, access_log=log)
    read = tokens["read"]
    forged = read[:-3] + ("AAA" if not read.endswith("AAA") else "BBB")
    refused = [
        ("GET", f"{ROOT}/people", {}, ("unknown", "401", "key", "list_people", "people", "")),
        (
            "POST",
            f"{ROOT}/search",
            header(forged),
            ("unknown", "401", "key", "search", "people", id_of(read)),
        ),
        (
            "DELETE",
            f"{ROOT}/people/Ann",
            header(old),
            ("unknown", "401", "key", "remove_person", "people", id_of(old)),
        ),
        ("GET", "/v1/nothing", header(gone), ("unknown", "401", "key", "none", "", "")),
        ("GET", "/metrics", {}, ("unknown", "401", "key", "metrics", "", "")),
        (
            "POST",
            f"{ROOT}/changes/1/undo",
            header(read),
            (id_of(read), "403", "role", "undo", "people", ""),
        ),
        (
            "POST",
            "/v1/collections/Ann%20Smith/forget",
            header(read),
            (id_of(read), "403", "role", "forget", "", ""),
        ),
        (
            "POST",
            f"{ROOT}/search",
            header(read) | {"Origin": "https://evil.example"},
            (id_of(read), "403", "cross-site", "search", "people", ""),
        ),
    ]
    for number, (method, place, headers, expected) in enumerate(refused, start=1):
        body = {"person": "Ann"} if place.endswith("forget") else None
        answer = client.request(method, place, headers=headers, json=body)
        assert answer.status_code == int(expected[1]), (place, answer.text)
        assert facts(log)[-1] == (*expected, 1), place
        assert len(facts(log)) == number
    assert {each.address for each in read_refusals(log)} == {"testclient"}
    text = log.read_text()
    for token in (*tokens.values(), old, gone, forged):
        assert token.split("_", 2)[2] not in text
    assert "Ann" not in text
    assert "evil" not in text
    assert client.get(f"{ROOT}/people", headers=header(read)).status_code == 200
    assert client.get("/v1/health").status_code == 200
    assert len(facts(log)) == len(refused)
    assert verify_access_log(log).is_whole


def test_a_service_for_this_machine_notes_foreign_pages(serve, tmp_path) -> None:
    log = tmp_path / "access.log"
    client = serve(access_log=log)
    assert client.get(f"{ROOT}/people", headers={"Host": "evil.example"}).status_code == 403
    assert facts(log) == [("unknown", "403", "cross-site", "list_people", "people", "", 1)]


def test_a_flood_is_two_entries_a_minute(serve, keys, tmp_path) -> None:
    path, tokens = keys
    log = tmp_path / "access.log"
    client = serve(access_file=path, access_log=log)
    hub = client.app.state.hub
    for _ in range(40):
        assert client.get(f"{ROOT}/people", headers=header("pf_0_x")).status_code == 401
    assert client.delete(f"{ROOT}/people/x", headers=header(tokens["read"])).status_code == 403
    assert len(list(read_access_log(log))) == 2
    hub.refusals.sum_up()  # as the end of the minute does
    assert [each[-1] for each in facts(log)] == [1, 1, 39]
    assert facts(log)[2][:4] == ("unknown", "401", "key", "list_people")
    hub.refusals.sum_up()
    assert len(facts(log)) == 3
    assert client.get(f"{ROOT}/people").status_code == 401
    assert client.get(f"{ROOT}/people").status_code == 401
    client.__exit__(None, None, None)  # the end of the service counts too
    assert [each[-1] for each in facts(log)] == [1, 1, 39, 1, 1]
    client.__enter__()


def test_kinds_are_bounded_and_strangers_hide_nobody(tmp_path) -> None:
    with_bound = AccessLog(tmp_path / "log")
    refusals = Refusals(with_bound, seconds=3600, most_kinds=3)
    for _ in range(2):
        for place in range(1000):
            if refusals.count(kind_of(place)):
                refusals.write(kind_of(place))
    for place in range(5):
        known = kind_of(place, actor="0a1b", status=403)
        if refusals.count(known):
            refusals.write(known)
    refusals.close()
    with_bound.close()
    told = list(read_refusals(tmp_path / "log"))
    assert [each.operation for each in told[:6]] == [
        f"operation{place}" for place in (0, 1, 2, 0, 1, 2)
    ]
    assert [(each.actor, each.count, each.status) for each in told[6:]] == [
        ("unknown", 1, "401"),
        ("unknown", 1, "401"),
        ("unknown", 1, "401"),
        ("unknown", 1994, ""),
        ("various keys", 2, ""),
    ]
    assert sum(each.count for each in told) == 2005
    assert (tmp_path / "log").stat().st_size < 5000
    assert verify_access_log(tmp_path / "log").is_whole


def test_every_refusal_is_counted_once_by_many_threads(tmp_path) -> None:
    log = AccessLog(tmp_path / "log")
    refusals = Refusals(log, seconds=3600)

    def refuse(number: int) -> None:
        kind = kind_of(number % 4)
        if refusals.count(kind):
            refusals.write(kind)
        if number % 100 == 99:
            refusals.sum_up()

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(refuse, range(2000)))
    refusals.close()
    log.close()
    assert sum(each.count for each in read_refusals(tmp_path / "log")) == 2000
    assert verify_access_log(tmp_path / "log").is_whole


def test_processes_of_a_service_write_one_chain(tmp_path) -> None:
    path = tmp_path / "log"
    logs = [AccessLog(path) for _ in range(3)]
    several = [Refusals(log, seconds=3600) for log in logs]
    for turn in range(30):
        refusals, kind = several[turn % 3], kind_of(turn % 2)
        if refusals.count(kind):
            refusals.write(kind)
        logs[turn % 3].note("0a1b", "search", ("collection:people",))
    for refusals, log in zip(several, logs, strict=True):
        refusals.close()
        log.close()
    assert verify_access_log(path).is_whole
    told = [each.count for each in read_refusals(path)]
    assert (sum(told), len(told)) == (30, 12)
    assert verify_access_log(path).num_entries == 42


def test_the_end_of_a_minute_is_noted_by_itself(tmp_path) -> None:
    log = AccessLog(tmp_path / "log")
    refusals = Refusals(log, seconds=0.01)
    for _ in range(3):
        if refusals.count(kind_of()):
            refusals.write(kind_of())
    for thread in threading.enumerate():
        if isinstance(thread, threading.Timer):
            thread.join()
    assert sum(each.count for each in read_refusals(tmp_path / "log")) == 3
    log.close()


def test_what_cannot_be_noted_is_refused_all_the_same(serve, keys, tmp_path, monkeypatch) -> None:
    path, _ = keys
    log = tmp_path / "access.log"
    client = serve(access_file=path, access_log=log)

    def fail(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("probefusion.service.guards.access_log.os.write", fail)
        assert client.get(f"{ROOT}/people").status_code == 401
    assert facts(log) == []


def test_without_a_log_nothing_is_counted(serve, keys) -> None:
    path, _ = keys
    client = serve(access_file=path)
    assert client.get(f"{ROOT}/people").status_code == 401
    assert client.app.state.hub.refusals._more == {}


def test_the_command_shows_them(tmp_path, capsys, keys, serve) -> None:
    path, tokens = keys
    log = tmp_path / "access.log"
    client = serve(access_file=path, access_log=log, limits=Limits())
    read = tokens["read"]
    client.get(f"{ROOT}/people", headers=header(read))
    for _ in range(3):
        client.get(f"{ROOT}/people", headers=header(read + "x"))
    client.delete(f"{ROOT}/people/x", headers=header(read))
    client.app.state.hub.refusals.sum_up()
    assert main(["serve-log", str(log)]) == 0
    assert "4 entries, 0 faults; 4 requests refused;" in capsys.readouterr().out
    assert main(["serve-log", str(log), "--refused"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split()[:4] == ["ENTRY", "TIME", "COUNT", "STATUS"]
    assert f"unknown (names {id_of(read)})" in lines[1]
    assert ["403", id_of(read), "testclient", "remove_person", "people"] == lines[2].split()[3:]
    assert lines[3].split()[2:4] == ["2", "401"]
    assert main(["serve-log", str(log), "--refused", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["num_refused"] == 4
    assert [each["count"] for each in told["refused"]] == [1, 1, 2]
    assert told["refused"][1]["operation"] == "remove_person"


def test_the_id_that_a_wrong_key_names_is_told_only_of_keys_of_the_file(keys) -> None:
    path, tokens = keys
    file = AccessFile(path)
    one = id_of(tokens["read"])
    assert file.named(f"pf_{one}_wrong") == one
    assert file.named(tokens["read"]) == one
    for token in ("", "pf_", "pf_secret_pasted", one, "_", "pf"):
        assert file.named(token) is None
