"""`probefusion fuse` with real arguments: people, weights, labels."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from probefusion.types import Template, TemplateSet


@pytest.fixture
def crops(people_folder):
    return people_folder / "person_03"  # 4 images


@pytest.fixture
def two_people(people_folder, tmp_path):
    root = tmp_path / "two"
    for name in ("person_03", "person_07"):
        shutil.copytree(people_folder / name, root / name)
    return root


def test_a_folder_of_people_needs_a_choice(command, two_people, tiny_embedder, tmp_path) -> None:
    options = ("--aligned", "--embedder", tiny_embedder)
    code, out, err = command("fuse", two_people, *options, "-o", tmp_path / "t.npz")
    assert (code, out) == (1, "")
    assert "2 folders of images (person_03, person_07)" in err
    assert "--people" in err
    assert "--one-person" in err
    assert not (tmp_path / "t.npz").exists()
    code, out, _ = command("fuse", two_people, *options, "--one-person", "-o", tmp_path / "t.npz")
    assert code == 0
    assert Template.load(tmp_path / "t.npz").num_images == 8


@pytest.mark.parametrize("ending", [".npz", ".parquet"])
def test_a_template_of_each_person(command, two_people, tiny_embedder, tmp_path, ending) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    (two_people / "person_07" / "broken.jpg").write_bytes(b"no picture")
    output = tmp_path / f"people{ending}"
    arguments = ["fuse", two_people, "--people", "--aligned", "--embedder", tiny_embedder]
    arguments += ["--fuser", "mean", "-o", output]
    code, out, err = command(*arguments, "--json")
    assert code == 3  # an image was skipped
    facts = json.loads(out)
    assert [(person["id"], person["num_images"]) for person in facts["people"]] == [
        ("person_03", 4),
        ("person_07", 4),
    ]
    for person in facts["people"]:
        assert person["usability"]["verdict"] == "not known"
        assert person["screening"]["verdict"] == "cannot tell"
        assert "16 dimensions" in person["screening"]["reason"]
    assert facts["fuser"] == "mean@1"
    assert len(facts["skipped"]) == 1
    assert "skipped 1 images" in err
    templates = TemplateSet.load(output)
    assert list(templates) == ["person_03", "person_07"]
    alone = tmp_path / "alone.npz"
    command(
        "fuse", two_people / "person_03", "--aligned", "--embedder", tiny_embedder,
        "--fuser", "mean", "-o", alone,
    )  # fmt: skip
    assert np.abs(templates["person_03"].vector - Template.load(alone).vector).max() < 1e-6
    assert command(*arguments)[0] == 1  # it exists
    code, out, _ = command(*arguments, "--force")
    assert code == 3
    assert out == f"{output}: 2 people, 8 images fused by mean@1, 16 dimensions\n"


def test_people_and_what_does_not_go_with_it(command, two_people, tmp_path) -> None:
    npz = ("-o", tmp_path / "p.npz")
    for arguments, words in (
        ((two_people, "--json"), "-o TEMPLATES.npz"),
        ((two_people, "-o", tmp_path / "p.txt"), ".parquet or .npz"),
        ((two_people, two_people, *npz), "one folder or .zip"),
        ((two_people, *npz, "--explain"), "--explain: is for one person"),
        ((two_people, *npz, "--state", tmp_path / "s.safetensors"), "--state: is for one person"),
    ):
        code, out, err = command("fuse", "--people", "--aligned", *arguments)
        assert (code, out) == (1, ""), arguments
        assert words in err
    assert command("fuse", two_people, "--people", "--one-person", *npz)[0] == 2


def test_explain_prints_images_by_falling_weight(command, crops, tiny_embedder) -> None:
    arguments = ("fuse", crops, "--aligned", "--embedder", tiny_embedder, "--explain")
    code, out, _ = command(*arguments)
    assert code == 0
    lines = out.splitlines()
    assert lines[0].startswith("4 images fused by universal@")
    assert lines[1].split() == ["WEIGHT", "SIMILARITY", "IMAGE"]
    shares = [float(line.split()[0]) for line in lines[2:6]]
    assert lines[6:] == ["one person? cannot be told: embeddings of 16 dimensions, and it takes 64"]
    assert shares == sorted(shares, reverse=True)
    assert sum(shares) == pytest.approx(100, abs=0.3)
    code, out, _ = command(*arguments, "--json")
    facts = json.loads(out)
    rows = facts["images"]
    assert {row["source"] for row in rows} == {str(path) for path in crops.iterdir()}
    by_source = dict(zip(facts["sources"], facts["weights"], strict=True))
    for row in rows:
        assert row["weight"] == by_source[row["source"]]
        assert 0 < row["similarity"] <= 1
    assert "images" not in json.loads(command(*arguments[:-1], "--json")[1])


def test_a_state_does_not_tell_its_images(command, tmp_path, make_set) -> None:
    make_set(3).save(tmp_path / "a.npz")
    state = tmp_path / "a.safetensors"
    assert command("fuse", tmp_path / "a.npz", "--fuser", "mean", "--state", state)[0] == 0
    code, _, err = command("fuse", state, "--explain")
    assert code == 1
    assert "a saved state does not hold its images" in err


def test_the_embedder_of_bare_embeddings_can_be_stated(command, tmp_path, rng) -> None:
    np.save(tmp_path / "a.npy", 30 * rng.standard_normal((4, 128)))
    code, out, err = command("fuse", tmp_path / "a.npy", "--json")
    assert json.loads(out)["embedder"] is None
    assert "fuser: mean" in err
    code, out, err = command(
        "fuse", tmp_path / "a.npy", "--embedder", "compact_128d", "-o", tmp_path / "t.npz"
    )
    assert code == 0
    assert "fuser: exact-embedding.compact_128d" in err
    assert Template.load(tmp_path / "t.npz").embedder.startswith("compact_128d@")


def test_a_stated_embedder_is_not_believed_against_the_file(
    command, tmp_path, make_set, tiny_embedder
) -> None:
    make_set(3, embedder="net@1").save(tmp_path / "a.npz")
    code, _, err = command("fuse", tmp_path / "a.npz", "--embedder", tiny_embedder, "--json")
    assert code == 1
    assert "say that they are of net@1, got tiny@" in err


def test_weights_of_several_sets(command, tmp_path, make_set) -> None:
    for name in "ab":
        make_set(2, sources=[f"{name}0", f"{name}1"]).save(tmp_path / f"{name}.npz")
    paths = [tmp_path / f"{name}.npz" for name in "ab"]
    code, out, _ = command("fuse", *paths, "--fuser", "norm-weighted", "--json")
    assert code == 0
    facts = json.loads(out)
    assert facts["sources"] == ["a0", "a1", "b0", "b1"]
    assert sum(facts["weights"]) == pytest.approx(1, abs=1e-6)


def test_every_short_name_of_a_fuser_stands_in_the_help(command, monkeypatch) -> None:
    from probefusion.zoo import known_models
    from probefusion.zoo.fuser_names import fuser_choices
    from probefusion.zoo.fusers import trained_fusers

    known = [name for name, entry in known_models().items() if entry.kind == "fuser"]
    short = {name.split(".")[0] for name in (*trained_fusers(), *known)}
    exported = {name for name in short if name.startswith(("exact", "official"))}
    names = [name for name in fuser_choices() if name not in ("auto", "NAME", "DIR")]
    assert exported <= set(names)
    monkeypatch.setenv("COLUMNS", "500")  # no name is broken at its hyphen
    help_text = " ".join(command("fuse", "--help")[1].split())
    assert f"{', '.join(names)} or a fuser folder" in help_text
