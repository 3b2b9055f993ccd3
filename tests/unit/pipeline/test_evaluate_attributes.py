"""Errors by attribute from Python: people, images and templates; JSON, Markdown, page and summary."""

from __future__ import annotations

import json

import numpy as np
import pytest
from made_up_people import write_image
from small_ijb import write_small_ijb

from probefusion.errors import ConfigError, InvalidInputError, MissingFileError
from probefusion.fusion import MeanFuser
from probefusion.pipeline.evaluate import evaluate


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """64 people of two media each; embeddings of group "b", the second half, are noisier; no image is read."""
    root = tmp_path_factory.mktemp("groups")
    rng = np.random.default_rng(2)
    names, rows = [], []
    people, images = ["person,group,site"], ["image,camera"]
    for person in range(64):
        own = rng.standard_normal(24)
        noise = 0.4 if person < 32 else 1.6
        people.append(f"p{person:02d},{'a' if person < 32 else 'b'},{person % 3}")
        for number in range(4):
            name = f"p{person:02d}/m{number % 2}/{number}.png"
            write_image(root / "data" / name, 90)
            names.append(name)
            rows.append(own + noise * rng.standard_normal(24))
            images.append(f"{name},cam {number % 2}")
    np.savez(root / "made.npz", embeddings=np.array(rows), names=np.array(names))
    (root / "people.csv").write_text("\n".join([*people, "somebody,a,1"]) + "\n")
    (root / "images.csv").write_text("\n".join(images) + "\n")
    return root


OPTIONS = {"fusers": [MeanFuser()], "num_replicates": 100, "num_sets": 2, "set_sizes": [1, 2]}


def on_media(folder, table, **settings):
    return evaluate(
        "media-folder",
        folder / "data",
        embeddings=folder / "made.npz",
        attributes=folder / table,
        **{**OPTIONS, **settings},
    )


@pytest.fixture(scope="module")
def by_person(folder):
    return on_media(folder, "people.csv")


def test_people_of_media_folder(by_person):
    results = by_person.attributes
    assert {(result.attribute, result.num_images) for result in results} == {
        (name, size) for name in ("group", "site") for size in (1, 2, "medium")
    }
    group = next(r for r in results if (r.attribute, r.num_images) == ("group", 1))
    assert group.size_class == "all"
    entry = next(entry for entry in group.errors if entry.overall.target == 1e-2)
    a, b = entry.values
    assert (a.fnmr.num_people, b.fnmr.num_people) == (32, 32)
    assert not a.is_few
    assert b.fnmr.rate > a.fnmr.rate + 0.2
    assert entry.false_negative.highest is b
    assert entry.false_negative.low > 0
    point = by_person.result.point("mean", "all", 1)
    rate = next(rate for rate in point.verification if rate.target == 1e-2)
    assert entry.overall.threshold == rate.threshold
    errors = [value.fmr_within.num_errors + value.fmr_across.num_errors for value in entry.values]
    assert sum(errors) == rate.num_false_accepts
    compared = [
        value.fmr_within.num_comparisons + value.fmr_across.num_comparisons
        for value in entry.values
    ]
    assert sum(compared) == rate.num_non_mated
    assert a.fmr_within.num_comparisons == 2 * 32 * 31
    assert a.fmr_across.num_comparisons == 2 * 32 * 32
    # TAR of all is the mean of the two groups of equally many people.
    overall = by_person.tar(1e-2, "mean", num_images=1)
    assert overall == pytest.approx((a.tar + b.tar) / 2)


def test_what_is_said_of_the_table(by_person):
    told = " ".join(by_person.limits)
    assert "1 rows of people.csv are of no person in the data, the first 'somebody'" in told
    assert (
        "Attribute 'site': fewer than 30 people with probes of '0' (22), '1' (21), '2' (21)" in told
    )
    facts = by_person.evaluated["attributes"]
    assert facts["columns"] == {"group": ["a", "b"], "site": ["0", "1", "2"]}
    assert (facts["owner"], facts["num_rows"], facts["num_rows_unused"]) == ("person", 65, 1)


def test_report_and_summary(by_person, tmp_path):
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    by_person.save(tmp_path / "out")
    report = json.loads((tmp_path / "out" / "report.json").read_text(), parse_constant=pytest.fail)
    first = report["attributes"][0]
    assert (first["attribute"], first["fuser"], first["owner"]) == ("group", "mean", "person")
    assert [rate["far"] for rate in first["rates"]] == [1e-4, 1e-3, 1e-2]
    assert first["rates"][0]["resolved"] is True or first["rates"][0]["values"] == []
    loose = first["rates"][2]
    b = loose["values"][1]
    assert (b["value"], b["few_people"]) == ("b", False)
    assert b["fnmr"]["num_comparisons"] == 64
    assert b["tar"] == pytest.approx(1 - b["fnmr"]["rate"], abs=1e-5)
    worst = loose["false_negative_differential"]
    assert (worst["highest"]["value"], worst["lowest"]["value"]) == ("b", "a")
    assert worst["difference"] == pytest.approx(
        worst["highest"]["rate"] - worst["lowest"]["rate"], abs=1e-5
    )
    site = next(entry for entry in report["attributes"] if entry["attribute"] == "site")
    assert site["rates"][2]["false_negative_differential"] is None
    assert all(value["few_people"] for value in site["rates"][2]["values"])
    for name in ("report.md", "report.html"):
        text = (tmp_path / "out" / name).read_text()
        assert "group: mean, N=2, at the threshold of FAR 0.01" in text
        assert "group: largest differences" in text
        assert "site: mean, N=2" in text
        assert "site: largest differences" not in text
        assert "21 (few)" in text
        assert "within the group" in text
    tables = {table.title: table for table in by_person.summary()}
    table = next(
        table for title, table in tables.items() if title.startswith("group: mean, N=2, at")
    )
    assert [row[0] for row in table.rows] == ["a", "b"]
    assert table.rows[0][1] == "32"


def test_without_attributes_nothing_is_said_of_them(folder):
    found = evaluate("media-folder", folder / "data", embeddings=folder / "made.npz", **OPTIONS)
    assert found.attributes == ()
    assert "attributes" not in found.facts
    assert "attributes" not in found.evaluated


def test_conditions_of_images(folder):
    """Camera and medium are one here, so that a whole medium has one value and sets of two images may not."""
    found = on_media(folder, "images.csv")
    medium = next(result for result in found.attributes if result.num_images == "medium")
    assert medium.num_mixed == 0
    entry = medium.compared
    assert [value.value for value in entry.values] == ["cam 0", "cam 1"]
    assert [value.fnmr.num_people for value in entry.values] == [64, 64]
    # In each replicate everybody's gallery image is of the other camera than the own probe.
    for value in entry.values:
        assert value.fmr_within.num_comparisons > 0
        compared = value.fmr_within.num_comparisons + value.fmr_across.num_comparisons
        assert compared == 64 * 63
    assert entry.false_negative is not None
    assert entry.false_positive is not None
    two = next(result for result in found.attributes if result.num_images == 2)
    assert two.num_mixed == 0  # two images, both of the one other medium


def test_some_columns_are_taken(folder):
    found = on_media(folder, "people.csv", attribute_columns=["site"], set_sizes=[1])
    assert {result.attribute for result in found.attributes} == {"site"}


@pytest.mark.parametrize(
    ("content", "settings", "error", "message"),
    [
        ("template,x\n1,a\n", {}, ConfigError, "by person or by image for media-folder, got one by template"),
        ("person,x\nq,a\n", {}, InvalidInputError, "expected a row for some of the 64 persons"),
        (None, {}, MissingFileError, "attributes"),
        ("person,x\np01,a\n", {"attributes": None, "attribute_columns": ["x"]}, ConfigError, "no table"),
    ],
    ids=["owner", "strangers", "missing", "columns alone"],
)  # fmt: skip
def test_what_is_refused(folder, tmp_path, content, settings, error, message):
    path = tmp_path / "t.csv"
    if content is not None:
        path.write_text(content)
    given = {"attributes": path, **settings}
    with pytest.raises(error, match=message):
        evaluate(
            "media-folder",
            folder / "data",
            embeddings=folder / "made.npz",
            **OPTIONS,
            **given,
        )


def test_degraded_folder_takes_people_alone(folder, tmp_path):
    for number in range(12):
        for image in range(3):
            write_image(tmp_path / "data" / f"p{number}" / f"{image}.png", 90)
    with pytest.raises(ConfigError, match="by person for degraded-folder"):
        evaluate("degraded-folder", tmp_path / "data", attributes=folder / "images.csv", **OPTIONS)


@pytest.fixture
def ijb(tmp_path):
    root = tmp_path / "IJBC"
    np.save(tmp_path / "feats.npy", write_small_ijb(root))
    return root, tmp_path / "feats.npy"


def test_templates_and_subjects_of_a_benchmark(ijb, tmp_path):
    root, rows = ijb
    by_template = tmp_path / "templates.csv"
    lines = [
        f"{base + n},{'still' if base == 100 else 'video'}"
        for base in (100, 500)
        for n in range(12)
    ]
    by_template.write_text("template_id,kind\n" + "\n".join(lines) + "\n")
    found = evaluate(
        "ijbc", root, fusers=["mean"], embeddings=rows, chunks=[2], attributes=by_template
    )
    labels = [result.label for result in found.attributes]
    assert labels == [way.label for way in found.result]
    mean = next(r for r in found.attributes if (r.fuser, r.chunk) == ("mean", None))
    entry = next(entry for entry in mean.errors if entry.overall.target == 1e-1)
    still, video = entry.values
    assert still.fnmr.num_comparisons == 0
    assert (video.fnmr.num_comparisons, video.fnmr.num_people) == (12, 12)
    assert (video.fmr_within.num_comparisons, video.fmr_across.num_comparisons) == (0, 132)
    way = next(way for way in found.result if way.label == "mean")
    rate = next(rate for rate in way.verification if rate.target == 1e-1)
    assert video.fmr_across.num_errors == rate.num_false_accepts
    assert video.tar == pytest.approx(rate.tar)

    by_subject = tmp_path / "subjects.csv"
    by_subject.write_text("subject_id,group\n" + "".join(f"{n},{n % 2}\n" for n in range(11)))
    found = evaluate("ijbc", root, fusers=["mean"], embeddings=rows, attributes=by_subject)
    entry = next(e for e in found.attributes[-1].errors if e.overall.target == 1e-1)
    zero, one = entry.values
    assert (zero.fnmr.num_comparisons, one.fnmr.num_comparisons) == (6, 5)
    assert zero.fmr_within.num_comparisons == 6 * 5
    assert (zero.fmr_across.num_comparisons, zero.num_reference_unknown) == (6 * 5, 6)
    assert entry.unknown.fnmr.num_comparisons == 1
    assert any("1 of the persons that were tested have no row" in text for text in found.limits)


def test_a_benchmark_without_pairs_is_refused(tmp_path, monkeypatch):
    from probefusion.pipeline.evaluate_attributes import AttributesAsked

    (tmp_path / "t.csv").write_text("person,x\n1,a\n")
    bare = type("Bare", (), {"name": "tinyface", "pairs": None})()
    with pytest.raises(ConfigError, match="tinyface has no one-to-one comparisons"):
        AttributesAsked(tmp_path / "t.csv", ()).of_benchmark(bare)
