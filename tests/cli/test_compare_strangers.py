"""`probefusion compare` where images of a side are of somebody else: both sides are screened as `fuse` does."""

from __future__ import annotations

import json

import pytest
from planted_people import planted

from probefusion.fusion import MeanFuser
from probefusion.pipeline import Pipeline
from probefusion.types import TemplateSet


@pytest.fixture
def files(tmp_path):
    """`one`: twelve images of a person; `mixed`: ten of her and six of another."""
    images = planted(22, 6)
    images[:12].save(tmp_path / "one.npz")
    images[12:].save(tmp_path / "mixed.npz")
    return tmp_path / "one.npz", tmp_path / "mixed.npz"


def test_the_side_that_falls_apart_is_named(command, files) -> None:
    one, mixed = files
    for sides, name in (((one, mixed), "B"), ((mixed, one), "A")):
        code, out, err = command("compare", *sides, "--fuser", "mean")
        assert code == 3
        assert f"warning: {name}: the set falls apart" in err
        assert "10 images (62 % of the weight) and 6 images (38 % of the weight)" in err
        assert all(f"b{number}" in err for number in range(6))
        other = "AB".replace(name, "")
        assert f"{other}: no sign of a second person in 12 images" in out


def test_json_holds_both_sides(command, files) -> None:
    code, out, _ = command("compare", *files, "--fuser", "mean", "--json")
    facts = json.loads(out)
    assert code == 3
    assert [side["verdict"] for side in facts["screening"]] == ["one person", "several people"]
    lighter = facts["screening"][1]["parts"][1]
    assert lighter["weight"] == pytest.approx(6 / 16, abs=1e-3)
    assert [image["source"] for image in lighter["images"]] == [f"b{k}" for k in range(6)]
    assert facts["several_faces"] == [None, None]
    assert len(facts["problems"]) == 1
    assert facts["problems"][0].startswith("B: the set falls apart")


def test_strict_compares_nothing(command, files) -> None:
    code, out, err = command("compare", *files, "--fuser", "mean", "--strict")
    assert (code, out) == (1, "")
    assert "error: B: the set falls apart" in err


@pytest.mark.parametrize("option", ["--largest-person", "--drop-outliers"])
def test_what_is_left_out_is_named_and_counts_no_more(command, files, option) -> None:
    code, out, _ = command("compare", *files, "--fuser", "mean", option, "--json")
    facts = json.loads(out)
    images, fuser = planted(22, 6), MeanFuser()
    if option == "--largest-person":
        assert code == 3
        assert facts["num_images"] == [12, 10]
        expected = fuser.fuse(images[:12]).similarity(fuser.fuse(images[12:22]))
        assert facts["similarity"] == pytest.approx(expected, abs=1e-6)
    assert facts["screening"][1]["verdict"] == "several people"


def test_nobody_looks_where_that_is_not_wanted(command, files) -> None:
    code, out, err = command("compare", *files, "--fuser", "mean", "--no-screening")
    assert (code, err) == (0, "")
    assert "B: not screened: not wanted (--no-screening)" in out


def test_templates_and_states_are_not_screened_and_that_is_told(command, files, tmp_path) -> None:
    one, mixed = files
    template, state = tmp_path / "t.npz", tmp_path / "s.safetensors"
    command("fuse", mixed, "--fuser", "mean", "-o", template, "--state", state)
    code, out, err = command("compare", state, template)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "similarity 1.0000"
    assert "A: not screened: only a state" in lines
    assert "B: not screened: only a template" in lines
    code, out, _ = command("compare", one, template, "--json")
    assert code == 0
    facts = json.loads(out)["screening"]
    assert [side["verdict"] for side in facts] == ["one person", "not screened"]
    assert facts[1]["reason"] == "only a template"


def test_the_person_who_is_searched_is_screened(command, files, tmp_path) -> None:
    one, mixed = files
    fuser, images = MeanFuser(), planted(22, 6)
    people = TemplateSet.of({"a": fuser.fuse(images[:12]), "b": fuser.fuse(images[22:])})
    people.save(tmp_path / "people.npz")
    code, out, err = command("compare", mixed, tmp_path / "people.npz")
    assert code == 3
    assert "the set falls apart" in err
    assert [line.split()[0] for line in out.splitlines()[:2]] == ["a", "b"]
    code, out, err = command("compare", mixed, tmp_path / "people.npz", "--strict")
    assert (code, out) == (1, "")
    found = Pipeline(fuser="mean").search(mixed, people, strangers="largest-person")
    assert found[0].ids == (str(mixed), "a")
    assert found[0].num_images == (10, 12)
    assert [item.source for item in found[0].skipped] == [f"b{k}" for k in range(6)]
    assert found[0].screening[1] is None
    code, _, err = command("compare", one, tmp_path / "people.npz")
    assert (code, err) == (0, "")
