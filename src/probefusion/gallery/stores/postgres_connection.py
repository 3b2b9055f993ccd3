"""Connections to a gallery in PostgreSQL: the address, the settings, the errors in one clear line."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    ProbeFusionError,
    StoreBusyError,
    StoreError,
)
from probefusion.extras import import_extra

if TYPE_CHECKING:
    import psycopg

__all__ = ["SCHEMA", "Server", "as_psycopg", "psycopg_module", "translated"]

SCHEMA = "probefusion"
"""The schema that holds the tables of a database."""

_CONNECT_SECONDS = "10"

_REASONS = {
    "53100": "the disk of the server is full",
    "53": "the server lacks room or connections",
    "42501": "a right is missing",
    "25006": "the server takes no changes (a standby?)",
    "28": "the server refused the user",
    "3D": "there is no such database",
    "57P": "the server is shutting down or starting",
}
"""Words for the beginning of a code that the server gives."""


def psycopg_module() -> Any:
    """The `psycopg` module.

    Raises:
        MissingExtraError: If it is not installed.
    """
    return import_extra("psycopg", extra="postgres", purpose="a gallery in PostgreSQL")


@dataclass(frozen=True, kw_only=True)
class Server:
    """Where a database is.

    Args:
        settings: What libpq connects with, the password included; never shown.
        address: URL without a password, for messages.
        timeout: Seconds to wait for other writers.
    """

    settings: dict[str, str]
    address: str
    timeout: float

    @classmethod
    def parse(cls, url: str, *, timeout: float) -> Server:
        """Reads a URL `postgresql://user:password@host:port/database`.

        Raises:
            ConfigError: If it cannot be read. The message does not repeat it: it may hold a password.
        """
        driver = psycopg_module()
        try:
            read = driver.conninfo.conninfo_to_dict(url)
        except driver.Error:
            read = None
        # A password with a bare "/" is taken for the end of the host, and the rest of it for a database.
        path = url.split("://", 1)[-1].partition("?")[0].partition("/")[2]
        if read is None or "@" in path or not _is_port(str(read.get("port", ""))):
            raise ConfigError(
                "address: expected postgresql://user:password@host:port/database, got something that cannot be "
                "read (it is not shown here, as it may hold a password); write signs as @ or / in it as %40 or %2F"
            )
        settings = {name: str(value) for name, value in read.items()}
        settings.setdefault("connect_timeout", _CONNECT_SECONDS)
        settings.setdefault("application_name", "probefusion")
        return cls(settings=settings, address=_shown(settings), timeout=timeout)

    def connect(self) -> psycopg.Connection[Any]:
        """A connection with all safety turned on, outside of any transaction.

        Raises:
            StoreError: If the server cannot be reached or refuses.
        """
        driver = psycopg_module()
        with translated(self.address):
            connection: psycopg.Connection[Any] = driver.connect(autocommit=True, **self.settings)
            try:
                connection.execute(
                    "SELECT set_config('search_path', %s, false), set_config('lock_timeout', %s, false), "
                    "set_config('client_encoding', 'UTF8', false), set_config('synchronous_commit', "
                    "CASE WHEN current_setting('synchronous_commit') IN ('off', 'local') THEN 'on' "
                    "ELSE current_setting('synchronous_commit') END, false)",
                    (f"{SCHEMA}, public", f"{max(1, int(self.timeout * 1000))}ms"),
                )
            except BaseException:
                connection.close()
                raise
        return connection


def _is_port(text: str) -> bool:
    return all(port.isdecimal() or not port for port in text.split(","))


def _shown(settings: dict[str, str]) -> str:
    user = quote(settings["user"], safe="") + "@" if settings.get("user") else ""
    host = settings.get("host", "")
    port = f":{settings['port']}" if settings.get("port") else ""
    database = quote(settings.get("dbname", ""), safe="")
    if host.startswith("/"):
        return f"postgresql://{user}{port}/{database}?host={host}"
    return f"postgresql://{user}{host}{port}/{database}"


@contextmanager
def translated(address: str, *, committing: bool = False) -> Iterator[None]:
    """Errors of psycopg inside the block become errors of one clear line.

    Args:
        address: URL without a password.
        committing: Whether a change was being kept, so that a broken connection leaves open whether it was.

    Raises:
        StoreBusyError: If others held a lock for too long.
        FileFormatError: If the server says that the database is damaged.
        ConfigError: If a row names another that is not there.
        StoreError: If the server cannot be reached, read or written.
    """
    psycopg = psycopg_module()
    try:
        yield
    except psycopg.Error as error:
        raise _clear(address, error, committing=committing) from error


def _clear(address: str, error: psycopg.Error, *, committing: bool) -> ProbeFusionError:
    code = error.sqlstate or ""
    said = " ".join((error.diag.message_primary or str(error)).split())
    if code in ("55P03", "40001", "40P01"):
        return StoreBusyError(
            f"{address}: others kept it locked for too long; nothing was changed. Try again."
        )
    if code == "23503":
        return ConfigError(
            "a row names a person, contribution, image or model that is not there; nothing was changed"
        )
    if code.startswith("XX00"):
        return FileFormatError(
            f"{address}: the server says that the database is damaged ({said}); nothing was changed. "
            "Restore it from a backup."
        )
    reason = next(
        (words for start, words in _REASONS.items() if code.startswith(start)),
        "the server cannot be reached" if not code else "the server failed",
    )
    if committing and (not code or code.startswith(("57P", "08"))):
        return StoreError(
            f"{address}: {reason} ({said}) while a change was being kept: it was kept or it was not; "
            "compare the revision before you repeat it."
        )
    return StoreError(f"{address}: {reason} ({said}); nothing was changed.")


@lru_cache(maxsize=1024)
def as_psycopg(statement: str) -> bytes:
    """A statement with `?` for values as psycopg wants it; none of ours holds `?` or `%` otherwise."""
    return statement.replace("?", "%s").encode()
