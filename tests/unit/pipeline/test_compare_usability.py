"""`compare`, `search` and `compare_people` know how poor templates are that were fused before."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.support.judged_fusers import judged_fuser, some_images

from probefusion.errors import NotUsableError
from probefusion.pipeline import Pipeline
from probefusion.types import Template, TemplateSet

POOR = "the threshold is not verified for faces this poor"
UNKNOWN = "how poor its images are is not known (its template came without an estimate)"


@pytest.fixture(scope="module")
def pipelines(tmp_path_factory):
    root = tmp_path_factory.mktemp("fusers")
    return lambda verdict: Pipeline(fuser=judged_fuser(root, verdict))


def saved(pipeline, person, path, **changes):
    replace(pipeline.fuse(some_images(person)).template, **changes).save(path)
    return path


@pytest.mark.parametrize(
    ("verdict", "doubts", "problems"),
    [("usable", 0, 0), ("doubtful", 2, 0), ("not usable", 2, 2), ("no face", 2, 2)],
)
def test_two_saved_templates(pipelines, tmp_path, verdict, doubts, problems) -> None:
    pipeline = pipelines(verdict)
    paths = [saved(pipeline, person, tmp_path / f"{person}.npz") for person in (1, 2)]
    found = pipeline.compare(*paths)
    assert [each.verdict for each in found.usability] == [
        verdict.replace("no face", "not usable")
    ] * 2
    assert sum(POOR in text for text in (*found.warnings, *found.problems)) == doubts
    assert len([*found.warnings, *found.problems]) == doubts  # each side in one line
    assert [text[:14] for text in found.problems] == ["A: not usable:", "B: not usable:"][:problems]
    assert found.usability == tuple(Template.load(path).usability for path in paths)


def test_templates_of_before_say_once_that_nothing_is_known(pipelines, tmp_path) -> None:
    pipeline = pipelines("usable")
    old = saved(pipeline, 1, tmp_path / "old.npz", usability=None)
    new = saved(pipeline, 2, tmp_path / "new.npz")
    found = pipeline.compare(old, new)
    assert [each.verdict for each in found.usability] == ["not known", "usable"]
    doubts = [text for text in found.warnings if "not known" in text]
    assert doubts == [f"A: {UNKNOWN}, so nor is whether the threshold holds for them"]
    assert found.problems == ()


def test_strict_refuses_a_saved_template_that_is_not_usable(pipelines, tmp_path) -> None:
    pipeline = pipelines("usable")
    good = saved(pipeline, 1, tmp_path / "good.npz")
    bad_one = pipelines("not usable").fuse(some_images(2)).template
    bad = saved(pipeline, 2, tmp_path / "bad.npz", usability=bad_one.usability)
    with pytest.raises(NotUsableError, match="B: their template is not usable: even the upper end"):
        pipeline.compare(good, bad, strangers="refuse")
    assert pipeline.compare(good, good, strangers="refuse").problems == ()


def test_one_person_among_many(pipelines) -> None:
    pipeline = pipelines("usable")
    bad = pipelines("not usable").fuse(some_images(3)).template.usability
    templates = {name: pipeline.fuse(some_images(p)).template for p, name in enumerate("abcd")}
    templates["b"] = replace(templates["b"], usability=None)
    templates["d"] = replace(templates["d"], usability=bad)
    among = TemplateSet.of(templates)
    assert among.not_usable == ("d",)
    found = {each.ids[1]: each for each in pipeline.search(some_images(3), among)}
    assert [found[name].usability[1].verdict for name in "abcd"] == [
        *("usable", "not known", "usable", "not usable")
    ]
    assert found["a"].problems == ()
    (problem,) = found["d"].problems
    assert problem.startswith(f"its candidate: {bad}; {POOR}: ")
    assert not any(POOR in text for text in found["d"].warnings)
    assert sum(UNKNOWN in text for text in found["b"].warnings) == 1
    pairs = {each.ids[0]: each for each in pipeline.compare_people(among)}
    assert pairs["d"].usability[0].verdict == "not usable"
    assert pairs["d"].problems[0].startswith(f"A: {bad}; {POOR}: ")


def test_people_of_a_folder_keep_it_in_their_file(tmp_path, pipelines) -> None:
    cv2 = pytest.importorskip("cv2")
    from probefusion.evaluation.drawn_people import draw_crop

    for name, person in (("ann", 1), ("bob", 2)):
        (tmp_path / "people" / name).mkdir(parents=True)
        for place in range(2):
            path = tmp_path / "people" / name / f"{place}.png"
            cv2.imwrite(str(path), draw_crop(person, place))
    fused = Pipeline("compact_128d", fuser="exact", aligned=True).fuse_people(tmp_path / "people")
    fused.templates.save(tmp_path / "people.npz")
    again = TemplateSet.load(tmp_path / "people.npz")
    for name in ("ann", "bob"):
        assert again[name].usability == fused.usabilities[name]
        assert again[name].usability.verdict != "not known"
