"""Templates in a table of PostgreSQL with pgvector, and what a search there costs the server."""

from __future__ import annotations

import os
import time
from pathlib import Path
from types import TracebackType

import numpy as np
import psycopg


class PostgresTable:
    """A table of half-precision vectors in a server on this machine, gone at the end of the block.

    All runs in one backend, without parallel workers, so that its processor time is all there is.
    """

    def __init__(self, url: str, vectors: np.ndarray) -> None:
        self._url, self._vectors, self._dim = url, vectors, vectors.shape[1]
        self.table = f"searched_{os.getpid()}"

    def __enter__(self) -> PostgresTable:
        self._connection = psycopg.connect(self._url, autocommit=True)
        self.run("CREATE EXTENSION IF NOT EXISTS vector")
        self.run(f"DROP TABLE IF EXISTS {self.table}")
        self.run(f"CREATE TABLE {self.table} (id int PRIMARY KEY, vector halfvec({self._dim}))")
        self.run(f"ALTER TABLE {self.table} ALTER vector SET STORAGE PLAIN")
        start = time.perf_counter()
        self._copy()
        self.loading = time.perf_counter() - start
        self.run(f"VACUUM ANALYZE {self.table}")
        self.run("SET max_parallel_workers_per_gather = 0")
        self.run("SET max_parallel_maintenance_workers = 0")
        self.run("SET maintenance_work_mem = '1GB'")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.run(f"DROP TABLE IF EXISTS {self.table}")
        self._connection.close()

    def run(self, statement: str) -> float:
        """Runs a statement; processor seconds of the backend."""
        before = self._used()
        self._connection.execute(statement)
        return self._used() - before

    def num_bytes(self, name: str | None = None) -> int:
        """Size of the table with its indexes, or of an index."""
        found = self._connection.execute(
            "SELECT pg_total_relation_size(%s::regclass)", [name or self.table]
        )
        return int(found.fetchone()[0])

    def search(self, queries: np.ndarray, top_k: int) -> tuple[list[list[int]], float]:
        """Rows found by each query, best first, and processor seconds of the backend."""
        statement = f"SELECT id FROM {self.table} ORDER BY vector <#> %s::halfvec({self._dim}) LIMIT {top_k}"  # noqa: S608
        texts = ["[" + ",".join(map(str, query.tolist())) + "]" for query in queries]
        self._connection.execute(statement, [texts[0]]).fetchall()
        before = self._used()
        found = [
            [number for (number,) in self._connection.execute(statement, [text]).fetchall()]
            for text in texts
        ]
        return found, self._used() - before

    def _copy(self) -> None:
        with (
            self._connection.cursor() as cursor,
            cursor.copy(f"COPY {self.table} FROM STDIN (FORMAT BINARY)") as copy,
        ):
            copy.write(b"PGCOPY\n\xff\r\n\0" + bytes(8))
            start = np.array([self._dim, 0], ">u2").tobytes()
            for number, row in enumerate(self._vectors.astype(">f2")):
                vector = start + row.tobytes()
                lengths = np.array([4, number, len(vector)], ">i4").tobytes()
                copy.write(np.array([2], ">i2").tobytes() + lengths + vector)
            copy.write(b"\xff\xff")

    def _used(self) -> float:
        pid = self._connection.info.backend_pid
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
