"""`probefusion enroll` and `update` with real arguments: people, folders of people, what is held back."""

from __future__ import annotations

import json
import shutil
import sqlite3

import numpy as np
import pytest

from probefusion.gallery import Gallery

pytest.importorskip("cryptography")


@pytest.fixture
def people(people_folder, tmp_path):
    root = tmp_path / "people"
    for name in ("person_03", "person_07", "person_11"):  # 4 images each
        shutil.copytree(people_folder / name, root / name)
    return root


@pytest.fixture
def crops(tiny_embedder):
    return ("--aligned", "--embedder", tiny_embedder)


@pytest.fixture
def library(tmp_path):
    return tmp_path / "library.db"


def names_in(library) -> tuple[str, ...]:
    with Gallery(library, create=False) as gallery:
        return gallery.list()


def test_a_person_is_made_known_by_the_folders_name(command, people, crops, library) -> None:
    code, out, err = command("enroll", library, people / "person_03", *crops, "--fuser", "mean")
    assert code == 0, err
    assert out.splitlines()[0] == "person_03: 4 images added, 4 in all"
    assert f"probefusion undo {library} 1" in out
    with Gallery(library, create=False) as gallery:
        person = gallery.person("person_03")
        assert person.num_images == 4
        assert len(person.contributions[0].images) == 4
        assert gallery.history()[0].actor != ""


def test_facts_of_an_enrolment(command, people, crops, library) -> None:
    arguments = (*crops, "--name", "Ann", "--fuser", "mean", "--source", "album", "--actor", "me")
    code, out, _ = command("enroll", library, people / "person_03", *arguments, "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["action"], facts["name"], facts["revision"]) == ("enroll", "Ann", 1)
    assert (facts["num_images"], facts["total_images"], facts["keep"]) == (4, 4, "features")
    assert (facts["is_held"], facts["doubts"], facts["skipped"]) == (False, [], [])
    with Gallery(library, create=False) as gallery:
        assert gallery.person("Ann").contributions[0].source == "album"
        assert gallery.history()[0].actor == "me"


def test_a_name_stands_once(command, people, crops, library) -> None:
    assert command("enroll", library, people / "person_03", *crops, "--name", "Ann")[0] == 0
    code, out, err = command("enroll", library, people / "person_07", *crops, "--name", "Ann")
    assert (code, out) == (1, "")
    assert "'Ann' is in 'people' already" in err
    assert names_in(library) == ("Ann",)


def test_everybody_in_a_folder_and_again(command, people, crops, library) -> None:
    arguments = ("enroll", library, people, "--people", *crops, "--fuser", "mean")
    code, out, err = command(*arguments)
    assert code == 0, err
    assert out.splitlines()[0] == "3 people added, 12 images"
    assert names_in(library) == ("person_03", "person_07", "person_11")
    code, out, _ = command(*arguments, "--json")
    facts = json.loads(out)
    assert code == 0
    assert (facts["num_added"], facts["num_there_already"], facts["num_people"]) == (0, 3, 3)
    with Gallery(library, create=False) as gallery:
        assert gallery.revision == 3  # nothing was added twice


def test_what_stopped_goes_on(command, people, crops, library, monkeypatch) -> None:
    from probefusion.pipeline import pipeline

    whole = pipeline.Pipeline.fuse
    seen = []

    def interrupted(self, path, **settings):
        if len(seen) == 2:
            raise KeyboardInterrupt
        seen.append(path.name)
        return whole(self, path, **settings)

    arguments = ("enroll", library, people, "--people", *crops, "--fuser", "mean")
    with monkeypatch.context() as patch:
        patch.setattr(pipeline.Pipeline, "fuse", interrupted)
        code, _, err = command(*arguments)
    assert code == 130
    assert "2 people were added and are kept" in err
    assert names_in(library) == ("person_03", "person_07")
    code, out, _ = command(*arguments)
    assert code == 0
    assert (
        out.splitlines()[0]
        == "1 person added, 4 images; 2 were there already, from the same images"
    )


def test_people_without_a_usable_image_are_told(command, people, crops, library) -> None:
    (people / "empty").mkdir()
    (people / "empty" / "notes.txt").write_text("no image")
    (people / " blank ").mkdir()
    shutil.copy(people / "person_03" / "0.png", people / " blank " / "0.png")
    code, out, err = command("enroll", library, people, "--people", *crops, "--fuser", "mean")
    assert code == 3
    assert out.splitlines()[0] == "3 people added, 12 images"
    assert "left out 2 people" in err
    assert "empty: " in err
    assert " blank : name: expected" in err


def test_other_files_of_a_known_name_are_left_to_update(
    command, people, crops, library, tmp_path
) -> None:
    arguments = (*crops, "--fuser", "mean")
    command("enroll", library, people / "person_03", *arguments, "--name", "person_07")
    code, _, err = command("enroll", library, people, "--people", *arguments)
    assert code == 3
    assert "person_07: somebody of that name is there, from other files" in err


def test_visits_of_somebody_else_are_held(command, people, crops, library) -> None:
    arguments = (*crops, "--fuser", "mean")
    command("enroll", library, people, "--people", *arguments)
    code, out, err = command("update", library, "person_03", people / "person_07", *crops)
    assert code == 3
    assert out.startswith("person_03: 4 images held back as c")
    assert "closer to person_07" in err
    code, out, _ = command(
        "update", library, "person_03", people / "person_07", *crops, "--no-guard", "--json"
    )
    facts = json.loads(out)
    assert (code, facts["is_held"], facts["total_images"]) == (3, False, 8)
    assert facts["doubts"][0]["kind"] == "closer to another person"


def test_visits_of_a_folder_of_people(command, people, crops, library, tmp_path) -> None:
    visits = tmp_path / "visits"
    for name, source in (("person_03", "0.png"), ("person_07", "1.png"), ("person_11", "2.png")):
        (visits / name).mkdir(parents=True)
        shutil.copy(people / name / source, visits / name / "new.png")
    shutil.move(visits / "person_11", visits / "nobody")
    shutil.copytree(people / "person_11", visits / "person_03", dirs_exist_ok=True)
    (visits / "person_03" / "new.png").unlink()
    command("enroll", library, people, "--people", *crops, "--fuser", "mean")
    arguments = ("update", library, visits, "--people", *crops)
    code, out, err = command(*arguments, "--json")
    facts = json.loads(out)
    assert code == 3
    counts = [facts[f"num_{name}"] for name in ("added", "held", "there_already", "left_out")]
    assert counts == [2, 1, 0, 1]
    assert (
        facts["people"][0]["reason"]
        == "nobody of that name is there; make the person known with enroll"
    )
    assert facts["people"][1]["added"]["is_held"]
    with Gallery(library, create=False) as gallery:
        assert gallery.person("person_07").num_images == 5
        assert gallery.person("person_03").num_images == 4
        revision = gallery.revision
    code, out, err = command(*arguments)  # held ones are not added twice
    assert "0 people added, 0 images; 2 were there already" in out
    with Gallery(library, create=False) as gallery:
        assert gallery.revision == revision
    code, out, err = command(*arguments, "--enroll-new")
    assert code == 0, err
    assert names_in(library) == ("nobody", "person_03", "person_07", "person_11")
    code, out, err = command("gallery", "held", library)
    assert "closer to person_11" in out


def test_what_does_not_go_with_a_folder_of_people(command, people, crops, library) -> None:
    command("enroll", library, people / "person_03", *crops)
    for words, expected in (
        ((people, people, "--people"), "expected one folder, got 2"),
        ((people, "--people", "--source", "x"), "--source: is for one person"),
        (("person_03",), "INPUT: expected images of the person, got none"),
        (("person_03", people / "person_03", "--enroll-new"), "--enroll-new: goes with --people"),
        (("person_03", people / "person_03", "--keep", "state", "--keep-chips"), "--keep-chips"),
    ):
        code, out, err = command("update", library, *words, *crops)
        assert (code, out) == (1, ""), words
        assert expected in err


def test_no_gallery_is_made_for_what_cannot_be_read(
    command, people, tiny_embedder, library
) -> None:
    code, _, err = command("enroll", library, people, "--people", "--embedder", tiny_embedder)
    assert code == 1
    assert "--detector: photos need a face detector" in err
    assert not library.exists()


def test_sums_alone_can_be_kept(command, people, crops, library) -> None:
    code, out, _ = command(
        "enroll",
        library,
        people / "person_03",
        *crops,
        "--fuser",
        "mean",
        "--keep",
        "state",
        "--json",
    )
    assert (code, json.loads(out)["keep"]) == (0, "state")
    with Gallery(library, create=False) as gallery:
        assert gallery.person("person_03").contributions[0].images == ()


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("", "expected 1 to 1024 bytes"),
        ("a\nb", "characters that can be printed and seen, got U+000A"),
        ("x" * 10_000_000, "10,000,000 characters"),
    ],
)
def test_names_that_cannot_be_one(command, people, crops, library, name, words) -> None:
    code, out, err = command("enroll", library, people / "person_03", *crops, "--name", name)
    assert (code, out) == (1, "")
    assert words in err
    assert len(err) < 3000


def test_sql_in_a_name_is_a_name(command, people, crops, library) -> None:
    name = "'); DROP TABLE people; --"
    assert command("enroll", library, people / "person_03", *crops, "--name", name)[0] == 0
    assert names_in(library) == (name,)


def test_what_is_no_gallery_is_left_as_it_is(command, people, crops, tmp_path) -> None:
    text = tmp_path / "notes.db"
    text.write_text("not a database, but longer than a header of one hundred bytes " * 4)
    before = text.read_bytes()
    code, out, err = command("enroll", text, people / "person_03", *crops)
    assert (code, out) == (1, "")
    assert "expected a gallery of probefusion" in err
    assert text.read_bytes() == before
    other = tmp_path / "other.db"
    with sqlite3.connect(other) as connection:
        connection.execute("CREATE TABLE mine (x)")
    connection.close()
    code, _, err = command("enroll", other, people / "person_03", *crops)
    assert code == 1
    assert str(other) in err


def test_images_of_another_embedder_are_refused(command, people, crops, library, tmp_path) -> None:
    command("enroll", library, people / "person_03", *crops, "--fuser", "mean")
    rows = np.random.default_rng(0).standard_normal((3, 16)).astype(np.float32)
    np.save(tmp_path / "other.npy", rows)
    code, out, err = command(
        "enroll",
        library,
        tmp_path / "other.npy",
        "--embedder",
        "other@000000000000",
        "--name",
        "Bob",
    )
    assert (code, out) == (1, "")
    assert "other@000000000000" in err
    assert names_in(library) == ("person_03",)


def test_an_encrypted_gallery_needs_its_key(command, people, crops, library, tmp_path) -> None:
    from probefusion.gallery import write_master_key

    write_master_key(tmp_path / "master.key")
    keyed = ("--keys", tmp_path / "master.key")
    assert command("enroll", library, people / "person_03", *crops, *keyed)[0] == 0
    code, out, err = command("enroll", library, people / "person_07", *crops)
    assert (code, out) == (1, "")
    assert "its content is encrypted and no master key was given" in err
    assert command("enroll", library, people / "person_07", *crops, *keyed)[0] == 0
