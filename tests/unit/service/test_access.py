"""Keys: who may do what, in which collection, for how long."""

from __future__ import annotations

import json
import stat
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta, timezone

import pytest

from probefusion.cli import main
from probefusion.errors import ConfigError, FileFormatError, StoreError, UnknownNameError
from probefusion.gallery.audit.trail_check import verify_chain
from probefusion.service import ServiceSettings
from probefusion.service.guards.access import AccessFile, new_key, read_keys, revoke_key
from probefusion.service.guards.access_log import AccessLog, read_access_log

ROOT = "/v1/collections/people"


@pytest.fixture
def keys(tmp_path):
    """A file with a key of each role, and their tokens."""
    path = tmp_path / "keys.json"
    return path, {role: new_key(path, name=role, role=role) for role in ("read", "write", "admin")}


def header(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_each_role_may_do_its_own(serve, keys, query) -> None:
    path, tokens = keys
    client = serve(access_file=path)
    enrolment = {"name": "ann", "query": query(0)}
    expected = {"read": (200, 403, 403), "write": (200, 201, 403), "admin": (200, 409, 200)}
    for role, statuses in expected.items():
        found = (
            client.get(f"{ROOT}/people", headers=header(tokens[role])).status_code,
            client.post(f"{ROOT}/people", json=enrolment, headers=header(tokens[role])).status_code,
            client.post(
                f"{ROOT}/forget", json={"person": "ann"}, headers=header(tokens[role])
            ).status_code,
        )
        assert found == statuses, role


def test_what_is_no_key_is_refused(serve, keys) -> None:
    path, tokens = keys
    client = serve(access_file=path)
    good = tokens["read"]
    forged = good[:-3] + ("AAA" if not good.endswith("AAA") else "BBB")
    for bad in ("", "x", forged, "pf_" + good, good + "x", "pf_0_", "pf__", "ü"):
        answer = client.get(f"{ROOT}/people", headers={"Authorization": f"Bearer {bad}".encode()})
        assert answer.status_code == 401, bad
        assert answer.headers["www-authenticate"] == "Bearer"
    assert client.get(f"{ROOT}/people").status_code == 401
    assert client.get("/v1/health").status_code == 200


def test_a_key_of_another_collection_is_refused(serve, tmp_path, query) -> None:
    path = tmp_path / "keys.json"
    token = new_key(path, name="door", role="admin", collections=["door"])
    client = serve(access_file=path, collections=("people", "door"))
    assert client.get(f"{ROOT}/people", headers=header(token)).status_code == 403
    assert client.get("/v1/collections/door/people", headers=header(token)).status_code == 200
    assert client.get("/v1/collections", headers=header(token)).json() == {"names": ["door"]}
    session = client.post("/v1/sessions", headers=header(token)).json()["id"]
    images = {"embeddings": query(0)["embeddings"]}
    client.post(f"/v1/sessions/{session}/images", json=images, headers=header(token))
    beside = f"/v1/sessions/{session}?collection=people&person=ann"
    assert client.get(beside, headers=header(token)).status_code == 403


def test_a_session_is_its_owners_alone(serve, keys) -> None:
    path, tokens = keys
    client = serve(access_file=path)
    session = client.post("/v1/sessions", headers=header(tokens["read"])).json()["id"]
    other = client.delete(f"/v1/sessions/{session}", headers=header(tokens["admin"]))
    assert other.status_code == 404
    assert (
        client.delete(f"/v1/sessions/{session}", headers=header(tokens["read"])).status_code == 204
    )


def test_expired_and_revoked_keys_are_worthless_at_once(serve, tmp_path) -> None:
    path = tmp_path / "keys.json"
    past = datetime.now(timezone.utc) - timedelta(seconds=1)
    expired = new_key(path, name="old", role="admin", expires=past)
    good = new_key(path, name="new", role="read", expires=past + timedelta(days=1))
    client = serve(access_file=path)
    assert client.get(f"{ROOT}/people", headers=header(expired)).status_code == 401
    assert client.get(f"{ROOT}/people", headers=header(good)).status_code == 200
    revoke_key(path, read_keys(path)[1].id)
    assert client.get(f"{ROOT}/people", headers=header(good)).status_code == 401


def test_the_file_holds_no_secret(keys) -> None:
    path, tokens = keys
    content = path.read_text()
    assert all(token.split("_", 2)[2] not in content for token in tokens.values())
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    found = AccessFile(path).find(tokens["write"])
    assert found is not None
    assert found.role == "write"


def test_keys_made_at_once_are_all_there(tmp_path) -> None:
    path = tmp_path / "keys.json"
    with ThreadPoolExecutor(8) as pool:
        tokens = list(pool.map(lambda k: new_key(path, name=str(k), role="read"), range(16)))
    file = AccessFile(path)
    assert all(file.find(token) is not None for token in tokens)


def test_files_and_arguments_that_are_none(tmp_path) -> None:
    path = tmp_path / "keys.json"
    with pytest.raises(ConfigError, match="role: expected"):
        new_key(path, name="x", role="root")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="expires: expected a time with a zone"):
        new_key(path, name="x", role="read", expires=datetime(2030, 1, 1))
    with pytest.raises(UnknownNameError, match="unknown key 'nope'"):
        revoke_key(path, "nope")
    path.write_text("{")
    with pytest.raises(FileFormatError, match=r"keys\.json"):
        read_keys(path)
    path.write_text(json.dumps({"format_version": 2, "keys": []}))
    with pytest.raises(FileFormatError, match="format_version"):
        read_keys(path)


def test_other_machines_need_keys(tmp_path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):  # noqa: S104
        with pytest.raises(ConfigError, match="needs keys"):
            ServiceSettings(gallery="g.db", host=host)
        ServiceSettings(gallery="g.db", host=host, access_file=tmp_path / "k")
    for host in ("127.0.0.1", "::1", "localhost"):
        ServiceSettings(gallery="g.db", host=host)
    with pytest.raises(ConfigError, match="tls: expected a certificate and its key"):
        ServiceSettings(gallery="g.db", tls_key=tmp_path / "k")


def test_reading_and_writing_are_noted_in_a_chain(serve, keys, query, tmp_path) -> None:
    path, tokens = keys
    log = tmp_path / "access.log"
    client = serve(access_file=path, access_log=log)
    client.post(
        f"{ROOT}/people", json={"name": "ann", "query": query(0)}, headers=header(tokens["write"])
    )
    client.post(f"{ROOT}/search", json={"query": query(0)}, headers=header(tokens["read"]))
    client.get(f"{ROOT}/people/ann", headers=header(tokens["read"]))
    session = client.post("/v1/sessions", headers=header(tokens["read"])).json()["id"]
    client.post(f"/v1/sessions/{session}/images", json=query(0), headers=header(tokens["read"]))
    beside = f"/v1/sessions/{session}?collection=people&person=ann"
    client.get(beside, headers=header(tokens["read"]))
    lines = list(read_access_log(log))
    entries = [json.loads(line) for line in lines]
    actions = [entry["action"] for entry in entries]
    assert actions == ["enroll", "search", "read", "session", "embed", "verify", "fuse"]
    whom = entries[2]["subjects"]
    assert whom[0] == "collection:people"
    assert entries[5]["subjects"] == whom
    assert json.loads(lines[1])["actor"] == tokens["read"].split("_")[1]
    assert b"ann" not in b"".join(lines)
    assert verify_chain(lines, collection="accesses").is_whole
    assert not verify_chain([lines[0], lines[2]], collection="accesses").is_whole
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


def test_a_log_that_was_cut_is_not_gone_on_with(tmp_path) -> None:
    path = tmp_path / "access.log"
    log = AccessLog(path)
    log.note("k", "search")
    log.close()
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(FileFormatError, match="the last line is cut off"):
        AccessLog(path)


def test_the_command_says_whether_a_log_is_whole(tmp_path, capsys) -> None:
    path = tmp_path / "a.log"
    logs = [AccessLog(path) for _ in range(3)]  # as of several processes

    def note(number: int) -> None:
        logs[number % 3].note_all([("k", "search", (f"p{number}",)), ("k", "read", ())])

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(note, range(30)))
    for log in logs:
        log.close()
    assert main(["serve-log", str(path), "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["num_entries"], report["faults"]) == (60, [])
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:-1]))
    assert main(["serve-log", str(path)]) == 0
    assert main(["serve-log", str(path), "--anchor", report["last"]]) == 1
    assert "cut off" in capsys.readouterr().out
    path.write_bytes(b"".join([*lines[:10], *lines[11:]]))
    assert main(["serve-log", str(path)]) == 1
    assert "entry 11: missing" in capsys.readouterr().out
    assert main(["serve-log", str(tmp_path / "none")]) == 1


def test_several_processes_need_a_server(tmp_path, capsys) -> None:
    path = tmp_path / "g.db"
    assert main(["serve", "--gallery", str(path), "--port", "0", "--workers", "2"]) == 1
    assert "a gallery in a file is served by one process" in capsys.readouterr().err
    assert not path.exists()
    with pytest.raises(ConfigError, match="workers: expected 1 or more"):
        ServiceSettings(gallery="postgresql://door", workers=0)
    with pytest.raises(StoreError, match=r"access log .* cannot be written"):
        AccessLog(tmp_path)
