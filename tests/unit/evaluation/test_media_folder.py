"""Fusers on media-folder: figures against plain loops, relatives, people with few images, reports."""

from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.errors import InvalidInputError, OutputExistsError
from probefusion.evaluation.licensed import EmbeddedRows
from probefusion.evaluation.limits import media_limits
from probefusion.evaluation.media_folder import evaluate_media, media_columns
from probefusion.evaluation.media_results import MEDIUM, MediaPlan
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.protocols.media_images import MediaImages
from probefusion.protocols.media_protocol import MediaFolderProtocol
from probefusion.protocols.people import People
from probefusion.protocols.size_classes import SizeClass
from probefusion.reports.media_folder import media_report_facts, write_media_report
from probefusion.types import EmbeddingSet

PLAN = MediaPlan(
    false_accept_rates=(1e-4, 1e-2, 1e-1),
    decision_rate=1e-2,
    false_positive_rates=(0.01, 0.2),
    num_replicates=100,
)
NUM_PEOPLE = 14


def made_up(relatives: str | None = None, **options):
    """14 people, the last with one medium; small faces are noisy and their embeddings short."""
    rng = np.random.default_rng(8)
    images, media, widths, embeddings = {}, {}, {}, {}
    for person in range(NUM_PEOPLE):
        name = f"F{person // 2}_P{person:02}"
        own = rng.standard_normal(16)
        for medium in range(1 if person == NUM_PEOPLE - 1 else 2 + person % 3):
            for number in range(1 + (person + 2 * medium) % 5):
                image = f"{name}/m{medium}/{number}.jpg"
                images.setdefault(name, []).append(image)
                media[image] = f"m{medium}"
                small = number % 2 == 0
                if number != 3:
                    widths[image] = 30.0 if small else 90.0
                noisy = own + rng.standard_normal(16) * (2.5 if small else 0.8)
                embeddings[image] = noisy / np.linalg.norm(noisy) * (0.3 if small else 1.0)
    protocol = MediaFolderProtocol(
        images=MediaImages(people=People(images=images), media=media, face_px=widths),
        size_classes=(SizeClass(high=60), SizeClass(low=60)),
        set_sizes=(1, 2, 4),
        num_sets=5,
        relatives=relatives,
        **options,
    )
    rows = np.array([embeddings[name] for name in protocol.sources])
    return protocol, EmbeddedRows(
        images=EmbeddingSet(embeddings=rows), position=np.arange(len(rows))
    )


@pytest.fixture(scope="module")
def data():
    return made_up()


@pytest.fixture(scope="module")
def result(data):
    protocol, rows = data
    return evaluate_media(protocol, rows, [MeanFuser(), NormWeightedFuser()], PLAN)


def plain_scores(protocol, rows, sets, *, related=lambda a, b: False):
    """Mated and non-mated similarities of the mean, in a plain loop; sets are (r, person, rows)."""
    units = rows.images.embeddings / np.linalg.norm(rows.images.embeddings, axis=1)[:, None]
    names = protocol.split.subjects.tolist()
    mated, non_mated, firsts = {}, [], {}
    for replicate, person, images in sets:
        template = units[images].mean(axis=0)
        template /= np.linalg.norm(template)
        all_scores = [units[k] @ template for k in protocol.split.gallery[replicate]]
        others = [
            score
            for other, score in enumerate(all_scores)
            if other != person and not related(names[other], names[person])
        ]
        mated.setdefault(person, []).append(all_scores[person])
        firsts.setdefault(person, []).append(all_scores[person] > max(others))
        non_mated += others
    return mated, non_mated, firsts


def per_person(values):
    return float(np.mean([np.mean(mine) for mine in values.values()]))


def drawn(protocol, size_class, size):
    (draw,) = (
        d for d in protocol.split.draws if (d.size_class.text, d.num_images) == (size_class, size)
    )
    return [
        (r, int(person), rows)
        for r in range(protocol.num_sets)
        for person, rows in zip(draw.people, draw.rows[r], strict=True)
    ]


def whole_media(protocol, size_class):
    (probes,) = (p for p in protocol.split.medium_probes if p.size_class.text == size_class)
    return [
        (int(r), int(person), probes.rows[begin:end])
        for r, person, begin, end in zip(
            probes.replicates, probes.people, probes.offsets[:-1], probes.offsets[1:], strict=True
        )
    ]


@pytest.mark.parametrize("size_class", ["all", "..60", "60.."])
@pytest.mark.parametrize("size", [1, 2, 4, MEDIUM])
def test_figures_are_those_of_a_plain_loop(data, result, size_class, size):
    protocol, rows = data
    point = result.point("mean", size_class, size)
    column = next(c for c in result.columns if (c.size_class, c.num_images) == (size_class, size))
    assert (point is not None) == column.is_measured
    if point is None:
        return
    sets = (
        whole_media(protocol, size_class) if size == MEDIUM else drawn(protocol, size_class, size)
    )
    mated, non_mated, firsts = plain_scores(protocol, rows, sets)
    assert len(sets) == column.num_sets == point.num_searches
    assert len(mated) == column.num_people
    rate = point.verification[2]
    assert (rate.num_mated, rate.num_non_mated) == (len(sets), len(sets) * (NUM_PEOPLE - 1))
    limit = np.sort(non_mated)[::-1][int(0.1 * len(non_mated))]
    accepted = {person: np.array(mine) > limit + 1e-6 for person, mine in mated.items()}
    assert rate.num_true_accepts == sum(int(mine.sum()) for mine in accepted.values())
    assert point.verification_intervals[2].estimate == pytest.approx(per_person(accepted))
    assert point.rank1.estimate == pytest.approx(per_person(firsts))
    # Mean and raw gallery are one for a single image.
    assert point.raw_gallery[2].estimate == pytest.approx(point.verification_intervals[2].estimate)


def test_medium_sets_differ_in_number_and_people_count_alike(result):
    """In the class of small faces some media have none, so that people have 1 to 5 sets."""
    column = next(c for c in result.columns if (c.size_class, c.num_images) == ("60..", MEDIUM))
    assert column.num_empty > 0
    assert column.num_sets < column.num_people * result.num_sets
    point = result.point("mean", "60..", MEDIUM)
    by_comparison = point.verification[2].tar
    assert by_comparison != pytest.approx(point.verification_intervals[2].estimate, abs=1e-4)


def test_relatives_are_no_non_mates():
    pattern = "^(?P<family>F[0-9]+)_"
    protocol, rows = made_up(relatives=pattern)
    found = evaluate_media(protocol, rows, [MeanFuser()], PLAN)
    point = found.point("mean", "all", 2)
    sets = drawn(protocol, "all", 2)
    mated, non_mated, firsts = plain_scores(
        protocol, rows, sets, related=lambda a, b: a.split("_")[0] == b.split("_")[0]
    )
    assert point.verification[0].num_non_mated == len(non_mated) == len(sets) * (NUM_PEOPLE - 2)
    limit = np.sort(non_mated)[::-1][int(0.1 * len(non_mated))]
    accepted = {person: np.array(mine) > limit + 1e-6 for person, mine in mated.items()}
    assert point.verification_intervals[2].estimate == pytest.approx(per_person(accepted))
    assert point.rank1.estimate == pytest.approx(per_person(firsts))
    assert found.counts["num_families"] == NUM_PEOPLE // 2
    # The sets are the same: families matter to the scores alone.
    plain, _ = made_up()
    assert np.array_equal(plain.split.gallery, protocol.split.gallery)


def test_a_fuser_that_looks_at_quality_is_found_better(result):
    at = {(d.size_class, d.num_images): d for d in result.differences}
    assert at["all", 1].paired.difference == 0
    assert at["all", 4].paired.difference > 0
    assert {d.reference for d in result.differences} == {"mean"}
    assert len(result.differences) == sum(column.is_measured for column in result.columns)
    assert all(
        d.adjusted_p_value >= d.paired.p_value for d in result.differences if d.paired.resolved
    )


def test_columns_count_everybody(data):
    protocol, _ = data
    columns = media_columns(protocol.split)
    assert [column.num_images for column in columns] == [1, 2, 4, MEDIUM] * 3
    assert {column.num_people + column.num_too_few for column in columns} == {NUM_PEOPLE - 1}
    whole = [column for column in columns if column.num_images == MEDIUM]
    assert whole[0].num_empty == 0
    assert all(low <= middle <= high for low, middle, high in (c.quartiles for c in whole))


def test_a_column_without_people_is_not_measured():
    protocol, rows = made_up()
    many = MediaFolderProtocol(images=protocol.images, set_sizes=(1, 500), num_sets=2)
    found = evaluate_media(many, rows, [MeanFuser()], PLAN)
    assert found.point("mean", "all", 500) is None
    assert found.point("mean", "all", 1) is not None
    column = next(c for c in found.columns if c.num_images == 500)
    assert (column.num_people, column.num_too_few, column.is_measured) == (0, 13, False)
    limits = " ".join(media_limits(found, many.split))
    assert "Faces all, N = 500: fewer than two people" in limits


def test_a_bootstrap_too_coarse_for_so_many_differences_is_told(data, result):
    """With 100 replicates no p-value is below 2 / 101, too much for Holm over three or more."""
    protocol, _ = data
    resolved = sum(difference.paired.resolved for difference in result.differences)
    assert resolved > 2
    least = min(d.adjusted_p_value for d in result.differences if d.paired.resolved)
    assert least > 0.05
    limits = " ".join(media_limits(result, protocol.split))
    assert f"Differences: there are {resolved}, each from 100 replicates" in limits
    assert f"Give {40 * resolved - 1:,} replicates or more" in limits


def test_limits_say_what_is_open(data, result):
    protocol, _ = data
    limits = media_limits(result, protocol.split)
    assert limits[0].startswith("Replicates: 5 galleries")
    assert "at most 169 pairs of probe person and other person" in limits[0]  # 13 x 13
    text = " ".join(limits)
    assert "Faces all, N = 1, 2, 4 and whole medium: 13, " in text
    assert "TAR at FAR 0.0001 of faces all" in text
    assert "it needs 10,000" in text
    assert "TPIR at FPIR 0.01 of faces all, N = 1" in text
    assert "65" in text


def test_report_files(tmp_path, data, result):
    pytest.importorskip("matplotlib")
    protocol, _ = data
    folder = tmp_path / "report"
    limits = media_limits(result, protocol.split)
    write_media_report(result, folder, title="A <test>", facts={"data": "made up"}, limits=limits)
    content = json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    assert content["report_version"] == 1
    assert (content["num_gallery"], content["num_sets"]) == (14, 5)
    assert len(content["columns"]) == 12
    assert content["columns"][3]["num_images"] == "medium"
    assert content["columns"][3]["num_too_few"] == 0
    first = content["points"][0]
    assert first["tar_at_far"][0] == first["tar_at_far"][0] | {"resolved": False, "tar": None}
    assert first["tar_at_far"][2]["tar"] is not None
    page = (folder / "report.html").read_text()
    assert "A &lt;test&gt;" in page
    assert page.count("data:image/png;base64,") == 4
    assert "https://" not in page
    table = (folder / "report.md").read_text()
    assert "## Probe people (in brackets: people with too few images)" in table
    assert "## All faces: TAR at FAR 0.01" in table
    assert "## Faces ..60 px: rank-1 identification rate" in table
    assert "## All faces: TAR at FAR 0.0001" not in table  # no figure in it
    assert "14 people in the gallery, 1 of them with one medium only" in table
    for point in content["points"]:
        count = point["tpir_at_fpir"][1]["num_false_positives"]
        assert (
            0 < count <= point["num_searches"] // 5
        )  # fewer where equal searches are one too many
    searches = table.split("## Faces ..60 px: TPIR at FPIR 0.2\n")[1].split("##")[0]
    few = [
        point["tpir_at_fpir"][1]["num_false_positives"]
        for point in content["points"]
        if point["size_class"] == "..60" and point["tpir_at_fpir"][1]["num_false_positives"] < 10
    ]
    assert few
    for count in set(few):
        assert searches.count(f"] ({count} FP) |") == few.count(count)
    for name in ("tar-0", "tar-1", "tar-2", "roc"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputExistsError):
        write_media_report(result, folder, title="again", facts={})
    write_media_report(result, folder, title="again", facts={}, force=True)


def test_report_of_one_fuser_without_a_resolved_rate(tmp_path, data):
    pytest.importorskip("matplotlib")
    protocol, rows = data
    plan = MediaPlan(false_accept_rates=(1e-5,), decision_rate=1e-5, num_replicates=100)
    found = evaluate_media(protocol, rows, [MeanFuser()], plan)
    write_media_report(found, tmp_path / "report", title="few", facts={})
    table = (tmp_path / "report" / "report.md").read_text()
    assert "TAR at FAR" not in table.split("```json")[0].replace("TAR at FAR 1e-05 and rank", "")
    facts = media_report_facts(found, {})
    assert facts["points"][0]["tar_at_far"][0]["tar"] is None


def test_fusers_must_differ(data):
    protocol, rows = data
    with pytest.raises(InvalidInputError, match="each once"):
        evaluate_media(protocol, rows, [MeanFuser(), MeanFuser()], PLAN)


def test_progress_counts_fusers_and_columns(data):
    protocol, rows = data
    told = []
    found = evaluate_media(
        protocol, rows, [MeanFuser()], PLAN, progress=lambda *count: told.append(count)
    )
    total = sum(column.is_measured for column in found.columns)
    assert told == [(k + 1, total) for k in range(total)]
