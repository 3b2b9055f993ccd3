"""Every command on galleries prints the JSON that its page of the reference says, field by field."""

from __future__ import annotations

import argparse
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from documented_fields import documented_objects

from gallery_people import MadeUp
from probefusion.cli.main import build_parser
from probefusion.fusion import MeanFuser
from probefusion.gallery import Gallery, write_master_key
from probefusion.types import TemplateSet

pytest.importorskip("cryptography")

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "gallery-json.md"
EVERY_DAY = ("enroll", "update", "search", "verify", "merge", "split", "remove", "undo")
EMBEDDER = "some@0123456789ab"
OF_A_SERVER = "gallery plain-templates"


@pytest.fixture(scope="module")
def documented():
    return documented_objects(PAGE)


@pytest.fixture
def told(documented, command, tmp_path):
    """Runs a command with --json on `tmp_path / "library.db"` and compares what it prints with its table."""

    def run(name, *arguments, code=0, table=None, library=True):
        words = [*name.split(), *([tmp_path / "library.db"] if library else []), *arguments]
        got, out, err = command(*words, "--json")
        assert got == code, (name, out, err)
        facts = json.loads(out)
        assert list(documented.faults(table or name, facts)) == []
        return facts

    return run


def children(parser):
    (below,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return below.choices


def test_every_command_has_its_table(documented) -> None:
    commands = [f"gallery {name}" for name in children(children(build_parser())["gallery"])]
    tables = {name for name in documented.fields if name.split()[0] in (*EVERY_DAY, "gallery")}
    assert tables == {*EVERY_DAY, *commands, "enroll --people", "update --people"}


def test_images_in_and_questions(told, documented, tmp_path, command) -> None:
    crops = tmp_path / "people"
    assert command("demo", "--crops", crops)[0] == 0
    (crops / "person-4").mkdir()
    (crops / "person-4" / "broken.png").write_text("no image")
    told("enroll", crops, "--people", "--aligned", code=3, table="enroll --people")
    one = (crops / "person-1" / "1.png", crops / "person-4" / "broken.png")
    told("enroll", *one, "--aligned", "--name", "one", code=3)
    told("search", crops / "person-1", "--aligned", "--explain")
    told("search", crops / "person-1", "--aligned", "--fpir", "0.01")
    told("verify", "person-1", crops / "person-1", "--aligned", "--explain")
    held = told("update", "person-1", crops / "person-2", "--aligned", code=3)
    assert held["doubts"]
    waiting = told("gallery held")["held"]
    assert waiting[0]["doubts"]
    again = told("update", crops, "--people", "--aligned", code=3, table="update --people")
    assert [person["outcome"] for person in again["people"]] == ["there already"] * 3 + ["left out"]
    told("gallery reject", waiting[0]["id"])
    told("undo")
    assert told("gallery accept", waiting[0]["id"])["likeness"] is not None
    assert told("merge", "person-2", "one")["likeness"] is not None
    parts = told("gallery show", "person-1")["contributions"]
    told("gallery move", "person-2", "--images", parts[0]["images"][0]["id"])
    told("split", "person-1", "other", "--contributions", parts[1]["id"])
    # another embedder beside the first
    shutil.copy(tmp_path / "library.db", tmp_path / "spare.db")
    told("gallery compact", "--yes")
    shutil.copy(tmp_path / "spare.db", tmp_path / "library.db")
    model = told("gallery add-model", "--fuser", "mean")["model"]
    told("gallery drop-model", model)
    other = ["--embedder", "other@0123456789ab", "--dim", "64"]
    model = told("gallery add-model", "--fuser", "mean", *other)["model"]
    assert told("gallery missing", model, code=3)["missing"]
    told("gallery drop-model", model)


@pytest.fixture
def library(tmp_path):
    rng = np.random.default_rng(0)
    with Gallery(tmp_path / "library.db", fuser="mean", embedder=EMBEDDER) as gallery:
        for name in ("ann", "bob", "cid"):
            gallery.enroll(name, rng.standard_normal((4, 64)))
    return tmp_path / "library.db"


def test_what_there_is_and_changes(told, library, tmp_path) -> None:
    told("gallery list")
    told("gallery stats")
    told("gallery wait", "--for", "0", code=3)
    told("gallery template", "ann", "-o", tmp_path / "ann.npz")
    told("gallery rename", "ann", "eve")
    told("gallery ignore", "eve")
    told("gallery cannot-link", "eve", "bob")
    told("remove", "cid")
    told("gallery removed")
    whole = told("gallery history")["changes"]
    older = told("gallery history", "--before", whole[2]["revision"], "--limit", "2")["changes"]
    assert older == whole[3:5]
    told("gallery check")
    told("gallery audit")
    with Gallery(library, embedder=EMBEDDER) as gallery:
        gallery.enroll("dan", np.eye(2, 64), chips=[b"\xff\xd8\xff\xe0 a picture \xff\xd9", None])
        image = gallery.person("dan").contributions[0].images[0].id
    told("gallery chip", image, "-o", tmp_path / "dan.jpg")
    told("gallery export", "-o", tmp_path / "all.npz")
    told("gallery forget", "dan", "cid", "--yes")
    told("gallery receipts")
    told("gallery import", tmp_path / "all.npz", "--skip-existing", code=3)


def test_archives_in_and_out(told, library, command, tmp_path) -> None:
    told("gallery export", "--archive", "--chips", "-o", tmp_path / "archive")
    with Gallery(library) as gallery:
        before = {person.name: person.vector.tobytes() for person in gallery.plain_people()}
    library.unlink()
    assert told("gallery import", tmp_path / "archive")["num_people"] == 3
    with Gallery(library) as gallery:
        assert before == {p.name: p.vector.tobytes() for p in gallery.plain_people()}
    by = ("--by", "subject_id")
    facts = told("gallery load", tmp_path / "archive", *by, "--collection", "other")
    assert (facts["num_people"], facts["num_images"], facts["skipped"]) == (3, 12, [])
    assert told("gallery load", tmp_path / "archive", *by, "--skip-existing", code=3)["skipped"]
    code, out, err = command("gallery", "load", library, tmp_path / "archive", *by)
    assert (code, out) == (1, "")
    assert "is in 'people' already" in err
    rows = tmp_path / "archive" / "people-00000.parquet"
    templates = tmp_path / "templates.npz"
    made = ("fuse-archive", rows, "-o", templates, *by, "--fuser", "mean", "--no-screening")
    assert command(*made)[0] == 0
    code, out, err = command("gallery", "load", tmp_path / "new.db", templates)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "states" in err
    assert not (tmp_path / "new.db").exists()
    rows.write_bytes(rows.read_bytes()[:200])
    code, out, err = command("gallery", "load", tmp_path / "new.db", tmp_path / "archive", *by)
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert list(tmp_path.glob("new.db*")) == []
    fuser, images = MeanFuser(), MadeUp().images(0, 0)
    state = fuser.encode(images)
    TemplateSet.of({"ann": fuser.finish(state)}, {"ann": state}).save(tmp_path / "kept.npz")
    code, out, err = command("gallery", "load", tmp_path / "new.db", tmp_path / "kept.npz", *by)
    assert (code, out) == (1, "")
    assert "--by: has no effect on finished templates (" in err
    assert list(tmp_path.glob("new.db*")) == []
    assert command("gallery", "load", tmp_path / "new.db", tmp_path / "kept.npz")[0] == 0


def test_models(told, library) -> None:
    model = told("gallery re-fuse", "--fuser", "norm-weighted")["model"]
    told("gallery serve", model)
    told("gallery models")
    told("gallery rollback")


def test_images_are_embedded_again(
    told, documented, people_folder, tiny_embedder, tmp_path
) -> None:
    people = tmp_path / "people"
    for name in ("person_03", "person_07"):
        shutil.copytree(people_folder / name, people / name)
    tiny = ("--aligned", "--embedder", tiny_embedder)
    told("enroll", people, "--people", *tiny, "--fuser", "mean", table="enroll --people")
    with Gallery(tmp_path / "library.db") as gallery:
        old = gallery.models()[0].embedder
    # the same network under another name is another embedder
    other = tmp_path / "other.onnx"
    shutil.copy(tiny_embedder, other)
    card = json.loads(tiny_embedder.with_suffix(".json").read_text())
    other.with_suffix(".json").write_text(json.dumps({**card, "name": "other"}))
    model = told("gallery add-model", "--fuser", "mean", "--embedder", other)["model"]
    new = ("--aligned", "--embedder", other)
    shutil.move(people / "person_07", people / "gone")
    facts = told("gallery re-embed", model, people, *new, code=3)
    assert [each["name"] for each in facts["left_out"]] == ["person_07"]
    shutil.move(people / "gone", people / "person_07")
    (people / "person_07" / "more.png").write_bytes((people / "person_07" / "0.png").read_bytes())
    facts = told("gallery re-embed", model, people, *new, code=3)
    assert "not the same any more" in facts["left_out"][0]["reason"]
    (people / "person_07" / "more.png").unlink()
    assert told("gallery re-embed", model, people, *new)["num_embedded"] == 1
    assert told("gallery re-fuse", "--model", model)["missing"] == []
    told("gallery serve", model)
    facts = told("search", people / "person_07", *new, "--threshold", "0.9")
    assert (facts["match"], facts["model"]) == ("person_07", model)
    told("gallery rollback")
    told("gallery drop-model", model)
    with Gallery(tmp_path / "library.db") as gallery:
        assert [row.embedder for row in gallery.models()] == [old]


def test_keys_and_a_broken_trail(told, tmp_path, documented, library) -> None:
    last = told("gallery audit")["last"]
    number, _, digest = last.partition(":")
    facts = told("gallery audit", "--anchor", f"9{number}:{digest}", code=1)
    assert facts["faults"]
    library.unlink()
    told("gallery new-key", tmp_path / "new.key", library=False)
    write_master_key(tmp_path / "old.key")
    with Gallery(library, fuser="mean", keys=tmp_path / "old.key") as gallery:
        gallery.enroll("ann", np.eye(2, 64))
    told("gallery rotate-key", "--keys", tmp_path / "old.key", "--new-key", tmp_path / "new.key")


def test_plain_templates(documented, postgres_server, command) -> None:
    address = postgres_server.new_database()
    with Gallery(address, fuser="mean") as gallery:
        gallery.enroll("ann", np.eye(2, 64))
    for option, is_enabled in (("--enable", True), ("--refresh", True), ("--disable", False)):
        code, out, _ = command(*OF_A_SERVER.split(), address, option, "--json")
        assert code == 0
        facts = json.loads(out)
        assert list(documented.faults(OF_A_SERVER, facts)) == []
        assert facts["is_enabled"] is is_enabled


def test_every_table_was_compared(documented, request) -> None:
    """Runs last: what no test has seen might be wrong unseen."""
    others = [item for item in request.session.items if item.path == request.path]
    if len(others) < 8:
        pytest.skip("only a part of this file was run")
    parts = {"place", "change", "named change", "addition", "inputs", "people added"}
    assert set(documented.fields) - documented.seen - parts == set()
