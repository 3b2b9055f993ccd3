"""States whose truth is known: made people whose images are their direction plus noise of a known strength."""

from __future__ import annotations

from dataclasses import asdict, replace

import numpy as np
import pytest

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    EmptySetError,
    FuserMismatchError,
    IntegrityError,
    InvalidInputError,
    OutputExistsError,
    ShapeError,
)
from probefusion.fusion import MeanFuser
from probefusion.fusion.contributions import Sums
from probefusion.fusion.threshold import Threshold
from probefusion.screening.fit_usability import LabelledSets, fit_usability
from probefusion.screening.gain import gain_terms, predict_gain
from probefusion.screening.usability import StateFacts, Usability, judge_state, judge_states
from probefusion.screening.usability_record import (
    UsabilityRecord,
    read_usability,
    write_usability,
)
from probefusion.types import EmbeddingSet, FusionState

DIM = 16
ONES = (1.0,) + (0.0,) * 9


def record(**changes) -> UsabilityRecord:
    """One that predicts .6 from .4 to .8 for all that lies on the first axis, and takes the opposite for no face."""
    axis = tuple(np.eye(DIM)[0].tolist())
    settings = {
        "fuser": "mean@1",
        "embedder": "net@1",
        "appearance": axis,
        "appearance_offset": 0.0,
        "likeness": axis,
        "likeness_offset": 0.0,
        "least_likeness": 0.0,
        "lower": (0.4, *ONES[1:]),
        "median": (0.6, *ONES[1:]),
        "upper": (0.8, *ONES[1:]),
        "level": 0.5,
        "false_match_rate": 1e-3,
        "coverage": 0.9,
    }
    return UsabilityRecord(**{**settings, **changes})


def state(first: float = 1.0, count: int = 3, embedder: str | None = "net@1") -> FusionState:
    rows = np.zeros((count, DIM), np.float32)
    rows[:, 0] = first
    return MeanFuser().encode(EmbeddingSet(embeddings=rows, embedder=embedder))


def test_facts_of_a_state_are_what_they_say() -> None:
    rows = np.eye(DIM, dtype=np.float32)[:4]
    sums = MeanFuser().encode_many(rows, [0, 1, 4])
    facts = StateFacts.of(sums, [1, 3])
    assert facts.coherence == pytest.approx([1.0, 1 / np.sqrt(3)])
    assert facts.log_weight == pytest.approx([0.0, 0.0])
    assert facts.variety == pytest.approx([0.0, np.log(3)])  # 1 + 3 x (1 - 1/3)
    assert facts.looks[1, 1:4] == pytest.approx([3**-0.5] * 3)


def test_copies_of_an_image_are_no_evidence() -> None:
    rows = np.tile(np.eye(DIM, dtype=np.float32)[:1], (9, 1))
    facts = StateFacts.of(MeanFuser().encode_many(rows, [0, 1, 9]), [1, 8])
    for name in ("coherence", "variety", "log_weight"):
        one, copies = getattr(facts, name)
        assert one == pytest.approx(copies, abs=1e-6), name


@pytest.mark.parametrize(
    ("changes", "verdict"),
    [
        ({}, "usable"),
        ({"level": 0.7}, "doubtful"),
        ({"level": 0.85}, "not usable"),
        ({"least_likeness": 1.5}, "not usable"),
    ],
)
def test_verdicts(changes, verdict) -> None:
    found = judge_state(state(), record(**changes))
    assert found.verdict == verdict
    assert found.is_not_usable == (verdict == "not usable")
    assert str(found).startswith(verdict)
    if "least_likeness" in changes:
        assert (found.similarity, found.interval, found.quality) == (0.0, None, 0)
        assert "do not look like faces" in found.reason
    else:
        assert found.similarity == pytest.approx(0.6)
        assert found.interval == pytest.approx((0.4, 0.8))
        assert found.quality == 60


def test_the_level_is_stated_as_thresholds_are() -> None:
    """The words of a template that is not usable and those of a comparison come from one place."""
    threshold = Threshold(
        false_match_rate=record().false_match_rate,
        similarity=0.7,
        num_images=1,
        num_non_mated=1,
        source="where usability was measured",
    )
    found = judge_state(state(), record(level=0.7))
    assert found.reason == f"the prediction is below the {threshold}"
    assert found.level == threshold.similarity


def test_what_is_not_usable_can_be_refused() -> None:
    judge_state(state(), record(level=0.7)).refuse()
    Usability.unknown("nobody measured it").refuse()
    told = r"not usable: even the upper end is below the threshold 0\.8500 at "
    with pytest.raises(InvalidInputError, match=told):
        judge_state(state(), record(level=0.85)).refuse()


def test_the_ends_never_cross_and_stay_cosines() -> None:
    found = judge_state(
        state(),
        record(lower=(0.9, *ONES[1:]), median=(0.7, *ONES[1:]), upper=(4.0, *ONES[1:])),
    )
    assert found.interval == pytest.approx((0.7, 1.0))


def test_states_of_others_are_refused() -> None:
    with pytest.raises(FuserMismatchError, match=r"mean@2.*got mean@1"):
        judge_state(state(), record(fuser="mean@2"))
    with pytest.raises(EmbedderMismatchError, match=r"net@2.*got net@1"):
        judge_state(state(), record(embedder="net@2"))
    with pytest.raises(EmbedderMismatchError, match="nobody named"):
        judge_state(state(embedder=None), record())
    with pytest.raises(ShapeError, match="expected 2 numbers"):
        judge_state(state(), record(appearance=(0.0, 1.0), likeness=(0.0, 1.0)))
    left = state() - state()
    with pytest.raises(EmptySetError):
        judge_state(left, record())


def test_a_record_comes_back_as_it_was_written(tmp_path) -> None:
    path = tmp_path / "usability.json"
    kept = record(gain=(1.0,) * 6, fitted_on={"sets": ["made"]})
    write_usability(kept, path)
    assert asdict(read_usability(path)) == asdict(kept)
    with pytest.raises(OutputExistsError):
        write_usability(kept, path)
    path.write_text(path.read_text().replace('"level": 0.5', '"level": 0.4'))
    with pytest.raises(IntegrityError, match=r"usability\.json"):
        read_usability(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"median": (0.5,)}, "median: expected 10"),
        ({"gain": (0.5,)}, "gain: expected 6"),
        ({"likeness": (0.5,)}, "as many constants in both"),
        ({"level": float("nan")}, "finite"),
        ({"coverage": 1.0}, "coverage: expected a fraction"),
    ],
)
def test_records_that_cannot_be_are_refused(changes, message) -> None:
    with pytest.raises(ConfigError, match=message):
        record(**changes)


def made_sets(rng: np.random.Generator, num_people: int, noises) -> LabelledSets:
    """People whose noise is the larger, the more their images lie off the first axis."""
    people = rng.standard_normal((num_people, DIM - 4))
    people /= np.linalg.norm(people, axis=1, keepdims=True)
    size = 8
    noise = rng.choice(noises, (num_people, 1, 1))
    rows = np.zeros((num_people, size, DIM), np.float32)
    rows[..., 4:] = people[:, None] + noise * rng.standard_normal((num_people, size, DIM - 4))
    rows[..., 0] = 1.5 - noise[..., 0] * 0.7
    gallery = np.zeros((num_people, DIM), np.float32)
    gallery[:, 4:], gallery[:, 0] = people, 1.5
    names = np.array([f"p{row:04d}" for row in range(num_people)])
    return LabelledSets(
        probes=EmbeddingSet(embeddings=rows.reshape(-1, DIM), embedder="net@1"),
        subjects=names,
        gallery=EmbeddingSet(embeddings=gallery, embedder="net@1"),
        gallery_subjects=names,
        name="made",
    )


def others(rng: np.random.Generator, count: int = 200) -> EmbeddingSet:
    rows = 0.3 * rng.standard_normal((count, DIM)).astype(np.float32)
    rows[:, 0] -= 1.5
    return EmbeddingSet(embeddings=rows, embedder="net@1")


def test_what_is_fitted_predicts_and_covers_unseen_people() -> None:
    rng = np.random.default_rng(4)
    noises = np.array([0.05, 0.3, 0.6, 1.0])
    found = fit_usability(
        MeanFuser(), [made_sets(rng, 500, noises)], others(rng), set_sizes=(1, 2, 4, 8)
    )
    unseen = made_sets(rng, 400, noises)
    states = MeanFuser().encode_many(unseen.probes, np.arange(401) * 8)
    fused = MeanFuser().finish_many(states)
    clean = MeanFuser().fuse_many(unseen.gallery, np.arange(401))
    actual = np.einsum("bd,bd->b", fused, clean)
    judged = judge_states(states, np.full(400, 8), found)
    predicted = np.array([one.similarity for one in judged])
    ends = np.array([one.interval for one in judged])
    assert np.corrcoef(predicted, actual)[0, 1] > 0.9
    covered = (actual >= ends[:, 0]) & (actual <= ends[:, 1])
    assert 0.8 <= covered.mean() <= 0.99
    black = others(rng)
    nothing = MeanFuser().encode_many(black, np.arange(201))
    assert all(one.is_not_usable for one in judge_states(nothing, np.ones(200), found))
    assert found.fitted_on["num_people"] == 500
    assert found == fit_usability(  # the same numbers again
        MeanFuser(),
        [made_sets(np.random.default_rng(4), 500, noises)],
        others(_after(np.random.default_rng(4), noises)),
        set_sizes=(1, 2, 4, 8),
    )


def _after(rng: np.random.Generator, noises) -> np.random.Generator:
    made_sets(rng, 500, noises)
    return rng


def test_members_of_a_family_are_not_compared_for_the_level() -> None:
    rng = np.random.default_rng(1)
    labelled = made_sets(rng, 60, np.array([0.1]))
    assert labelled.is_non_mated.sum() == 60 * 59
    family = replace(labelled, groups=np.array(["f"] * 2 + [str(row) for row in range(58)]))
    assert family.is_non_mated.sum() == 60 * 59 - 2


def test_too_little_to_fit_with_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(EmptySetError, match="at least 40 people and 20 other pictures"):
        fit_usability(MeanFuser(), [made_sets(rng, 10, np.array([0.1]))], others(rng))
    stranger = replace(others(rng), embedder="net@2")
    with pytest.raises(InvalidInputError, match=r"one known embedder, got net@1, net@2"):
        fit_usability(MeanFuser(), [made_sets(rng, 50, np.array([0.1]))], stranger)
    with pytest.raises(InvalidInputError, match="has no image in the gallery"):
        replace(made_sets(rng, 5, np.array([0.1])), subjects=np.array(list("abcde")))


def test_gain_is_nothing_where_the_fuser_is_the_mean() -> None:
    terms = gain_terms(
        agreement=[1.0, 0.9], effective_images=[4.0, 2.0], num_images=[4, 4], coherence=[0.8, 0.6]
    )
    assert terms[0] == pytest.approx([0, 0, 0, 0.36, 0, 0])
    assert terms[1] == pytest.approx([0.1, 0.5, 0.05, 0.64, 0.064, 0.32])
    assert predict_gain(terms, record()) is None
    told = predict_gain(terms, record(gain=(1.0, 0.0, 0.0, 0.0, 0.0, 0.5)))
    assert told == pytest.approx([0.0, 0.26])


def test_sums_of_several_clusters_count_together() -> None:
    sums = Sums(
        np.array([[1.0, 3.0]]), np.array([[[1.0, 0.0], [0.0, 3.0]]]), np.array([[[2.0], [6.0]]])
    )
    facts = StateFacts.of(sums, [4])
    assert facts.coherence == pytest.approx([np.sqrt(10) / 4])
    assert facts.looks[0] == pytest.approx([1 / np.sqrt(10), 3 / np.sqrt(10), 2.0])
