"""`evaluate --attributes`: a real command line on degraded-folder."""

from __future__ import annotations

import json

import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("jinja2")


@pytest.fixture
def evaluate(command, tiny_embedder, people_folder, tmp_path):
    def run(*options):
        start = ["evaluate", "degraded-folder", "--data", people_folder, "-o", tmp_path / "out"]
        few = ["--embedder", tiny_embedder, "--sizes", "1,2", "--num-sets", "2", "--fuser", "mean"]
        return command(*start, *few, "--folds", "0,1,2,3", "--replicates", "100", *options)

    return run


def test_groups_of_people(evaluate, people_folder, tmp_path) -> None:
    people = sorted(path.name for path in people_folder.iterdir() if path.is_dir())
    people.sort(
        key=lambda name: -len(list((people_folder / name).iterdir()))
    )  # a probe person first
    lines = [
        f"{name},{'a' if place % 2 else 'b'},same,{place}.5"
        for place, name in enumerate(people[1:])
    ]
    (tmp_path / "t.csv").write_text("person,group,one,number\n" + "\n".join(lines) + "\n")
    code, out, err = evaluate(
        "--attributes", tmp_path / "t.csv", "--attribute-columns", "group,one"
    )
    assert code == 0, err
    assert "group: mean, N=2, at the threshold of FAR" in out
    assert "not known" in out
    assert "Attribute 'one': one value, 'same'" in out
    assert f"the first {people[0]!r}" in out
    assert "(few)" in out
    facts = json.loads((tmp_path / "out" / "report.json").read_text(), parse_constant=pytest.fail)
    assert {entry["attribute"] for entry in facts["attributes"]} == {"group", "one"}
    assert {entry["num_images"] for entry in facts["attributes"]} == {1, 2}
    rate = next(rate for rate in facts["attributes"][0]["rates"] if rate["resolved"])
    a, b = rate["values"]
    assert (a["value"], b["value"]) == ("a", "b")
    per_person = 2
    mated = a["fnmr"]["num_comparisons"] + b["fnmr"]["num_comparisons"]
    assert mated + rate["unknown"]["fnmr"]["num_comparisons"] == rate["num_mated"]
    assert a["fnmr"]["num_comparisons"] == per_person * a["fnmr"]["num_people"]
    assert "group: mean, N=2" in (tmp_path / "out" / "report.html").read_text()


def test_a_table_of_others_is_refused_before_anything_is_embedded(evaluate, tmp_path) -> None:
    (tmp_path / "t.csv").write_text("person,group\nnobody,a\n")
    code, _, err = evaluate("--attributes", tmp_path / "t.csv")
    assert code == 1
    assert "expected a row for some of" in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.work").exists()
