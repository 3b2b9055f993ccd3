"""A server of S3 on this machine: moto's, for all that S3 does, and a way to it that can be broken."""

from __future__ import annotations

import http.client
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

KEY = "testing-key-of-nobody"
SECRET = "testing-secret-of-nobody"  # noqa: S105 - nobody's


class S3Server:
    """Moto's server on 127.0.0.1.

    Args:
        patch: Sets the environment that clients read.
    """

    def __init__(self, patch: pytest.MonkeyPatch) -> None:
        from moto.server import ThreadedMotoServer

        self._patch = patch
        self._server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
        self._server.start()
        host, self.port = self._server.get_host_and_port()
        self.url = f"http://{host}:{self.port}"
        settings = {
            "AWS_ENDPOINT_URL": self.url,
            "AWS_DEFAULT_REGION": "us-east-1",
            "AWS_CONFIG_FILE": "/nonexistent",
            "AWS_SHARED_CREDENTIALS_FILE": "/nonexistent",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "1",
            "NO_PROXY": "127.0.0.1",
        }
        for name, value in settings.items():
            patch.setenv(name, value)
        self.log_in(KEY, SECRET)

    def log_in(self, key: str, secret: str) -> None:
        """Sets the credentials in the environment; s3fs reads them anew."""
        self._patch.setenv("AWS_ACCESS_KEY_ID", key)
        self._patch.setenv("AWS_SECRET_ACCESS_KEY", secret)
        forget_clients()

    def client(self, service: str = "s3") -> Any:
        """A plain client of Amazon's own library, to look at the server past what is tested."""
        import boto3

        return boto3.client(
            service,
            endpoint_url=self.url,
            aws_access_key_id=KEY,
            aws_secret_access_key=SECRET,
            region_name="us-east-1",
        )

    def make_bucket(self, name: str) -> str:
        """A new bucket."""
        self.client().create_bucket(Bucket=name)
        return f"s3://{name}"

    def names(self, bucket: str) -> list[str]:
        """Names of all that a bucket holds."""
        listed = self.client().list_objects_v2(Bucket=bucket)
        return [entry["Key"] for entry in listed.get("Contents", [])]

    def ask_for_rights(self, after: float = 0) -> None:
        """From now on, requests beyond the first few must be allowed."""
        self._post("reset-auth", str(after))

    def _post(self, command: str, text: str = "") -> None:
        request = urllib.request.Request(  # noqa: S310 - the server just started
            f"{self.url}/moto-api/{command}",
            data=text.encode(),
            headers={"Content-Type": "text/plain"},
        )
        urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request).close()

    def stop(self) -> None:
        """Ends the server; what it kept is forgotten, which moto does not do by itself."""
        self._post("reset-auth", "inf")
        self._post("reset")
        self._server.stop()
        forget_clients()


def forget_clients() -> None:
    """Lets s3fs make new clients, of what the environment says now, and closes those that there are.

    By itself s3fs closes a client where it is collected, and gives that a tenth of a second: on a busy machine its
    connections then stay open, and warn when they are collected in turn, in whatever test runs by then.
    """
    import s3fs
    from fsspec.asyn import sync

    for system in list(s3fs.S3FileSystem._cache.values()):
        if system._s3 is not None:
            sync(system.loop, system._s3creator.__aexit__, None, None, None)
    s3fs.S3FileSystem.clear_instance_cache()


@contextmanager
def s3_server() -> Iterator[S3Server]:
    """A server while the block runs."""
    with pytest.MonkeyPatch.context() as patch:
        server = S3Server(patch)
        try:
            yield server
        finally:
            server.stop()


class BrokenWay(ThreadingHTTPServer):
    """Hands requests on to another server, until `breaks` says of one that the connection shall break.

    Args:
        port: The other server's.

    Attributes:
        breaks: Told method and path of every request; True breaks it off: a download after half of its bytes,
            anything else before it is handed on.
    """

    daemon_threads = True

    def __init__(self, port: int) -> None:
        super().__init__(("127.0.0.1", 0), _HandsOn)
        self.port = port
        self.breaks = lambda method, path: False
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Nothing: connections that break are what this is for."""


class _HandsOn(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: BrokenWay

    def log_message(self, *arguments: Any) -> None:
        pass

    def _hand_on(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        is_broken = self.server.breaks(self.command, self.path)
        if is_broken and self.command != "GET":
            self.close_connection = True
            return
        way = http.client.HTTPConnection("127.0.0.1", self.server.port)
        with closing(way):  # also where who asked has gone away
            way.request(self.command, self.path, body, dict(self.headers))
            answer = way.getresponse()
            content = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            if name.lower() not in ("content-length", "transfer-encoding", "connection"):
                self.send_header(name, value)
        told = answer.getheader("Content-Length") if self.command == "HEAD" else str(len(content))
        self.send_header("Content-Length", told or "0")
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if is_broken else content)
        self.close_connection = is_broken

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = _hand_on
