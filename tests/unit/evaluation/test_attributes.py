"""Errors by attribute in evaluations: rows found, probe sets of one value, and figures against plain loops."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest

from probefusion.errors import InvalidInputError
from probefusion.evaluation.attribute_limits import attribute_limits
from probefusion.evaluation.attribute_match import match_attributes
from probefusion.evaluation.attributes import AttributeMeter
from probefusion.evaluation.measuring import RatePlan
from probefusion.evaluation.scoring import ProbeScores
from probefusion.io.attribute_table import read_attribute_table

PLAN = RatePlan(
    false_accept_rates=(1e-4, 0.05, 0.2),
    decision_rate=0.05,
    false_positive_rates=(),
    num_replicates=100,
)


def table(text, **settings):
    return read_attribute_table(text.encode(), origin="t.csv", **settings)


def matched(text, names, everything=()):
    return match_attributes(table(text), names, everything=everything)


def test_rows_are_found_by_name_and_the_rest_is_counted():
    text = "person,group\nbob,x\nann,\nzoe,y\nold,x\n"
    found = matched(text, ["ann", "bob", "cid", "dot", "cid"], ["ann", "old"])
    (group,) = found.attributes
    assert group.values == ("x",)
    assert group.codes.tolist() == [-1, 0, -1, -1, -1]
    assert (found.num_without_row, found.first_without_row) == (2, "cid")
    assert (found.num_rows_unused, found.first_row_unused) == (1, "zoe")
    assert found.num_unnamed == 0


def test_names_are_compared_in_their_composed_form():
    name = unicodedata.normalize("NFD", "Zoé")
    found = matched("person,group\nZoé,x\n", [name, "b"])
    assert found.attributes[0].codes.tolist() == [0, -1]


def test_numbers_are_values_in_their_order():
    text = "person,age\n" + "".join(
        f"p{n},{age}\n" for n, age in enumerate(["10", "9", "old", "9", "nan", "-1"])
    )
    (age,) = matched(text, [f"p{n}" for n in range(6)]).attributes
    assert age.values == ("-1", "9", "10", "nan", "old")
    assert age.codes.tolist() == [2, 1, 4, 1, 3, 0]


def test_tables_of_others_are_refused():
    with pytest.raises(
        InvalidInputError, match=r"t\.csv: expected a row for some of the 2 persons"
    ):
        matched("person,group\nzoe,x\n", ["ann", "bob"])
    with pytest.raises(
        InvalidInputError, match="column 'group' for some of those who are evaluated"
    ):
        matched("person,group,site\nann,,1\nzoe,x,2\n", ["ann", "bob"])


def scores_of(similarity, subjects, gallery, left_out=None):
    """Of a matrix (P, G) what `score_templates` gives."""
    own = subjects[:, None] == gallery
    non_mated = similarity[~own].reshape(len(subjects), -1)
    if left_out is not None:
        left_out = left_out[~own].reshape(len(subjects), -1)
        non_mated = np.where(left_out, -np.inf, non_mated)
    return ProbeScores(
        mated=similarity[own], non_mated=non_mated, subjects=subjects, left_out=left_out
    )


def plain_counts(parts, gallery, threshold, code_of_probe, code_of_entry, wanted, related):
    """[errors, comparisons] mated, within, across and with unknown references, one by one."""
    counts = [[0, 0], [0, 0], [0, 0], [0, 0]]
    for number, (similarity, subjects) in enumerate(parts):
        for row, subject in enumerate(subjects):
            if code_of_probe(number, row) != wanted:
                continue
            for column, name in enumerate(gallery):
                score = similarity[row, column]
                if name == subject:
                    counts[0][0] += score < threshold
                    counts[0][1] += 1
                elif not related(subject, name):
                    code = code_of_entry(number, column)
                    kind = 3 if code < 0 else 1 if code == wanted else 2
                    counts[kind][0] += score >= threshold
                    counts[kind][1] += 1
    return counts


@pytest.mark.parametrize("with_relatives", [False, True])
def test_searches_in_several_galleries(with_relatives):
    """12 people in two galleries, attributes of images; some sets have images of two values, some of none."""
    rng = np.random.default_rng(3)
    gallery = np.array([f"p{n:02d}" for n in range(12)])
    images = [f"{name}/{k}" for name in gallery for k in range(5)]
    values = rng.choice(["day", "night", "night", "day", ""], len(images))
    text = "image,light\n" + "".join(
        f"{image},{value}\n" for image, value in zip(images, values, strict=True)
    )
    meter = AttributeMeter(matched(text, images), PLAN, least_people=2)
    families = np.arange(12) // 2
    parts, raw, probe_rows, gallery_rows, sets = [], [], [], [], []
    for _ in range(2):
        people = np.sort(rng.choice(12, 9, replace=False))
        similarity = rng.normal(0, 1, (9, 12)).astype(np.float32)
        similarity[np.arange(9), people] += 1.5
        entries = np.arange(12) * 5 + rng.integers(0, 5, 12)
        mine = [5 * person + rng.choice(5, rng.integers(1, 4), replace=False) for person in people]
        offsets = np.cumsum([0, *map(len, mine)])
        left_out = families[people][:, None] == families if with_relatives else None
        parts.append(scores_of(similarity, gallery[people], gallery, left_out))
        raw.append((similarity, gallery[people]))
        probe_rows.append((np.concatenate(mine), offsets))
        gallery_rows.append(entries)
        sets.append(mine)
    meter.add_searches(
        "mean", parts, gallery, probe_rows=probe_rows, gallery_rows=gallery_rows, num_images=3
    )
    (result,) = meter.results
    codes = {"day": 0, "night": 1, "": -1}

    def code_of_probe(number, row):
        found = {values[image] for image in sets[number][row]}
        return -1 if "" in found else codes[found.pop()] if len(found) == 1 else -2

    def code_of_entry(number, column):
        return codes[values[gallery_rows[number][column]]]

    def related(one, other):
        return with_relatives and int(one[1:]) // 2 == int(other[1:]) // 2

    assert [entry.overall.resolved for entry in result.errors] == [False, True, True]
    for entry in result.errors[1:]:
        assert [value.value for value in entry.values] == ["day", "night"]
        for wanted, value in enumerate(entry.values):
            mated, within, across, unknown = plain_counts(
                raw, gallery, np.float32(entry.overall.threshold), code_of_probe, code_of_entry,
                wanted, related,
            )  # fmt: skip
            assert [value.fnmr.num_errors, value.fnmr.num_comparisons] == mated
            assert [value.fmr_within.num_errors, value.fmr_within.num_comparisons] == within
            assert [value.fmr_across.num_errors, value.fmr_across.num_comparisons] == across
            assert value.num_reference_unknown == unknown[1]
    mixed = sum(code_of_probe(n, r) == -2 for n in range(2) for r in range(9))
    assert mixed > 0
    assert result.num_mixed == mixed
    told = " ".join(attribute_limits(meter))
    assert f"up to {mixed} probe sets have images of several values" in told
    assert result.compared is result.errors[1]
    assert result.label == "mean, N=3"


def test_pairs_of_templates():
    """Three people with two templates each; the second of a pair is the probe."""
    names = ["1", "2", "3", "4", "5", "6"]
    meter = AttributeMeter(
        matched("template,site\n1,a\n2,b\n3,a\n4,a\n5,b\n", names), PLAN, least_people=2
    )
    first, second, similarity = [], [], []
    for one in range(6):
        for other in range(6):
            if one != other:
                first.append(one)
                second.append(other)
                similarity.append(0.9 if one // 2 == other // 2 else 0.1)
    similarity = np.array(similarity, np.float32)
    pairs = list(zip(first, second, strict=True))
    similarity[pairs.index((0, 1))] = 0.0  # a mated pair that is missed, its probe of site b
    similarity[pairs.index((0, 3))] = 0.8  # within a
    meter.add_pairs(
        "mean",
        similarity,
        np.array([one // 2 == other // 2 for one, other in pairs]),
        references=np.array(first),
        probes=np.array(second),
        people=np.arange(6) // 2,
        chunk=4,
    )
    (result,) = meter.results
    assert (result.chunk, result.num_images, result.label) == (4, None, "mean, 4 at a time")
    entry = result.errors[1]
    assert entry.overall.num_false_accepts == 1
    a, b = entry.values
    assert (a.fnmr.num_errors, a.fnmr.num_comparisons, a.fnmr.num_people) == (0, 3, 2)
    assert (b.fnmr.num_errors, b.fnmr.num_comparisons) == (1, 2)
    assert (a.fmr_within.num_errors, a.fmr_within.num_comparisons) == (1, 4)
    assert entry.unknown.fnmr.num_comparisons == 1  # of template 6, which has no row
    assert entry.false_negative.highest is b
    assert entry.false_negative.difference == pytest.approx(0.5)


def test_what_is_said_of_a_table():
    names = [f"p{n}" for n in range(5)]
    text = "person,group,site\np0,x,1\np1,x,1\np2,y,1\np3,x,1\nstranger,x,1\n"
    meter = AttributeMeter(matched(text, names), PLAN, least_people=3)
    rng = np.random.default_rng(0)
    subjects = gallery = np.array(names)
    similarity = rng.normal(0, 0.1, (5, 5)) + np.eye(5)
    rows = np.arange(5)
    meter.add_searches(
        "mean", [scores_of(similarity, subjects, gallery)], gallery,
        probe_rows=[(rows, np.arange(6))], gallery_rows=[rows], num_images=1,
    )  # fmt: skip
    told = attribute_limits(meter)
    assert told[0].startswith(
        "Attributes: 1 rows of t.csv are of no person in the data, the first 'stranger'"
    )
    assert told[1].startswith(
        "Attributes: 1 of the persons that were tested have no row in t.csv, the first 'p4'"
    )
    assert told[2] == (
        "Attribute 'group': fewer than 3 people with probes of 'y' (1). Their rates are marked and not among the "
        "largest differences."
    )
    assert told[3] == "Attribute 'site': one value, '1', so nothing to compare it with."
    assert len(told) == 4
    assert attribute_limits(None) == ()
