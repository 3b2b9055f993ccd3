"""What goes wrong with a store: no rights, no bucket, no server, connections that break."""

from __future__ import annotations

import gc
import json
import warnings
from collections.abc import Iterator

import pytest
from s3_server import KEY, SECRET, BrokenWay, S3Server, forget_clients, s3_server

from probefusion.archives.files import storage
from probefusion.errors import MissingFileError, StorageError

LARGE = 101 << 20
"""Bytes of a file that s3fs uploads in parts."""
NOBODY = ("AKIANOBODYKNOWSTHISONE", "a-secret-that-opens-nothing")


@pytest.fixture
def s3() -> Iterator[S3Server]:
    pytest.importorskip("s3fs")
    pytest.importorskip("moto.server", exc_type=ImportError)
    with s3_server() as server:
        yield server


@pytest.fixture
def way(s3, monkeypatch) -> Iterator[BrokenWay]:
    """A way to the server that breaks where it is told to."""
    server = BrokenWay(s3.port)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server.url)
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    forget_clients()
    yield server
    server.shutdown()
    server.server_close()


def test_clients_are_closed_however_busy_the_machine_is(s3, monkeypatch):
    """Of a client that it collects s3fs waits a tenth of a second that it is closed; here, that is always too short."""
    import s3fs.core
    from fsspec.exceptions import FSTimeoutError

    def too_late(*_, **__):
        raise FSTimeoutError

    storage.write_bytes(f"{s3.make_bucket('faces')}/a.bin", b"content")
    monkeypatch.setattr(s3fs.core, "sync", too_late)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        forget_clients()
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


def test_a_bucket_that_is_not_there_is_missing(s3):
    url = "s3://nowhere/faces"
    for use in (storage.list_files, storage.read_bytes, storage.stored_file):
        with pytest.raises(MissingFileError, match=r"s3://nowhere/faces.*does not exist"):
            use(url)
    with pytest.raises(MissingFileError, match="bucket does not exist"):
        storage.write_bytes(url, b"1")
    assert not storage.exists(url)


def test_what_is_not_allowed_says_so_in_one_line_without_credentials(s3):
    url = s3.make_bucket("faces")
    storage.write_bytes(f"{url}/a.bin", b"content")
    people = s3.client("iam")
    people.create_user(UserName="anna")
    rights = [{"Effect": "Allow", "Action": ["s3:GetObject", "s3:ListBucket"], "Resource": "*"}]
    people.put_user_policy(
        UserName="anna",
        PolicyName="reads",
        PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": rights}),
    )
    people.create_user(UserName="bert")
    keys = {}
    for name in ("anna", "bert"):
        key = people.create_access_key(UserName=name)["AccessKey"]
        keys[name] = (key["AccessKeyId"], key["SecretAccessKey"])
    s3.ask_for_rights()

    s3.log_in(*keys["anna"])
    assert storage.read_bytes(f"{url}/a.bin") == b"content"
    refused = [lambda place: storage.write_bytes(place, b"new")]
    _check_refused(refused, f"{url}/b.bin", *keys["anna"])

    s3.log_in(*keys["bert"])
    refused += [storage.read_bytes, storage.stored_file, storage.exists, storage.list_files]
    _check_refused(refused, f"{url}/a.bin", *keys["bert"])

    s3.log_in(*NOBODY)
    _check_refused(refused[:1], f"{url}/a.bin", *NOBODY)
    s3.log_in(KEY, SECRET)


def _check_refused(uses, place, *secrets):
    for use in uses:
        with pytest.raises(StorageError, match=r"may not be .*Ask for the right") as caught:
            use(place)
        message = str(caught.value)
        assert place in message
        assert "\n" not in message
        assert not any(secret in message for secret in secrets)


def test_no_credentials_are_told(s3, monkeypatch):
    url = s3.make_bucket("faces")
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    forget_clients()
    with pytest.raises(StorageError, match=r"no credentials .*in the environment"):
        storage.write_bytes(f"{url}/a.bin", b"1")


def test_a_server_that_is_not_there_is_no_missing_file(s3, monkeypatch):
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("s3fs.S3FileSystem.retries", 1)
    forget_clients()
    for use in (storage.exists, storage.list_files, storage.read_bytes):
        with pytest.raises(StorageError, match=r"could not be .*Look at the network"):
            use("s3://faces/a")


def test_a_download_that_breaks_off_is_an_error_where_it_is_read(s3, way):
    url = s3.make_bucket("faces")
    storage.write_bytes(f"{url}/a.bin", b"content" * 1000)
    way.breaks = lambda method, path: method == "GET" and "a.bin" in path
    broken = pytest.raises(StorageError, match=r"s3://faces/a\.bin.*could not be read")
    with storage.open_file(f"{url}/a.bin") as stream, broken:
        stream.read()
    way.breaks = lambda method, path: False
    assert storage.read_bytes(f"{url}/a.bin") == b"content" * 1000


def test_an_upload_that_breaks_off_leaves_what_was_there(s3, way):
    url = s3.make_bucket("faces")
    storage.write_bytes(f"{url}/a.bin", b"old")
    way.breaks = lambda method, path: method == "PUT"
    for name in ("a.bin", "b.bin"):
        with pytest.raises(StorageError, match="could not be written"):
            storage.write_bytes(f"{url}/{name}", b"new")
    assert s3.names("faces") == ["a.bin"]
    assert storage.read_bytes(f"{url}/a.bin") == b"old"


def test_an_upload_in_parts_appears_at_once_or_not_at_all(s3, way):
    url = s3.make_bucket("faces")
    seen = []

    def breaks_third_part(method: str, path: str) -> bool:
        seen.append((method, path, s3.names("faces")))
        return method == "PUT" and "partNumber=3" in path

    way.breaks = breaks_third_part
    broken = pytest.raises(StorageError, match="could not be written")
    with broken, storage.writing(f"{url}/large.bin") as stream:
        stream.truncate(LARGE)
    assert any("partNumber=2" in path for _, path, _ in seen)
    assert all(names == [] for _, _, names in seen)
    assert s3.names("faces") == []
    assert not storage.exists(f"{url}/large.bin")

    way.breaks = lambda method, path: False
    with storage.writing(f"{url}/large.bin") as stream:
        stream.truncate(LARGE)
    assert storage.stored_file(f"{url}/large.bin").size == LARGE
