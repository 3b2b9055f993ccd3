"""Receipts of forgetting as the commands tell them: pending while somebody reads, erased once nobody does."""

from __future__ import annotations

import json
import sqlite3

import numpy as np
import pytest

from probefusion.gallery import Gallery

pytest.importorskip("cryptography")


@pytest.fixture
def library(tmp_path):
    path = tmp_path / "library.db"
    with Gallery(path, fuser="mean") as gallery:
        for row, name in enumerate(("ann", "bob", "Robert'); DROP TABLE people;--")):
            gallery.enroll(name, np.eye(3, 64)[[row, row]] * [[1.0], [2.0]])
    return path


def test_an_open_reader_makes_it_pending_and_finish_completes_it(command, library):
    reader = sqlite3.connect(library)
    reader.execute("BEGIN")
    reader.execute("SELECT count(*) FROM sqlite_master").fetchone()
    try:
        code, out, err = command("gallery", "forget", library, "ann", "--yes", "--json")
        (facts,) = json.loads(out)["receipts"]
        assert (code, facts["status"], facts["finished"]) == (3, "pending", None)
        assert facts["remaining"]
        assert f"gallery receipts {library} --finish" in err
        assert command("gallery", "receipts", library, "--pending")[0] == 3
        assert (
            command("gallery", "receipts", library, "--finish")[0] == 3
        )  # the reader is still there
    finally:
        reader.close()
    code, out, err = command("gallery", "receipts", library, "--finish", "--json")
    rows = json.loads(out)["receipts"]
    assert (code, err, [row["status"] for row in rows]) == (0, "", ["erased"])
    assert rows[0]["id"] == facts["id"]
    assert command("gallery", "receipts", library, "--pending")[:2] == (0, "no receipts\n")


def test_names_are_no_sql(command, library):
    name = "Robert'); DROP TABLE people;--"
    assert command("gallery", "forget", library, name, "--yes")[0] == 0
    assert command("gallery", "list", library)[1].split() == ["ann", "bob"]


def test_who_is_missing_or_not_named_is_refused(command, library):
    code, out, err = command("gallery", "forget", library, "nobody", "--yes")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "nobody" in err
    assert command("gallery", "forget", library, "--yes")[0] == 1
    assert command("gallery", "forget", library, "--contribution", "c_none", "--yes")[0] == 1
    assert command("gallery", "list", library)[1].count("\n") == 3


def test_what_was_forgotten_cannot_be_undone(command, library):
    command("gallery", "forget", library, "bob", "--yes")
    changes = json.loads(command("gallery", "history", library, "--json")[1])["changes"]
    revision = next(row["revision"] for row in changes if row["action"] == "forget")
    code, out, err = command("undo", library, revision)
    assert (code, out) == (1, "")
    assert "erased" in err
