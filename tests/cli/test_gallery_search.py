"""`probefusion search` with real arguments: candidates, decisions, explanations, and what goes wrong."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.cli import main
from probefusion.gallery import Gallery
from probefusion.gallery.keys.master_key import write_master_key
from probefusion.types import EmbeddingSet

pytest.importorskip("cryptography")


@pytest.fixture(scope="session")
def drawn(tmp_path_factory):
    """Folder of three drawn people, and a gallery of them by the embedder and the fuser of the package."""
    root = tmp_path_factory.mktemp("drawn")
    assert main(["demo", "--crops", str(root / "people")]) == 0
    library = str(root / "library.db")
    assert main(["enroll", library, str(root / "people"), "--people", "--aligned"]) == 0
    return root


def embeddings(person, *, count=4, dim=16, embedder="net@1"):
    """Embeddings of somebody, alike within a person."""
    rng = np.random.default_rng(person)
    rows = 20 * rng.standard_normal((1, dim)) + rng.standard_normal((count, dim))
    return EmbeddingSet(embeddings=rows, embedder=embedder)


@pytest.fixture
def library(tmp_path):
    """A gallery of Ann, Bob and Cy by the mean, and a file of other images of Bob."""
    with Gallery(tmp_path / "library.db", fuser="mean") as gallery:
        for number, name in enumerate(("Ann", "Bob", "Cy")):
            gallery.enroll(name, embeddings(number), source=f"album {name}")
    embeddings(1, count=7)[4:].save(tmp_path / "bob.npz")
    return tmp_path / "library.db"


@pytest.fixture
def bob(library):
    return library.parent / "bob.npz"


def test_the_table_and_the_decision(command, drawn) -> None:
    code, out, err = command("search", drawn / "library.db", drawn / "people/person-2", "--aligned")
    assert code == 0, err
    lines = out.splitlines()
    assert lines[0].startswith("6 images against 3 people, decided at a false match rate of 0.001")
    assert lines[1].split() == ["SIMILARITY", "THRESHOLD", "IMAGES", "NAME"]
    assert lines[2].split()[-1] == "person-2"
    assert lines[2].split()[2:] == ["match", "6", "person-2"]
    assert all("no match" in line for line in lines[3:5])


def test_facts_of_a_search(command, drawn) -> None:
    arguments = ("search", drawn / "library.db", drawn / "people/person-2", "--aligned", "--json")
    code, out, _ = command(*arguments, "--fmr", "0.01", "--top", "2")
    facts = json.loads(out)
    assert code == 0
    assert (facts["match"], facts["gallery_size"], facts["num_images"]) == ("person-2", 3, 6)
    assert (facts["false_match_rate"], facts["false_positive_rate"]) == (0.01, None)
    assert (facts["collection"], facts["revision"], facts["why_none"]) == ("people", 3, None)
    assert facts["skipped"] == facts["problems"] == []
    first, second = facts["candidates"]
    assert set(first) == {
        *("person_id", "name", "similarity", "num_images", "threshold", "is_match"),
        *("is_ignored", "warnings", "usability"),
    }
    assert first["similarity"] == pytest.approx(1, abs=1e-3)
    assert first["is_match"] is True
    assert second["is_match"] is False
    assert first["threshold"] < first["similarity"]
    stricter = json.loads(command(*arguments, "--fmr", "0.001")[1])
    assert stricter["candidates"][0]["threshold"] > first["threshold"]


def test_a_rate_of_searches_that_was_not_measured_is_no_decision(command, drawn) -> None:
    arguments = ("search", drawn / "library.db", drawn / "people/person-2", "--aligned")
    code, out, _ = command(*arguments, "--fpir", "0.01")
    assert code == 0
    assert "no decision: the gallery has 3 people" in out
    assert "no threshold" in out
    assert " match " not in out
    facts = json.loads(command(*arguments, "--fpir", "0.01", "--json")[1])
    assert facts["match"] is None
    assert facts["false_positive_rate"] == 0.01
    assert facts["candidates"][0]["is_match"] is None


def test_without_calibration_a_threshold_decides(command, library, bob) -> None:
    code, out, _ = command("search", library, bob)
    assert code == 0
    assert "no decision: " in out
    code, out, _ = command("search", library, bob, "--threshold", "0.9")
    assert out.splitlines()[2].split()[1:] == ["0.900", "match", "4", "Bob"]
    facts = json.loads(command("search", library, bob, "--threshold", "0.9", "--json")[1])
    assert (facts["match"], facts["false_match_rate"]) == ("Bob", None)


def test_an_explanation_names_contributions_and_images(command, drawn) -> None:
    arguments = ("search", drawn / "library.db", drawn / "people/person-2", "--aligned")
    code, out, _ = command(*arguments, "--explain")
    assert code == 0
    assert "images of person-2, the heaviest 5 of 6:" in out
    assert "images searched for, the heaviest 5 of 6:" in out
    facts = json.loads(command(*arguments, "--explain", "--json")[1])
    images = facts["explanation"]["contributions"][0]["images"]
    assert len(images) == 6
    assert sum(image["weight"] for image in images) == pytest.approx(1, abs=1e-5)
    assert all("person-2" in image["source"] for image in images)


def test_templates_and_states_are_queries(command, library, bob) -> None:
    template, state = bob.with_name("t.npz"), bob.with_name("s.safetensors")
    assert command("fuse", bob, "--fuser", "mean", "-o", template, "--state", state)[0] == 0
    expected = json.loads(command("search", library, bob, "--json")[1])["candidates"]
    for query in (template, state):
        code, out, err = command("search", library, query, "--json", "--explain")
        assert code == 0, err
        facts = json.loads(out)
        assert facts["candidates"][0]["name"] == "Bob"
        for found, wanted in zip(facts["candidates"], expected, strict=True):
            assert found["similarity"] == pytest.approx(wanted["similarity"], abs=1e-5)


def test_what_is_skipped_asks_for_a_look(command, drawn, tmp_path) -> None:
    bad = tmp_path / "bad.png"
    bad.write_bytes(b"no image")
    code, out, err = command(
        *("search", drawn / "library.db", drawn / "people/person-1", bad, "--aligned", "--json")
    )
    assert code == 3
    facts = json.loads(out)
    assert facts["match"] == "person-1"
    assert facts["skipped"][0]["source"].endswith("bad.png")
    assert "skipped 1 images" in err


def test_a_search_changes_nothing_and_makes_nothing(command, library, bob, tmp_path) -> None:
    before = library.read_bytes()
    assert command("search", library, bob)[0] == 0
    assert library.read_bytes() == before
    code, out, err = command("search", tmp_path / "missing.db", bob)
    assert (code, out) == (1, "")
    assert "missing.db" in err
    assert "no such file" in err
    assert not (tmp_path / "missing.db").exists()


def test_of_a_collection_that_is_not_there(command, library, bob) -> None:
    code, _, err = command("search", library, bob, "--collection", "guests")
    assert code == 1
    assert "unknown collection 'guests'. Known: people." in err


def test_nobody_is_enrolled(command, tmp_path, bob) -> None:
    Gallery(tmp_path / "empty.db").close()
    code, out, _ = command("search", tmp_path / "empty.db", bob, "--explain")
    assert code == 0
    assert "against 0 people" in out
    assert "nobody" in out


@pytest.mark.parametrize(
    "content", [b"", b"just a text\n" * 500, b"SQLite format 3\x00 and no more"]
)
def test_a_file_that_is_no_gallery(command, tmp_path, bob, content) -> None:
    path = tmp_path / "other.db"
    path.write_bytes(content)
    code, out, err = command("search", path, bob)
    assert (code, out) == (1, "")
    assert "other.db" in err
    assert len(err.splitlines()) == 1
    assert path.read_bytes() == content


def test_a_gallery_that_may_only_be_read(command, library, bob) -> None:
    library.chmod(0o400)
    code, out, err = command("search", library, bob, "--threshold", "0.9")
    assert code == 0, err
    assert "Bob" in out


def test_embeddings_of_another_embedder(command, library, tmp_path) -> None:
    embeddings(1, embedder="other@1").save(tmp_path / "other.npz")
    code, out, err = command("search", library, tmp_path / "other.npz")
    assert (code, out) == (1, "")
    assert "other@1" in err
    assert "net@1" in err
    np.save(tmp_path / "unsaid.npy", embeddings(1).embeddings)
    code, _, err = command("search", library, tmp_path / "unsaid.npy")
    assert code == 1
    assert "nobody said what made them" in err
    assert "--embedder" in err


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("--fmr", "2"), "fmr: expected a fraction"),
        (("--fpir", "0"), "fpir: expected a fraction"),
        (("--threshold", "nan"), "threshold: expected a cosine"),
        (("--calibration", "none.json"), "none.json"),
    ],
)
def test_wrong_values(command, library, bob, arguments, expected) -> None:
    code, out, err = command("search", library, bob, *arguments)
    assert (code, out) == (1, "")
    assert expected in err


@pytest.mark.parametrize(
    "arguments", [("--fmr", ".1", "--fpir", ".1"), ("--top", "0"), ("--top", "x")]
)
def test_wrong_usage(command, library, bob, arguments) -> None:
    assert command("search", library, bob, *arguments)[0] == 2


class TestKeys:
    @pytest.fixture
    def sealed(self, tmp_path, bob, command, monkeypatch):
        monkeypatch.delenv("PROBEFUSION_MASTER_KEY", raising=False)
        write_master_key(tmp_path / "master.key")
        path = tmp_path / "sealed.db"
        arguments = ("--keys", tmp_path / "master.key", "--fuser", "mean", "--name", "Bob")
        assert command("enroll", path, bob, *arguments)[0] == 0
        return path

    def test_with_its_key_it_opens(self, command, sealed, bob) -> None:
        code, out, _ = command(
            "search", sealed, bob, "--keys", bob.with_name("master.key"), "--json"
        )
        assert code == 0
        assert json.loads(out)["candidates"][0]["name"] == "Bob"

    def test_without_any(self, command, sealed, bob) -> None:
        code, out, err = command("search", sealed, bob)
        assert (code, out) == (1, "")
        assert "PROBEFUSION_MASTER_KEY" in err
        assert "--keys" in err

    def test_with_another(self, command, sealed, bob, tmp_path) -> None:
        write_master_key(tmp_path / "other.key")
        code, _, err = command("search", sealed, bob, "--keys", tmp_path / "other.key")
        assert code == 1
        assert "fingerprint" in err

    def test_when_the_key_file_is_lost(self, command, sealed, bob, tmp_path) -> None:
        moved = (tmp_path / "sealed.db.keys").rename(tmp_path / "elsewhere.keys")
        master = ("--keys", tmp_path / "master.key")
        code, _, err = command("search", sealed, bob, *master)
        assert code == 1
        assert "sealed.db.keys" in err
        assert "Restore it from its backup" in err
        assert command("search", sealed, bob, *master, "--key-file", moved)[0] == 0


def test_the_password_of_a_server_is_told_nowhere(command, bob) -> None:
    pytest.importorskip("psycopg")
    code, out, err = command("search", "postgresql://me:secret@127.0.0.1:1/none", bob)
    assert (code, out) == (1, "")
    assert "cannot be reached" in err
    assert "secret" not in err
