"""Commands say of saved templates, sets and archives what they say of images: the same words and exit codes."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from tests.support.judged_fusers import COMPACT, judged_fuser, some_images

from probefusion.gallery import Gallery
from probefusion.types import Template, TemplateSet

POOR = "the threshold is not verified for faces this poor"


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Embeddings of two people, templates of them by a fuser that finds all not usable, and one of before."""
    root = tmp_path_factory.mktemp("judged")
    judged_fuser(root, "not usable")
    for person, name in ((1, "ann"), (2, "bob")):
        some_images(person).save(root / f"{name}.npz")
    return root


@pytest.fixture(scope="module")
def fuser(root):
    return root / "not_usable"


@pytest.fixture(scope="module")
def templates(root, fuser, once):
    for name in ("ann", "bob"):
        path = root / f"{name}_template.npz"
        assert once("fuse", root / f"{name}.npz", "--fuser", fuser, "-o", path) == 3
    found = Template.load(root / "ann_template.npz")
    replace(found, usability=None).save(root / "old.npz")
    return root / "ann_template.npz", root / "bob_template.npz", root / "old.npz"


@pytest.fixture(scope="module")
def once():
    from probefusion.cli.main import main

    return lambda *arguments: main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def library(root, fuser):
    with Gallery(root / "people.db", fuser=fuser) as gallery:
        gallery.enroll("ann", some_images(1))
    return root / "people.db"


def test_compare_of_saved_templates(command, templates, fuser) -> None:
    ann, bob, old = templates
    code, _, err = command("compare", ann, bob, "--fuser", fuser)
    assert code == 3
    for side in "AB":
        assert err.count(f"warning: {side}: not usable: predicted similarity") == 1
        assert err.count(f"warning: {side}: ") == 1
    assert err.count(POOR) == 2
    facts = json.loads(command("compare", ann, old, "--fuser", fuser, "--json")[1])
    assert [side["verdict"] for side in facts["usability"]] == ["not usable", "not known"]
    assert facts["usability"][0] == {
        "similarity": pytest.approx(0.5, abs=1e-6),
        "interval": pytest.approx([0.3, 0.7], abs=1e-6),
        "level": 0.8,
        "verdict": "not usable",
        "reason": "even the upper end is below the threshold 0.8000 at false match rate 0.001 (where usability was "
        "measured)",
        "false_match_rate": 0.001,
        "quality": 50,
    }
    assert sum("is not known" in text for text in facts["warnings"]) == 1
    code, _, err = command("compare", old, old, "--fuser", fuser)
    assert code == 0
    assert err.count("how poor its images are is not known") == 2  # once for each side


@pytest.mark.parametrize("what", ["ann.npz", "ann_template.npz", "state"])
def test_searches_say_the_same_of_embeddings_states_and_templates(
    command, root, templates, library, fuser, what
) -> None:
    if what == "state":
        what = "ann.safetensors"
        command("fuse", root / "ann.npz", "--fuser", fuser, "--state", root / what, "--force")
    for name, whom, threshold in (
        ("search", (), ()),
        ("verify", ("ann",), ()),
        ("search", (), ("--threshold", "0.5")),
    ):
        code, _, err = command(name, library, *whom, root / what, *threshold)
        assert code == 3
        assert err.count("the query: not usable: predicted similarity") == 1
        assert err.count("the query: ") == 1
        (line,) = [row for row in err.splitlines() if "the query: " in row]
        assert (POOR in line) is not bool(threshold)
        code, out, _ = command(name, library, *whom, root / what, *threshold, "--json")
        facts = json.loads(out)
        told = facts["usability"] if name == "search" else facts["usability"][0]
        assert (code, told["verdict"], told["quality"]) == (3, "not usable", 50)


def test_a_template_of_before_is_searched_with_a_word(command, templates, library) -> None:
    _, _, err = command("search", library, templates[2])
    assert err.count("warning: the query: how poor its images are is not known (its template") == 1
    facts = json.loads(command("search", library, templates[2], "--json")[1])
    assert facts["usability"]["reason"] == "its template came without an estimate"


def test_strict_gives_nothing_of_a_template_that_is_not_usable(command, templates, library) -> None:
    for arguments in (("search", library), ("verify", library, "ann")):
        code, out, err = command(*arguments, templates[1], "--strict")
        assert (code, out) == (1, "")
        assert f"{templates[1]}: their template is not usable: even the upper end" in err


def test_enroll_warns_of_embeddings(command, root, fuser, tmp_path) -> None:
    code, out, err = command(
        "enroll", tmp_path / "new.db", root / "bob.npz", "--fuser", fuser, "--json"
    )
    assert code == 3
    facts = json.loads(out)
    assert facts["usability"]["verdict"] == "not usable"
    assert facts["warnings"][0].startswith("the images: not usable")
    code, _, err = command("update", tmp_path / "new.db", "bob", root / "bob.npz")
    assert code == 3
    assert err.count("warning: bob: the images: not usable") == 1


def test_files_of_many_are_counted(command, root, templates, fuser) -> None:
    ann, bob, old = (Template.load(path) for path in templates)
    TemplateSet.of({"ann": ann, "bob": bob, "old": old}).save(root / "many.npz")
    code, out, err = command("compare", root / "many.npz", root / "many.npz", "--fuser", fuser)
    assert code == 3
    assert len(out.splitlines()) == 3
    assert "warning: A: 2 of 3 templates are not usable: ann, bob\n" in err
    assert f"warning: 3 of 3 decisions: {POOR}\n" in err
    assert len(err.splitlines()) <= 4
    one = root / "many.npz#ann"
    code, _, err = command("compare", one, templates[2], "--fuser", fuser)
    assert code == 3
    assert "warning: A: not usable" in err


def test_a_template_out_of_a_gallery_keeps_it(command, library, root, tmp_path) -> None:
    code, _, err = command("gallery", "template", library, "ann", "-o", tmp_path / "ann.npz")
    assert code == 0, err
    assert Template.load(tmp_path / "ann.npz").usability.verdict == "not usable"


@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_rows_of_an_archive_keep_it(command, fuser, tmp_path, ending) -> None:
    pytest.importorskip("pyarrow")
    folder = tmp_path / "archive"
    folder.mkdir()
    sets = [some_images(person, 3) for person in (1, 2)]
    np.save(folder / "embeddings.npy", np.concatenate([each.embeddings for each in sets]))
    np.save(folder / "style.npy", np.concatenate([each.style for each in sets]))
    np.save(folder / "template_ids.npy", np.repeat([7, 9], 3))
    (folder / "embedder.txt").write_text(COMPACT + "\n")
    output = tmp_path / f"templates.{ending}"
    code, out, err = command("fuse-archive", folder, "--fuser", fuser, "-o", output, "--json")
    assert code == 3
    told = "2 templates are not usable, of too few or too poor images (look at them): 7, 9"
    assert err.count(f"warning: {told}\n") == 1
    assert json.loads(out)["not_usable"] == [7, 9]
    found = TemplateSet.load(output)
    assert found.not_usable == ("7", "9")
    assert found["7"].usability.similarity == pytest.approx(0.5)
    code, _, err = command("compare", f"{output}#7", f"{output}#9", "--fuser", fuser)
    assert code == 3
    assert "warning: B: not usable" in err


def test_a_load_names_them(command, fuser, tmp_path, root) -> None:
    folder = tmp_path / "archive"
    folder.mkdir()
    images = some_images(1, 3)
    np.save(folder / "embeddings.npy", images.embeddings)
    np.save(folder / "style.npy", images.style)
    np.save(folder / "template_ids.npy", np.array(["ann"] * 3))
    (folder / "embedder.txt").write_text(COMPACT + "\n")
    arguments = ("gallery", "load", tmp_path / "new.db", folder, "--fuser", fuser)
    code, _, err = command(*arguments)
    assert code == 3
    assert "warning: 1 of 1 people are not usable: ann\n" in err
