from __future__ import annotations

import json

import numpy as np
import pytest

from probefusion.errors import InvalidInputError, OutputExistsError
from probefusion.evaluation.degraded_folder import FolderPlan, evaluate_folder
from probefusion.evaluation.limits import folder_limits
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.sweep import sweep
from probefusion.fusion import MeanFuser, NormWeightedFuser
from probefusion.reports.degraded_folder import report_facts, write_report
from probefusion.types import EmbeddingSet

PLAN = FolderPlan(
    set_sizes=(1, 4, 8),
    false_accept_rates=(1e-5, 1e-2, 1e-1),
    decision_rate=1e-2,
    false_positive_rates=(0.01, 0.1),
    max_rank=5,
    num_replicates=200,
)


@pytest.fixture(scope="module")
def data() -> ProbeData:
    """60 people, 15 of them with two probe sets; the norm tells how noisy an image is."""
    rng = np.random.default_rng(4)
    people = rng.standard_normal((60, 24))
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    severities = np.where(rng.random((30, 8)) < 0.7, 0.95, 0.05)  # seven in ten are bad
    owners = np.repeat(np.arange(15), 2)
    noise = rng.standard_normal((30, 8, 24)) * (6 * severities)[..., None]
    images = people[owners, None] + noise
    images /= np.linalg.norm(images, axis=2, keepdims=True)
    probes = images * (1.05 - severities)[..., None]
    names = np.array([f"p{k:02d}" for k in range(60)])
    return ProbeData(
        gallery=EmbeddingSet(embeddings=people, norms_known=True),
        gallery_subjects=names,
        probes=EmbeddingSet(embeddings=probes.reshape(240, 24)),
        probe_subjects=names[owners],
        severities=severities.astype(np.float32),
        protocol="made up",
    )


@pytest.fixture(scope="module")
def assessment(data):
    return evaluate_folder(data, [MeanFuser(), NormWeightedFuser()], PLAN)


def test_figures_agree_with_the_sweep(data, assessment) -> None:
    points = sweep(
        data,
        [MeanFuser(), NormWeightedFuser()],
        set_sizes=PLAN.set_sizes,
        false_accept_rates=PLAN.false_accept_rates[1:],
    )
    for point, expected in zip(assessment.points, points, strict=True):
        assert point.fuser == expected.fuser
        assert [r.tar for r in point.verification[1:]] == [r.tar for r in expected.verification]
        assert point.rank1.estimate == pytest.approx(expected.rank1)
        assert point.cmc[0] == pytest.approx(expected.rank1)
        assert (np.diff(point.cmc) >= 0).all()
        assert point.verification_intervals[1].low <= point.verification[1].tar
        assert point.verification_intervals[1].high >= point.verification[1].tar


def test_better_fuser_is_found_better(assessment) -> None:
    at = {d.num_images: d for d in assessment.differences}
    assert at[1].paired.difference == 0
    assert at[8].paired.difference > 0.05
    assert at[8].paired.low > 0
    assert at[8].adjusted_p_value < 0.05
    assert at[8].adjusted_p_value >= at[8].paired.p_value


def test_weights_follow_quality_only_where_the_fuser_looks_at_it(assessment) -> None:
    mean, weighted = (assessment.weight_by_severity[n] for n in ("mean", "norm-weighted"))
    assert np.allclose(mean[~np.isnan(mean)], 1, atol=1e-5)
    assert weighted[0] > 1.1 > 0.9 > weighted[-1]


def test_searches_without_the_own_person_set_the_threshold(data, assessment) -> None:
    """TPIR at FPIR 1 % with 30 searches: unresolved, told so, not zero."""
    entry = assessment.points[0].tpir[0]
    assert not entry.resolved
    facts = report_facts(assessment, {})["points"][0]["tpir_at_fpir"][0]
    nothing = {"estimate": None, "low": None, "high": None, "num_false_positives": None}
    assert facts == {"fpir": 0.01, "resolved": False, **nothing}


def test_report_files(tmp_path, assessment) -> None:
    pytest.importorskip("matplotlib")
    folder = tmp_path / "report"
    limits = folder_limits(assessment)
    write_report(assessment, folder, title="A <test>", facts={"data": "made up"}, limits=limits)
    content = json.loads((folder / "report.json").read_text(), parse_constant=pytest.fail)
    assert content["report_version"] == 1
    assert content["num_people"] == 15
    assert content["points"][0]["tar_at_far"][0]["resolved"] is False
    assert content["points"][0]["tar_at_far"][0]["tar"] is None
    assert len(content["differences"]) == 3
    page = (folder / "report.html").read_text()
    assert "A &lt;test&gt;" in page
    assert page.count("data:image/png;base64,") == 4
    assert "http://" not in page
    assert "https://" not in page
    table = (folder / "report.md").read_text()
    assert "## TAR at FAR 0.01" in table
    assert "## TAR at FAR 1e-05" not in table  # no figure in it: the limits say why
    assert "TAR at FAR 1e-05: 1,770 comparisons of different people" in table
    assert "Tables without any figure are left out." in table
    assert "| norm-weighted |" in table
    searches = table.split("## TPIR at FPIR 0.1\n")[1].split("##")[0]
    assert (
        searches.count("] (3 FP) |") == 6
    )  # 30 searches permit three, for two fusers at three sizes
    for name in ("tar", "roc", "cmc", "severity"):
        assert (folder / f"{name}.png").read_bytes().startswith(b"\x89PNG")
    with pytest.raises(OutputExistsError):
        write_report(assessment, folder, title="again", facts={})
    write_report(assessment, folder, title="again", facts={}, force=True)


def test_fusers_must_differ(data) -> None:
    with pytest.raises(InvalidInputError, match="each once"):
        evaluate_folder(data, [MeanFuser(), MeanFuser()], PLAN)
    with pytest.raises(InvalidInputError, match="each once"):
        evaluate_folder(data, [], PLAN)


def test_report_without_a_resolved_rate(tmp_path, data) -> None:
    """Too few comparisons for any rate: told in words, drawn without a curve."""
    pytest.importorskip("matplotlib")
    plan = FolderPlan(set_sizes=(1, 2), false_accept_rates=(1e-5, 1e-4), num_replicates=100)
    few = evaluate_folder(data, [MeanFuser(), NormWeightedFuser()], plan)
    assert not few.differences[0].paired.resolved
    write_report(few, tmp_path / "report", title="few", facts={})
    content = json.loads((tmp_path / "report" / "report.json").read_text())
    assert content["differences"][0]["difference"] is None
    assert "minus that of" not in (tmp_path / "report" / "report.md").read_text()


def test_fusers_are_compared_at_the_strictest_rate_that_is_resolved(tmp_path, data) -> None:
    """1,770 comparisons of different people are enough for 1 in 1,000, not for 1 in 10,000."""
    pytest.importorskip("matplotlib")
    plan = FolderPlan(set_sizes=(1, 2), num_replicates=100)
    few = evaluate_folder(data, [MeanFuser(), NormWeightedFuser()], plan)
    assert few.compared_rate == 1e-3
    assert {difference.paired.target for difference in few.differences} == {1e-3}
    limits = folder_limits(few)
    assert any("compared at FAR 0.001" in limit and "of 0.0001" in limit for limit in limits)
    write_report(few, tmp_path / "report", title="few", facts={}, limits=limits)
    assert "TAR at FAR 0.001 minus that of mean" in (tmp_path / "report" / "report.md").read_text()


def test_fusers_are_compared_at_the_planned_rate_where_stricter_ones_are_resolved(data) -> None:
    plan = FolderPlan(
        set_sizes=(1,), false_accept_rates=(1e-3, 1e-2), decision_rate=1e-2, num_replicates=100
    )
    assert evaluate_folder(data, [MeanFuser()], plan).compared_rate == 1e-2


def test_fusers_of_another_embedder_are_refused_before_the_work(fuser_folders) -> None:
    from probefusion.errors import EmbedderMismatchError
    from probefusion.evaluation.scoring import check_fusers
    from probefusion.zoo import load_fuser

    fusers = [MeanFuser(), load_fuser(fuser_folders["exact"])]
    assert check_fusers(fusers, "net@1")[0] == "mean"
    with pytest.raises(EmbedderMismatchError, match="other@1"):
        check_fusers(fusers, "other@1")


def test_a_bootstrap_too_coarse_for_so_many_differences_is_told(data) -> None:
    """Three differences need 119 replicates: 3 x 2 / 120 = .05."""
    for replicates in (118, 119):
        plan = FolderPlan(
            set_sizes=(1, 4, 8),
            false_accept_rates=(1e-2,),
            decision_rate=1e-2,
            num_replicates=replicates,
        )
        found = evaluate_folder(data, [MeanFuser(), NormWeightedFuser()], plan)
        least = min(difference.adjusted_p_value for difference in found.differences)
        told = [limit for limit in folder_limits(found) if limit.startswith("Differences: ")]
        assert (least <= 0.05) == (replicates == 119)
        assert len(told) == (replicates == 118)
        assert all("Give 119 replicates or more" in limit for limit in told)


def test_fusers_without_the_lengths_they_need_are_refused_before_the_work(data) -> None:
    from probefusion.errors import MissingNormsError
    from probefusion.evaluation.scoring import check_fusers
    from probefusion.zoo import load_fuser

    fusers = [MeanFuser(), load_fuser("norm-weighted")]
    assert check_fusers(fusers, "net@1", norms_known=True) == ["mean", "norm-weighted"]
    assert check_fusers(fusers[:1], "net@1", norms_known=False) == ["mean"]
    with pytest.raises(MissingNormsError, match=r"'norm-weighted'.*net@1 are all of length 1"):
        check_fusers(fusers, "net@1", norms_known=False)
