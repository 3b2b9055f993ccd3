"""Fetching one file over HTTP: resumable, checked, from several addresses, all or nothing."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import json
import os
import shutil
import ssl
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import filelock

from probefusion.errors import ConfigError, DownloadError, IntegrityError
from probefusion.files import sha256_of

__all__ = ["Patience", "download_file"]

_BLOCK = 1 << 16
_RETRIED_STATUS = frozenset({408, 425, 429, 500, 502, 503, 504})

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class Patience:
    """How long a slow or failing server is borne.

    Args:
        timeout: Seconds without a single byte after which a connection is given up.
        window: Seconds over which the speed is looked at.
        min_rate: Bytes per second below which, over a window, a connection is given up.
        idle_attempts: Attempts in a row without new bytes before an address is given up.
        max_attempts: Attempts at one address in all.
        pause: Seconds before the second attempt; doubled for each further one without new bytes.
    """

    timeout: float = 30.0
    window: float = 60.0
    min_rate: float = 1000.0
    idle_attempts: int = 4
    max_attempts: int = 40
    pause: float = 1.0


class _TryAgain(Exception):  # noqa: N818  (never leaves this module)
    """Something that may go better at the next attempt."""


class _GiveUp(Exception):  # noqa: N818
    """Something that will not get better at this address."""


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects to HTTP addresses only, and never from an encrypted one to an open one."""

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Any,
        newurl: str,
    ) -> urllib.request.Request | None:  # fmt: skip
        target = urllib.parse.urlsplit(newurl).scheme
        if target not in ("http", "https") or (req.type == "https" and target != "https"):
            raise _GiveUp(f"redirects to {newurl!r}, which is not followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def download_file(
    urls: Sequence[str],
    path: str | Path,
    *,
    sha256: str | None = None,
    size: int | None = None,
    progress: Progress | None = None,
    patience: Patience | None = None,
) -> tuple[str, str]:
    """Fetches a file; it appears under its name only when it is complete and has its hash.

    Bytes go to `.NAME.part` beside it. A connection that breaks or stalls is taken up where it
    ended, also by a later call; where the hash is not known only if the server vouches (ETag or
    date) that the file is still the same. Proxies are taken from the environment as usual
    (HTTPS_PROXY, HTTP_PROXY, NO_PROXY).

    Args:
        urls: Addresses of the same file, tried in this order.
        path: Where it shall stand; an existing file is replaced at the end.
        sha256: The hash it must have, or None when unknown.
        size: Its size in bytes, or None when unknown.
        progress: Called with the bytes fetched and expected in all (0 when unknown).
        patience: Time limits.

    Returns:
        The address that gave it, and its SHA-256.

    Raises:
        DownloadError: If no address gave it; lists why. What was fetched is kept for a later call.
        IntegrityError: If an address gave a complete file with another hash, and none the right
            one. Nothing of it is kept.
        ConfigError: If an address is not http or https, or there is none.
    """
    path = Path(path)
    patience = patience or Patience()
    for url in urls:
        if urllib.parse.urlsplit(url).scheme not in ("http", "https"):
            raise ConfigError(f"url: expected https://..., got {url!r}.")
    if not urls:
        raise ConfigError(f"urls: expected an address of {path.name!r}, got none.")
    transfer = _Transfer(path, sha256, size, progress, patience)
    reasons = []
    with _locked(path):
        for url in urls:
            try:
                return url, transfer.run(url)
            except _GiveUp as reason:
                reasons.append(f"{_shown(url)}: {reason}")
    listed = "; ".join(reasons)
    if transfer.wrong_hash:
        raise IntegrityError(
            f"{path.name}: expected SHA-256 {sha256}, and no address gave that: {listed}. The "
            f"published file changed, or something on the way changes it. Nothing was kept."
        )
    kept = (
        f" {transfer.part.stat().st_size} bytes are kept; the same command goes on from there."
        if transfer.part.exists()
        else ""
    )
    raise DownloadError(f"{path.name} could not be fetched: {listed}.{kept}")


class _Transfer:
    """One file on its way: the part that is here and what is known of it."""

    def __init__(
        self,
        path: Path,
        sha256: str | None,
        size: int | None,
        progress: Progress | None,
        patience: Patience,
    ) -> None:
        self.path = path
        self.part = path.with_name(f".{path.name}.part")
        self.wrong_hash = False
        self._note = path.with_name(f".{path.name}.part.json")
        self._sha256 = sha256
        self._size = size
        self._progress = progress
        self._patience = patience
        self._resumed = False
        self._began_anew = False

    def run(self, url: str) -> str:
        """Fetches from one address, attempt after attempt; gives the hash."""
        idle, pause = 0, self._patience.pause
        self._began_anew = False
        for _ in range(self._patience.max_attempts):
            before = self._have()
            try:
                self._fetch(url)
                return self._finish()
            except _TryAgain as reason:
                last = reason
            if self._have() > before:
                idle, pause = 0, self._patience.pause
            idle += 1
            if idle >= self._patience.idle_attempts:
                break
            time.sleep(pause)
            pause *= 2
        raise _GiveUp(str(last))

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _fetch(self, url: str) -> None:
        """One request; appends to the part."""
        headers = {"User-Agent": "probefusion", "Accept-Encoding": "identity"}
        offset = self._have()
        if self._size is not None and offset == self._size:
            return
        validator = self._validator(url)
        if offset and (self._sha256 is not None or validator):
            headers["Range"] = f"bytes={offset}-"
            if validator:
                headers["If-Range"] = validator
        else:
            offset = 0
        request = urllib.request.Request(url, headers=headers)  # noqa: S310  (scheme checked)
        opener = urllib.request.build_opener(_Redirects())
        with self._translated(), opener.open(request, timeout=self._patience.timeout) as response:
            self._receive(url, response, offset)

    def _receive(self, url: str, response: Any, offset: int) -> None:
        if "html" in response.headers.get("Content-Type", ""):
            raise _GiveUp("gave a web page instead of the file")
        if offset and response.status != 206:
            offset = 0
        if offset:
            given = response.headers.get("Content-Range", "")
            if not given.startswith(f"bytes {offset}-"):
                self._drop()
                raise _TryAgain(f"asked for bytes from {offset} on, was given {given!r}")
        self._resumed = offset > 0
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdigit() else None
        if total is not None and self._size is not None and total != self._size:
            raise _GiveUp(f"promises {total} bytes, expected {self._size}")
        self._check_room(offset, total)
        self._write_note(url, response.headers)
        with self.part.open("ab" if offset else "wb") as stream:
            self._copy(response, stream, offset)
        have = self._have()
        if self._size is not None and have > self._size:
            self._drop()
            raise _GiveUp(f"gives more than the {self._size} bytes it should have")
        if total is not None and have < total:
            raise _TryAgain(f"ended after {have} of {total} bytes")

    def _copy(self, response: Any, stream: IO[bytes], have: int) -> None:
        """Writes what comes, up to the first block beyond the size the file should have."""
        promised = response.length  # what http.client still expects, None where nothing was said
        total = self._size or (0 if promised is None else have + promised)
        since, counted = time.monotonic(), 0
        while block := response.read1(_BLOCK):
            stream.write(block)
            have += len(block)
            counted += len(block)
            if self._progress is not None:
                self._progress(have, total)
            if self._size is not None and have > self._size:
                return
            elapsed = time.monotonic() - since
            if elapsed > self._patience.window:
                if counted < self._patience.min_rate * elapsed:
                    raise _TryAgain(f"only {counted / elapsed:.0f} bytes a second")
                since, counted = time.monotonic(), 0

    @contextlib.contextmanager
    def _translated(self) -> Iterator[None]:
        """Turns what can go wrong on the way into another attempt or the end at this address."""
        try:
            yield
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 416:  # asked for bytes beyond the end: ours are not of this file
                self._drop()
                raise _TryAgain("the part that was here does not belong to this file") from error
            kind = _TryAgain if error.code in _RETRIED_STATUS else _GiveUp
            raise kind(f"HTTP {error.code} {error.reason}") from error
        except ssl.SSLCertVerificationError as error:
            raise _GiveUp(f"its certificate is not valid ({error})") from error
        except urllib.error.URLError as error:
            if isinstance(error.reason, ssl.SSLCertVerificationError):
                raise _GiveUp(f"its certificate is not valid ({error.reason})") from error
            raise _TryAgain(f"cannot be reached ({error.reason})") from error
        except TimeoutError as error:
            raise _TryAgain(f"gave nothing for {self._patience.timeout:g} s") from error
        except (http.client.HTTPException, ConnectionError, ssl.SSLError) as error:
            raise _TryAgain(f"broke off ({error!r})") from error

    def _finish(self) -> str:
        """Checks the complete part and puts it in place."""
        have = self._have()
        if self._size is not None and have != self._size:
            self._drop()
            raise _GiveUp(f"gave {have} bytes, expected {self._size}")
        found = sha256_of(self.part)
        if self._sha256 is not None and found != self._sha256:
            self._drop()
            if self._resumed and not self._began_anew:  # the parts may be of different files
                self._began_anew = True
                raise _TryAgain(f"the parts together have SHA-256 {found}")
            self.wrong_hash = True
            raise _GiveUp(f"gave a file with SHA-256 {found}")
        with self.part.open("rb+") as stream:
            os.fsync(stream.fileno())
        self.part.replace(self.path)
        self._note.unlink(missing_ok=True)
        return found

    def _drop(self) -> None:
        self.part.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _check_room(self, offset: int, total: int | None) -> None:
        needed = (total or self._size or 0) - offset
        free = shutil.disk_usage(self.path.parent).free
        if needed > free:
            raise DownloadError(
                f"{self.path.name}: needs {needed} more bytes, only {free} are free in "
                f"{str(self.path.parent)!r}. Make room, or set PROBEFUSION_HOME to another disk."
            )

    def _validator(self, url: str) -> str | None:
        """What the server said about the version of the part, if this address gave it."""
        try:
            note = json.loads(self._note.read_text(encoding="utf-8"))
            return str(note["validator"]) if note["url"] == _digest(url) else None
        except (OSError, ValueError, LookupError, TypeError, RecursionError):
            return None  # no note, or an unreadable one: the part is then not resumed unchecked

    def _write_note(self, url: str, headers: Any) -> None:
        tag = headers.get("ETag", "")
        validator = tag if tag and not tag.startswith("W/") else headers.get("Last-Modified")
        if validator is None:
            self._note.unlink(missing_ok=True)
            return
        note = {"url": _digest(url), "validator": validator}
        self._note.write_text(json.dumps(note), encoding="utf-8")


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps a second process or thread from writing the same part."""
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"), timeout=0)
    try:
        lock.acquire()
    except filelock.Timeout as error:
        raise DownloadError(
            f"{path.name} is being fetched by another process. Wait for it, then try again."
        ) from error
    try:
        yield
    finally:
        with contextlib.suppress(OSError):  # a system that keeps open files
            Path(lock.lock_file).unlink(missing_ok=True)
        lock.release()


def _digest(url: str) -> str:
    return hashlib.sha256(url.encode()).hexdigest()  # an address may hold a key


def _shown(url: str) -> str:
    """An address without user, password and query, which may be secret."""
    parts = urllib.parse.urlsplit(url)
    host = parts.netloc.rpartition("@")[2]
    return urllib.parse.urlunsplit((parts.scheme, host, parts.path, "", ""))
