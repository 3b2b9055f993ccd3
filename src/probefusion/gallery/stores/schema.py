"""Tables of a gallery's database: one list of steps, from nothing to the newest version, for every store.

Each row of a collection bears a checksum of its values (`crc`), so that a flipped bit is found when the row is
read. Ids are compared and ordered code point by code point.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MIGRATIONS", "POSTGRES", "SQLITE", "TABLES", "Dialect", "steps_from"]


@dataclass(frozen=True, kw_only=True)
class Dialect:
    """How a kind of database calls the types of the columns.

    Args:
        text: Text that is compared code point by code point.
        blob: Bytes.
        integer: Whole numbers of 64 bits.
        serial: A primary key that counts upwards and gives no number twice.
    """

    text: str
    blob: str
    integer: str
    serial: str


SQLITE = Dialect(
    text="TEXT", blob="BLOB", integer="INTEGER", serial="INTEGER PRIMARY KEY AUTOINCREMENT"
)

POSTGRES = Dialect(
    text='TEXT COLLATE "C"',
    blob="BYTEA",
    integer="BIGINT",
    serial="BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY",
)

TABLES = (
    "reasons",
    "chips",
    "payloads",
    "images",
    "contributions",
    "links",
    "vectors",
    "models",
    "people",
    "changes",
    "audit",
    "receipts",
)
"""Tables with rows of collections; those that name others come first."""

_COLLECTION = "collection {integer} NOT NULL REFERENCES collections (number)"

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE collections (
            number {serial},
            name {text} NOT NULL UNIQUE,
            revision {integer} NOT NULL)""",
        "CREATE TABLE facts (name {text} PRIMARY KEY, value {text} NOT NULL)",
        f"""CREATE TABLE people (
            {_COLLECTION},
            id {{text}} NOT NULL,
            name {{text}} NOT NULL,
            name_hash {{blob}} NOT NULL,
            shown {{integer}} NOT NULL,
            ignored {{integer}} NOT NULL,
            key_id {{text}},
            created {{text}} NOT NULL,
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, id))""",
        "CREATE UNIQUE INDEX people_shown ON people (collection, name_hash) WHERE shown = 1",
        f"""CREATE TABLE contributions (
            {_COLLECTION},
            id {{text}} NOT NULL,
            person_id {{text}},
            last_person {{text}} NOT NULL,
            kind {{text}} NOT NULL,
            keep {{text}} NOT NULL,
            num_images {{integer}} NOT NULL,
            time {{text}} NOT NULL,
            source {{text}} NOT NULL,
            key_id {{text}},
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, id),
            FOREIGN KEY (collection, person_id) REFERENCES people (collection, id)
                DEFERRABLE INITIALLY DEFERRED)""",
        "CREATE INDEX contributions_of ON contributions (collection, person_id)",
        "CREATE INDEX contributions_last_of ON contributions (collection, last_person)",
        f"""CREATE TABLE images (
            {_COLLECTION},
            id {{text}} NOT NULL,
            contribution_id {{text}} NOT NULL,
            place {{integer}} NOT NULL,
            source {{text}} NOT NULL,
            media_id {{text}} NOT NULL,
            left_out {{integer}} NOT NULL,
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, id),
            FOREIGN KEY (collection, contribution_id) REFERENCES contributions (collection, id)
                DEFERRABLE INITIALLY DEFERRED)""",
        "CREATE UNIQUE INDEX images_of ON images (collection, contribution_id, place)",
        f"""CREATE TABLE payloads (
            {_COLLECTION},
            contribution_id {{text}} NOT NULL,
            embedder {{text}} NOT NULL,
            payload {{blob}} NOT NULL,
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, contribution_id, embedder),
            FOREIGN KEY (collection, contribution_id) REFERENCES contributions (collection, id)
                DEFERRABLE INITIALLY DEFERRED)""",
        f"""CREATE TABLE chips (
            {_COLLECTION},
            image_id {{text}} NOT NULL,
            chip {{blob}} NOT NULL,
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, image_id),
            FOREIGN KEY (collection, image_id) REFERENCES images (collection, id)
                DEFERRABLE INITIALLY DEFERRED)""",
        f"""CREATE TABLE models (
            {_COLLECTION},
            id {{text}} NOT NULL,
            embedder {{text}},
            fuser {{text}} NOT NULL,
            fuser_source {{text}} NOT NULL,
            dim {{integer}} NOT NULL,
            status {{text}} NOT NULL,
            created {{text}} NOT NULL,
            number {{integer}} NOT NULL,
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, id))""",
        f"""CREATE TABLE vectors (
            {_COLLECTION},
            person_id {{text}} NOT NULL,
            model_id {{text}} NOT NULL,
            vector {{blob}},
            num_images {{integer}} NOT NULL,
            revision {{integer}} NOT NULL,
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, person_id, model_id),
            FOREIGN KEY (collection, model_id) REFERENCES models (collection, id)
                DEFERRABLE INITIALLY DEFERRED)""",
        "CREATE INDEX vectors_after ON vectors (collection, model_id, revision, person_id)",
        f"""CREATE TABLE links (
            {_COLLECTION},
            first {{text}} NOT NULL,
            second {{text}} NOT NULL,
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, first, second),
            FOREIGN KEY (collection, first) REFERENCES people (collection, id)
                DEFERRABLE INITIALLY DEFERRED,
            FOREIGN KEY (collection, second) REFERENCES people (collection, id)
                DEFERRABLE INITIALLY DEFERRED)""",
        "CREATE INDEX links_second ON links (collection, second)",
        f"""CREATE TABLE changes (
            {_COLLECTION},
            revision {{integer}} NOT NULL,
            time {{text}} NOT NULL,
            actor {{text}} NOT NULL,
            action {{text}} NOT NULL,
            subjects {{text}} NOT NULL,
            edits {{text}} NOT NULL,
            undoes {{integer}},
            undone_by {{integer}},
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, revision))""",
        f"""CREATE TABLE audit (
            {_COLLECTION},
            sequence {{integer}} NOT NULL,
            entry {{blob}} NOT NULL,
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, sequence))""",
        f"""CREATE TABLE receipts (
            {_COLLECTION},
            id {{text}} NOT NULL,
            time {{text}} NOT NULL,
            subject {{text}} NOT NULL,
            status {{text}} NOT NULL,
            finished {{text}} NOT NULL,
            remaining {{text}} NOT NULL,
            key_ids {{text}} NOT NULL,
            number {{integer}} NOT NULL,
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, id))""",
    ),
    (
        f"""CREATE TABLE reasons (
            {_COLLECTION},
            contribution_id {{text}} NOT NULL,
            reasons {{text}} NOT NULL,
            crc {{integer}} NOT NULL,
            PRIMARY KEY (collection, contribution_id),
            FOREIGN KEY (collection, contribution_id) REFERENCES contributions (collection, id)
                DEFERRABLE INITIALLY DEFERRED)""",
        "CREATE INDEX people_named ON people (collection, name_hash)",
        "CREATE INDEX changes_by_action ON changes (collection, action, revision)",
    ),
)
"""The statements that lead from each version of the tables to the next; version 0 has none."""


def steps_from(version: int, dialect: Dialect) -> tuple[str, ...]:
    """The statements that lead from a version to the newest.

    Args:
        version: Version that the tables have; 0 where there are none.
        dialect: Of the database.
    """
    types = {
        "text": dialect.text,
        "blob": dialect.blob,
        "integer": dialect.integer,
        "serial": dialect.serial,
    }
    return tuple(step.format(**types) for steps in MIGRATIONS[version:] for step in steps)
