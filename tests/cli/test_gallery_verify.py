"""`probefusion verify` with real arguments; and names that try to be more than names."""

from __future__ import annotations

import argparse
import json

import numpy as np
import pytest

from probefusion.cli.gallery.options import gallery_command, shown_address
from probefusion.gallery import Gallery
from probefusion.types import EmbeddingSet

NASTY = "Robert'); DROP TABLE persons;--"


def embeddings(person, count=4):
    """Embeddings of somebody, alike within a person."""
    rng = np.random.default_rng(person)
    rows = 20 * rng.standard_normal((1, 16)) + rng.standard_normal((count, 16))
    return EmbeddingSet(embeddings=rows, embedder="net@1")


@pytest.fixture
def library(tmp_path):
    with Gallery(tmp_path / "library.db", fuser="mean") as gallery:
        gallery.enroll("Ann", embeddings(0))
        gallery.enroll(NASTY, embeddings(1))
    embeddings(0, 7)[4:].save(tmp_path / "ann.npz")
    embeddings(1, 7)[4:].save(tmp_path / "other.npz")
    return tmp_path / "library.db"


def test_the_same_person_and_another(command, library, tmp_path) -> None:
    code, out, err = command("verify", library, "Ann", tmp_path / "ann.npz", "--threshold", ".9")
    assert code == 0, err
    assert out.splitlines()[0].endswith(", threshold 0.900: match")
    code, out, _ = command("verify", library, "Ann", tmp_path / "other.npz", "--threshold", ".9")
    assert code == 0
    assert out.splitlines()[0].endswith(", threshold 0.900: no match")


def test_facts_of_a_verification(command, library, tmp_path) -> None:
    arguments = ("verify", library, "Ann", tmp_path / "ann.npz", "--json")
    code, out, _ = command(*arguments)
    facts = json.loads(out)
    assert code == 0
    assert (facts["name"], facts["collection"], facts["num_images"]) == ("Ann", "people", [3, 4])
    assert facts["similarity"] > 0.9
    assert facts["threshold"] is facts["is_match"] is None
    assert facts["why_none"]
    assert facts["skipped"] == facts["warnings"] == []
    facts = json.loads(command(*arguments, "--threshold", ".9")[1])
    assert (facts["is_match"], facts["threshold"], facts["false_match_rate"]) == (True, 0.9, None)


def test_a_search_and_a_verification_agree(command, library, tmp_path) -> None:
    query = tmp_path / "ann.npz"
    found = json.loads(command("search", library, query, "--json")[1])["candidates"]
    for candidate in found:
        facts = json.loads(command("verify", library, candidate["name"], query, "--json")[1])
        assert facts["similarity"] == pytest.approx(candidate["similarity"], abs=1e-6)


def test_names_are_names(command, library, tmp_path) -> None:
    """SQL in a name finds the person of that name, and nothing happens to the others."""
    code, out, _ = command("verify", library, NASTY, tmp_path / "other.npz", "--threshold", ".9")
    assert code == 0
    assert out.startswith(NASTY)
    assert command("verify", library, "' OR 1=1 --", tmp_path / "other.npz")[0] == 1
    with Gallery(library, create=False) as gallery:
        assert gallery.list() == ("Ann", NASTY)


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("", "expected 1 to 1024 bytes"),
        ("  ", "expected 1 to 1024 bytes"),
        ("x" * 10_000_000, "got 10,000,000 characters"),
        ("a\x1b[31mb", "U+001B"),
        ("ann\u202etxt", "'ann\\u202etxt'"),
        ("An", "did you mean 'Ann'"),
    ],
    ids=["empty", "blank", "10 MB", "escape", "turned", "misspelt"],
)
def test_names_that_are_none(command, library, tmp_path, name, expected) -> None:
    """Each command says so in one short line."""
    query = tmp_path / "ann.npz"
    for command_name in ("verify", "update"):
        code, out, err = command(command_name, library, name, query)
        assert (code, out) == (1, "")
        assert expected in err
        assert len(err.splitlines()[-1]) < 300
    if name != "An":
        code, out, err = command("enroll", library, query, "--name", name)
        assert (code, out) == (1, "")
        assert expected in err
    with Gallery(library, create=False) as gallery:
        assert gallery.revision == 2


def test_twins_in_unicode_are_one_name(command, library, tmp_path) -> None:
    composed, apart = "Zo\u00eb", "Zoe\u0308"
    query = tmp_path / "ann.npz"
    assert command("enroll", library, query, "--name", apart)[0] == 0
    code, _, err = command("enroll", library, query, "--name", composed)
    assert code == 1
    assert "already" in err
    assert command("verify", library, composed, query)[0] == 0


def test_wrong_usage(command, library, tmp_path) -> None:
    query = tmp_path / "ann.npz"
    assert command("verify", library, "Ann")[0] == 2
    assert command("verify", library, "Ann", query, "--fpir", ".1")[0] == 2
    assert command("verify", library, "Ann", query, "--actor", "me")[0] == 2


def test_what_is_missing(command, library, tmp_path) -> None:
    query = tmp_path / "ann.npz"
    code, _, err = command("verify", tmp_path / "missing.db", "Ann", query)
    assert code == 1
    assert "no such file" in err
    code, _, err = command("verify", library, "Ann", tmp_path / "missing.npz")
    assert code == 1
    assert "missing.npz" in err


def options(gallery, **changes):
    settings = {"collection": "people", "keys": None, "key_file": None, **changes}
    return argparse.Namespace(gallery=gallery, **settings)


def test_a_command_that_is_told_runs_as_it_stands() -> None:
    line = gallery_command(
        options("my people.db", collection="it's", keys="k", key_file="f"), "undo", "4"
    )
    assert line == (
        "probefusion undo 'my people.db' 4 --collection 'it'\"'\"'s' --keys k --key-file f"
    )
    assert gallery_command(options("a.db"), "undo", "4") == "probefusion undo a.db 4"


@pytest.mark.parametrize(
    ("address", "shown"),
    [
        ("postgresql://me:p@ss@host/db", "postgresql://me@host/db"),
        ("postgresql://me@host/db", "postgresql://me@host/db"),
        ("postgresql://host/db", "postgresql://host/db"),
        ("postgresql://host/db?user=me&password=p%40s", "postgresql://host/db?user=me"),
        ("postgresql://host/db?password=p&user=me", "postgresql://host/db?user=me"),
        ("postgresql://host/db?PASSWORD=p", "postgresql://host/db"),
        ("a@b:c.db", "a@b:c.db"),
    ],
)
def test_passwords_are_not_shown(address, shown) -> None:
    assert shown_address(options(address)) == shown
