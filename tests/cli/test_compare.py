"""`probefusion compare` with real arguments."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.fusion import MeanFuser
from probefusion.pipeline import Pipeline
from probefusion.types import EmbeddingSet, TemplateSet
from probefusion.zoo import load_fuser


@pytest.fixture
def people(rng):
    """Image sets of three people, five each, alike within a person."""
    sets = {}
    for name in ("ann", "bob", "cy"):
        rows = rng.standard_normal((1, 16)) * 20 + rng.standard_normal((5, 16))
        sets[name] = EmbeddingSet(embeddings=rows, embedder="net@1")
    return sets


@pytest.fixture
def enrolled(tmp_path, people):
    """A file of the templates of the first three images of each."""
    fuser = MeanFuser()
    path = tmp_path / "enrolled.parquet"
    TemplateSet.of({name: fuser.fuse(images[:3]) for name, images in people.items()}).save(path)
    return path


@pytest.fixture
def probes(tmp_path, people):
    """A file of the templates of the others, by other ids."""
    fuser = MeanFuser()
    path = tmp_path / "probes.npz"
    templates = {f"probe of {name}": fuser.fuse(people[name][3:]) for name in ("cy", "ann")}
    TemplateSet.of(templates).save(path)
    return path


def test_an_archive_is_fused_and_compared(tmp_path, command, people) -> None:
    """What fuse-archive writes, compare reads."""
    folder = tmp_path / "archive"
    folder.mkdir()
    np.save(folder / "embeddings.npy", np.concatenate([s.embeddings for s in people.values()]))
    np.save(folder / "template_ids.npy", np.repeat([7, 8, 9], 5))
    output = tmp_path / "t.parquet"
    assert command("fuse-archive", folder, "--fuser", "mean", "-o", output)[0] == 0
    people["bob"].save(tmp_path / "bob.npz")
    code, out, _ = command("compare", f"{output}#8", tmp_path / "bob.npz", "--json")
    facts = json.loads(out)
    assert code == 0
    assert facts["similarity"] == pytest.approx(1, abs=1e-6)
    assert facts["num_images"] == [5, 5]
    assert facts["fuser"] == "mean@1"
    assert facts["threshold"] is facts["is_match"] is None
    code, out, _ = command("compare", f"{output}#8", f"{output}#9")
    assert code == 0
    assert out.startswith("similarity ")
    assert "no decision: mean@1 carries no threshold" in out


def test_two_files_of_many(command, enrolled, probes) -> None:
    code, out, _ = command("compare", probes, enrolled, "--json")
    assert code == 0
    facts = json.loads(out)
    assert (facts["fuser"], facts["embedder"]) == ("mean@1", "net@1")
    assert [(match["id"], match["best_id"]) for match in facts["matches"]] == [
        ("probe of cy", "cy"),
        ("probe of ann", "ann"),
    ]
    loaded = TemplateSet.load(probes), TemplateSet.load(enrolled)
    for match in facts["matches"]:
        expected = loaded[0][match["id"]].similarity(loaded[1][match["best_id"]])
        assert match["similarity"] == pytest.approx(expected, abs=1e-6)
        assert match["num_images"] == [2, 3]
        assert match["is_match"] is None
    code, out, _ = command("compare", probes, enrolled)
    assert code == 0
    assert [line.split()[:4] for line in out.splitlines()] == [
        ["probe", "of", "cy", "cy"],
        ["probe", "of", "ann", "ann"],
    ]


def test_a_file_with_itself_finds_the_others(command, enrolled) -> None:
    code, out, _ = command("compare", enrolled, enrolled, "--json")
    assert code == 0
    matches = json.loads(out)["matches"]
    assert [match["id"] for match in matches] == ["ann", "bob", "cy"]
    assert all(match["id"] != match["best_id"] for match in matches)


def test_a_file_of_one_needs_no_id(tmp_path, command, people, enrolled) -> None:
    fuser = MeanFuser()
    TemplateSet.of({"x": fuser.fuse(people["ann"])}).save(tmp_path / "one.npz")
    code, out, _ = command("compare", tmp_path / "one.npz", f"{enrolled}#ann", "--json")
    assert code == 0
    assert json.loads(out)["similarity"] > 0.9


def test_one_person_is_searched_in_a_file_of_many(tmp_path, command, people, enrolled) -> None:
    people["bob"].save(tmp_path / "bob.npz")
    expected = TemplateSet.load(enrolled).vectors @ MeanFuser().fuse(people["bob"]).vector
    order = np.argsort(-expected)
    names = [("ann", "bob", "cy")[place] for place in order]
    for sides in ((enrolled, tmp_path / "bob.npz"), (tmp_path / "bob.npz", enrolled)):
        code, out, err = command("compare", *sides, "--json")
        assert code == 0, err
        facts = json.loads(out)
        assert facts["fuser"] == "mean@1"
        candidates = facts["candidates"]
        assert [entry["id"] for entry in candidates] == names
        assert names[0] == "bob"
        found = [entry["similarity"] for entry in candidates]
        assert np.allclose(found, expected[order], atol=1e-6)
        assert candidates[0]["num_images"] == [5, 3]
    code, out, _ = command("compare", tmp_path / "bob.npz", enrolled, "--top", "1")
    assert code == 0
    assert out.splitlines() == [
        f"bob  {expected[1]:7.4f}",
        "and 2 less similar (--top 3 lists all)",
        "the person: one person? cannot be told: embeddings of 16 dimensions, and it takes 64",
    ]
    found = Pipeline(fuser="mean").search(tmp_path / "bob.npz", TemplateSet.load(enrolled))
    assert [comparison.ids[1] for comparison in found] == names


def test_wrong_ids_and_files_are_told_in_one_line(tmp_path, command, people, enrolled) -> None:
    people["ann"].save(tmp_path / "ann.npz")
    (tmp_path / "cut.npz").write_bytes(b"PK cut")
    for side, words in [
        (f"{enrolled}#an", "did you mean 'ann'"),
        (f"{tmp_path / 'ann.npz'}#x", "Leave #x out"),
        (tmp_path / "none.npz", "does not exist"),
        (tmp_path / "cut.npz", "could not read it"),
    ]:
        code, _, err = command("compare", side, f"{enrolled}#bob")
        assert (code, err.count("\n")) == (1, 1)
        assert words in err


def test_templates_of_different_fusers_are_refused(tmp_path, command, enrolled, people) -> None:
    TemplateSet.of(
        {name: load_fuser("norm-weighted").fuse(images) for name, images in people.items()}
    ).save(tmp_path / "other.npz")
    code, _, err = command("compare", enrolled, tmp_path / "other.npz")
    assert (code, err.count("\n")) == (1, 1)
    assert "different fusers" in err


def test_decisions_of_a_calibrated_fuser(tmp_path, command, rng) -> None:
    fuser = load_fuser("exact")
    person = rng.standard_normal((1, fuser.dim or 128)) * 20

    def images(count):
        return EmbeddingSet(
            embeddings=person + rng.standard_normal((count, person.shape[1])),
            style=rng.standard_normal((count, fuser.style_channels, 2)),
            embedder=fuser.embedder,
        )

    first = TemplateSet.of({"a": fuser.fuse(images(2)), "b": fuser.fuse(images(3))})
    stranger = EmbeddingSet(
        embeddings=rng.standard_normal((2, person.shape[1])) * 20,
        style=rng.standard_normal((2, fuser.style_channels, 2)),
        embedder=fuser.embedder,
    )
    second = TemplateSet.of({"same": fuser.fuse(images(4)), "other": fuser.fuse(stranger)})
    first.save(tmp_path / "a.npz")
    second.save(tmp_path / "b.npz")
    code, out, _ = command("compare", tmp_path / "a.npz", tmp_path / "b.npz", "--json")
    assert code == 0
    for match in json.loads(out)["matches"]:
        assert match["best_id"] == "same"
        assert match["is_match"] is True
        assert 0 < match["threshold"] < match["similarity"]
        assert match["false_match_rate"] == 0.001
        assert match["threshold_source"].startswith("calibration-sets/v1, ")
        low, high = match["measured_rate"]
        assert low < 0.001 < high < match["rate_elsewhere"] <= 1
    code, out, _ = command("compare", f"{tmp_path / 'a.npz'}#a", f"{tmp_path / 'b.npz'}#other")
    assert code == 0
    assert "no match: threshold" in out
    assert "people not fitted)" in out
    assert "among people like those measured" in out
    assert "among people unlike those measured: up to " in out
    assert "not covered: people filmed by one camera" in out
    code, out, _ = command("compare", tmp_path / "a.npz", tmp_path / "b.npz")
    assert all(line.endswith("  match") for line in out.splitlines())
    code, out, _ = command("compare", f"{tmp_path / 'a.npz'}#a", tmp_path / "b.npz")
    assert "at false match rate 0.001, that of each comparison" in out


def test_progress_names_the_sides(command, people_folder, tiny_embedder) -> None:
    sides = (people_folder / "person_03", people_folder / "person_07")
    code, _, err = command("compare", *sides, "--aligned", "--embedder", tiny_embedder)
    assert code == 0, err
    assert "embedding A: 4/4 images" in err
    assert "embedding B: 4/4 images" in err


def _unstated(images):
    return EmbeddingSet(embeddings=images.embeddings)


def test_one_side_of_a_known_embedder_alone_is_noted(tmp_path, command, people) -> None:
    people["ann"].save(tmp_path / "known.npz")
    _unstated(people["bob"]).save(tmp_path / "unknown.npz")
    expected = MeanFuser().fuse(people["ann"]).similarity(MeanFuser().fuse(people["bob"]))
    for sides, name in ((("unknown", "known"), "A"), (("known", "unknown"), "B")):
        paths = [tmp_path / f"{side}.npz" for side in sides]
        code, out, err = command("compare", *paths, "--fuser", "mean", "--json")
        assert code == 0
        assert json.loads(out)["similarity"] == pytest.approx(expected, abs=1e-6)
        assert err.count("not said what made its embeddings") == 1
        assert f"warning: {name}: not said" in err
        assert "those beside it are of net@1" in err
        assert "say so: --embedder NAME" in err
    for sides in (("known", "known"), ("unknown", "unknown")):
        paths = [tmp_path / f"{side}.npz" for side in sides]
        code, _, err = command("compare", *paths, "--fuser", "mean")
        assert code == 0
        assert "not said" not in err
    stated = ("--fuser", "mean", "--embedder", "net@1")
    code, _, err = command("compare", tmp_path / "known.npz", tmp_path / "unknown.npz", *stated)
    assert code == 0
    assert "not said" not in err


def test_templates_of_an_unknown_embedder_are_noted(tmp_path, command, people, enrolled) -> None:
    fuser = MeanFuser()
    unknown = {name: fuser.fuse(_unstated(images)) for name, images in people.items()}
    TemplateSet.of(unknown).save(tmp_path / "many.npz")
    unknown["ann"].save(tmp_path / "one.npz")
    people["ann"].save(tmp_path / "ann.npz")
    for first, second, name in (
        (tmp_path / "many.npz", enrolled, "A"),
        (enrolled, tmp_path / "many.npz", "B"),
        (tmp_path / "one.npz", enrolled, "the person"),
        (tmp_path / "ann.npz", tmp_path / "many.npz", "the set of templates"),
        (tmp_path / "one.npz", tmp_path / "ann.npz", "A"),
    ):
        code, _, err = command("compare", first, second)
        assert code == 0, err
        assert f"warning: {name}: not said what made its embeddings" in err
        assert err.count("not said") == 1
        assert "fuse its embeddings anew with --embedder NAME" in err
    code, _, err = command("compare", tmp_path / "many.npz", tmp_path / "many.npz")
    assert code == 0
    assert "not said" not in err
