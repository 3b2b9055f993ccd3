"""A gallery on a server: passwords stay hidden, tables have versions, connections break, templates in SQL."""

from __future__ import annotations

import sys
import traceback
from collections.abc import Iterator
from contextlib import closing

import numpy as np
import psycopg
import pytest
from gallery_rows import change, enroll, person

from probefusion.errors import (
    ConfigError,
    FileFormatError,
    IntegrityError,
    MissingExtraError,
    StoreError,
    UnknownNameError,
    UnsupportedOperationError,
)
from probefusion.gallery import Gallery
from probefusion.gallery.exchange.postgres_plain import PlainTemplates
from probefusion.gallery.keys.master_key import MasterKey
from probefusion.gallery.stores import postgres_tables, schema
from probefusion.gallery.stores.opening import open_store
from probefusion.gallery.stores.postgres_connection import Server
from probefusion.gallery.stores.postgres_store import PostgresStore

SECRET = "s3cret/word@x"  # noqa: S105 - of nobody


@pytest.fixture
def address(postgres_server) -> str:
    return postgres_server.new_database()


@pytest.fixture
def store(address) -> Iterator[PostgresStore]:
    store = PostgresStore(address)
    store.create("people")
    yield store
    store.close()


@pytest.fixture
def sql(address) -> Iterator[psycopg.Connection]:
    """Somebody else's connection to the same database."""
    with psycopg.connect(address, autocommit=True) as connection:
        yield connection


@pytest.mark.parametrize(
    ("url", "shown"),
    {
        "postgresql://ann:s3cret@db.example:5433/faces": "postgresql://ann@db.example:5433/faces",
        "postgres://ann@db.example/faces?password=s3cret": "postgresql://ann@db.example/faces",
        "postgresql://ann:s3cret%40@/faces?host=/run/pg&sslpassword=s3cret": (
            "postgresql://ann@/faces?host=/run/pg"
        ),
    }.items(),
)
def test_addresses_show_no_password(url, shown) -> None:
    server = Server.parse(url, timeout=1)
    assert server.address == shown
    assert server.settings["connect_timeout"] == "10"


@pytest.mark.parametrize(
    "url",
    [
        f"postgresql://ann:{SECRET}@127.0.0.1:1/faces",
        f"postgresql://ann@127.0.0.1:1/faces?password={SECRET.replace('@', '%40')}&connect_timeout=2",
        f"postgresql://ann:{SECRET}@[::1/faces",
        f"postgresql://ann:{SECRET}@127.0.0.1:port/faces",
        f"postgresql://ann@127.0.0.1/faces?pasword={SECRET}",
    ],
)
def test_errors_show_no_password(url) -> None:
    with pytest.raises((ConfigError, StoreError)) as caught:
        open_store(url)
    whole = "".join(traceback.format_exception(caught.value))
    shown = "\n".join(line for line in whole.splitlines() if not line.startswith("    "))
    assert "s3cret" not in shown
    assert "word" not in str(caught.value).replace("password", "")
    assert "\n" not in str(caught.value)


def test_absent_driver_names_the_pip_command(monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "psycopg", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'probefusion\[postgres\]'"):
        open_store("postgresql://ann@db.example/faces")


def test_unknown_database(address) -> None:
    with pytest.raises(StoreError, match=r"nowhere.*does not exist.*nothing was changed"):
        open_store(address.replace("/t", "/nowhere", 1))


def test_databases_of_another_encoding_are_refused(postgres_server, sql) -> None:
    sql.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0")
    try:
        with pytest.raises(
            ConfigError, match="expected a database in UTF8, got SQL_ASCII; make one"
        ):
            open_store(postgres_server.url.replace("/postgres?", "/ascii?"))
    finally:
        sql.execute("DROP DATABASE ascii")


def test_schemas_of_other_programs_are_refused(address, sql) -> None:
    sql.execute("CREATE SCHEMA probefusion CREATE TABLE people (id INT)")
    with pytest.raises(
        FileFormatError, match="holds tables of another program; nothing was changed"
    ):
        open_store(address)
    assert sql.execute("SELECT * FROM probefusion.people").fetchall() == []


def test_newer_versions_are_refused_with_the_way_out(address, store, sql) -> None:
    sql.execute("UPDATE probefusion.tables_version SET version = version + 1")
    with pytest.raises(FileFormatError, match=r"newer probefusion made.*pip install -U"):
        open_store(address)
    with pytest.raises(FileFormatError, match="newer probefusion made"):
        store.writing("people").__enter__()


def test_older_versions_are_migrated_after_a_copy(address, store, sql, monkeypatch) -> None:
    enroll(store, 1, b"x" * 100)
    newer = (*schema.MIGRATIONS, ("CREATE TABLE more (id {text})",))
    for module in (schema, postgres_tables):
        monkeypatch.setattr(module, "MIGRATIONS", newer)
    with closing(open_store(address)) as migrated:
        with migrated.reading("people") as reader:
            assert reader.payload("c0001", "net@1") == b"x" * 100
        (said,) = migrated.overwrite()
    assert "DROP SCHEMA probefusion_before_v3_of_v2 CASCADE" in said
    copy = sql.execute("SELECT payload FROM probefusion_before_v3_of_v2.payloads").fetchone()
    assert copy == (b"x" * 100,)
    assert sql.execute("SELECT to_regclass('probefusion.more')").fetchone() != (None,)


def test_a_migration_that_fails_changes_nothing(address, store, sql, monkeypatch) -> None:
    newer = (*schema.MIGRATIONS, ("CREATE TABLE more (id {text})", "DROP TABLE nobody"))
    for module in (schema, postgres_tables):
        monkeypatch.setattr(module, "MIGRATIONS", newer)
    with pytest.raises(StoreError, match=r"\"nobody\" does not exist.*nothing was changed"):
        open_store(address)
    monkeypatch.undo()
    assert sql.execute("SELECT to_regclass('probefusion.more')").fetchone() == (None,)
    assert sql.execute("SELECT nspname FROM pg_namespace WHERE nspname ~ 'before'").fetchall() == []
    assert store.collections() == ("people",)


def test_commits_reach_the_disk_though_the_server_is_set_otherwise(address, sql) -> None:
    name = sql.info.dbname
    for setting, expected in (("off", "on"), ("local", "on"), ("remote_apply", "remote_apply")):
        sql.execute(f"ALTER DATABASE {name} SET synchronous_commit = '{setting}'")
        with Server.parse(address, timeout=7).connect() as connection:
            assert connection.execute("SHOW synchronous_commit").fetchone() == (expected,)
            assert connection.execute("SHOW lock_timeout").fetchone() == ("7s",)


def test_server_keeps_no_samples_of_what_people_are(store, sql) -> None:
    for number in range(30):
        enroll(store, number, b"%04d" % number * 20)
    sql.execute("ANALYZE")
    sampled = sql.execute(
        "SELECT tablename, attname FROM pg_stats WHERE schemaname = 'probefusion' AND attname IN "
        "('name', 'name_hash', 'payload', 'chip', 'vector', 'edits', 'entry', 'source', 'media_id') "
        "AND tablename NOT IN ('collections', 'facts')"
    ).fetchall()
    assert sampled == []


def test_connections_that_broke_while_idle_are_replaced(store, sql) -> None:
    enroll(store, 1, b"x" * 100)
    end_all_others(sql)
    assert store.revision("people") == 1
    end_all_others(sql)
    enroll(store, 2, b"x" * 100)
    assert store.revision("people") == 2


def test_a_connection_that_breaks_in_a_block_changes_nothing(store, sql) -> None:
    def write() -> None:
        with store.writing("people") as writer:
            writer.put_person(person(1))
            writer.put_change(change(1))
            end_all_others(sql)

    with pytest.raises(StoreError, match="nothing was changed"):
        read_after_the_end(store, sql)
    with pytest.raises(StoreError, match="the server"):
        write()
    assert store.revision("people") == 0
    enroll(store, 1, b"x" * 100)


def read_after_the_end(store, sql) -> None:
    with store.reading("people") as reader:
        end_all_others(sql)
        reader.person("p0001")


def end_all_others(sql) -> None:
    sql.execute(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )


def test_statements_that_fail_keep_nothing_of_their_block(store, sql) -> None:
    sql.execute("ALTER TABLE probefusion.people ADD CHECK (name <> 'refused')")

    def write() -> None:
        with store.writing("people") as writer:
            writer.put_person(person(1))
            writer.put_change(change(1))
            with pytest.raises(StoreError, match="nothing was changed"):
                writer.put_person(person(2, name="refused"))
            with pytest.raises(StoreError, match="an earlier statement of this block failed"):
                writer.put_person(person(3))

    with pytest.raises(StoreError):
        write()
    with store.reading("people") as reader:
        assert (reader.revision, list(reader.people())) == (0, [])


def test_rows_that_were_changed_behind_our_back_are_found(store, sql) -> None:
    enroll(store, 1, b"x" * 100)
    sql.execute("UPDATE probefusion.payloads SET payload = '\\x00'")
    with store.reading("people") as reader, pytest.raises(IntegrityError, match="'c0001'"):
        reader.payload("c0001", "net@1")
    with pytest.raises(IntegrityError, match="checksum does not fit"):
        store.check()


NEAREST = (
    "SELECT person_id FROM probefusion.templates WHERE collection = 'people' AND model_id = %s "
    "ORDER BY template::halfvec(16) <=> %s::text::halfvec(16) LIMIT 1"
)


@pytest.mark.parametrize("encrypted", [False, True])
def test_plain_templates_follow_the_gallery(address, sql, tmp_path, encrypted) -> None:
    rng = np.random.default_rng(4)
    people = {f"person {number}": rng.standard_normal((3, 16)) for number in range(1, 5)}
    keys = MasterKey.generate() if encrypted else None
    settings = {"collection": "people", "fuser": "mean", "keys": keys, "embedder": "net@1"}
    with Gallery(address, key_file=tmp_path / "keys" if encrypted else None, **settings) as gallery:
        plain = PlainTemplates(gallery)
        assert not plain.enabled
        with pytest.raises(ConfigError, match=r"call enable\(\) first"):
            plain.refresh()
        plain.enable()
        plain.enable()
        assert plain.enabled
        for name, embeddings in people.items():
            gallery.enroll(name, embeddings.astype(np.float32))
        assert plain.refresh() == 4
        assert plain.refresh() == 0
        with gallery.store.reading("people") as reader:
            (model,) = reader.models()
        sql.execute(
            "CREATE INDEX ON probefusion.plain_templates "
            "USING ivfflat ((template::halfvec(16)) halfvec_cosine_ops) "
            f"WITH (lists = 1) WHERE model_id = '{model.id}'"
        )
        probe = (model.id, str(people["person 3"].mean(axis=0).tolist()))
        third = (gallery.person("person 3").id,)
        assert sql.execute(NEAREST, probe).fetchone() == third
        names = "SELECT name FROM probefusion.templates WHERE person_id = %s"
        (written,) = sql.execute(names, third).fetchone()
        assert written.startswith("sealed1:") if encrypted else written == "person 3"
        gallery.remove("person 3")
        assert sql.execute(NEAREST, probe).fetchone() != third
        gallery.undo()
        gallery.update("person 1", people["person 1"][:2].astype(np.float32))
        assert plain.refresh() >= 1
        assert sql.execute(NEAREST, probe).fetchone() == third
        copies = "SELECT count(*) FROM probefusion.plain_templates"
        assert sql.execute(copies).fetchone() == (4,)
        gallery.forget("person 3")
        assert sql.execute(copies).fetchone() == (3,)
        assert plain.refresh() == 0
        gallery.store.drop("people")
        assert sql.execute(copies).fetchone() == (0,)
        plain.disable()
        assert not plain.enabled
        with pytest.raises(UnknownNameError, match="unknown collection"):
            gallery.list()


def test_plain_templates_are_for_servers(tmp_path) -> None:
    with (
        Gallery(tmp_path / "g.db", fuser="mean") as gallery,
        pytest.raises(UnsupportedOperationError, match="are for galleries in PostgreSQL"),
    ):
        PlainTemplates(gallery)
