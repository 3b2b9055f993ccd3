"""The draws of the open protocol: known, as written, independent, evenly spread."""

from __future__ import annotations

import hashlib
import math
from dataclasses import replace

import numpy as np
import pytest
from made_up_people import ALL, make_people

from probefusion.protocols.degraded_folder import DegradedFolderProtocol, ProbeImage, fold_of


def test_draws_are_known():
    """Numbers worked out apart from the code: the same on every machine and in every release."""
    protocol = DegradedFolderProtocol(people=make_people(), folds=ALL)
    probe = protocol.probe_set("Person_005", 1, 3)
    assert probe.images == tuple(
        ProbeImage(source=f"Person_005/{number}.png", severity=severity, seed=seed)
        for number, severity, seed in (
            (2, 0.7050468052414574, 2010263478335340133),
            (4, 0.6240693143646323, 16332113918249329702),
            (5, 0.7063194400151744, 10364629593744536837),
        )
    )


@pytest.mark.parametrize("mix", ["hard", "mixed", "clean"])
def test_draws_follow_the_written_definition(mix):
    people = make_people(30)
    protocol = DegradedFolderProtocol(people=people, folds=ALL, mix=mix, seed=11)
    for subject in protocol.probe_subjects[:5]:
        others = people.images[subject][1:]
        for position, image in enumerate(protocol.probe_set(subject, 2, 64).images):
            text = f"degraded-folder/v1|11|{mix}|2|{position}|{subject}"
            digest = hashlib.sha256(text.encode("utf-8")).hexdigest()
            words = [int(digest[start : start + 16], 16) for start in (0, 16, 32, 48)]
            t1, t2 = (math.floor(word / 2**11) / 2**53 for word in words[1:3])
            severity = {
                "hard": 1 - 0.4 * t2 if t1 < 0.85 else 0.6 * t2,
                "mixed": t2,
                "clean": 0.0,
            }[mix]
            assert image.source == others[words[0] % len(others)]
            assert image.severity == pytest.approx(severity, abs=1e-12)
            assert image.seed == words[3]


def test_draws_do_not_depend_on_anything_else():
    few, many = make_people(12), make_people(60)
    small = DegradedFolderProtocol(people=few, folds=ALL, set_sizes=(1, 8), num_sets=2)
    large = DegradedFolderProtocol(
        people=many, folds=tuple({fold_of(name) for name in few.images}), set_sizes=(64, 100)
    )
    for subject in small.probe_subjects:
        for index in range(2):
            whole = large.probe_set(subject, index, 100).images
            assert small.probe_set(subject, index, 8).images == whole[:8]
            assert large.probe_set(subject, index, 3).images == whole[:3]


def test_everything_that_should_changes_the_draws():
    people = make_people()
    base = DegradedFolderProtocol(people=people, folds=ALL)
    seeds = {image.seed for image in base.probe_set("Person_005", 0, 64).images}
    others = [
        base.probe_set("Person_005", 1, 64),
        base.probe_set("Person_011", 0, 64),
        replace(base, seed=1).probe_set("Person_005", 0, 64),
        replace(base, mix="mixed").probe_set("Person_005", 0, 64),
    ]
    assert len(seeds) == 64
    for other in others:
        assert not seeds & {image.seed for image in other.images}


@pytest.mark.parametrize(("mix", "share_bad", "mean"), [("hard", 0.85, 0.725), ("mixed", 0.4, 0.5)])
def test_severities_have_their_shares(mix, share_bad, mean):
    protocol = DegradedFolderProtocol(people=make_people(60), folds=ALL, mix=mix)
    severities = np.array([i.severity for probe in protocol.probe_sets(64) for i in probe.images])
    assert len(severities) > 10_000 - 1_000
    spread = 4 * math.sqrt(0.25 / len(severities))
    assert abs((severities > 0.6).mean() - share_bad) < spread
    assert abs(severities.mean() - mean) < spread
    for low, high in ((0.0, 0.6), (0.6, 1.0)):  # uniform on either side
        part = severities[(severities > low) & (severities <= high)]
        assert abs(part.mean() - (low + high) / 2) < 4 * (high - low) / math.sqrt(12 * len(part))
    assert severities.min() >= 0
    assert severities.max() <= 1


def test_images_are_drawn_evenly():
    protocol = DegradedFolderProtocol(people=make_people(60), folds=ALL)
    counts = np.zeros(5)
    for probe in protocol.probe_sets(64):
        others = protocol.people.images[probe.subject_id][1:]
        if len(others) == 5:
            counts += [sum(image.source == name for image in probe.images) for name in others]
    expected = counts.sum() / 5
    assert expected > 400
    assert (np.abs(counts - expected) < 4 * math.sqrt(expected)).all()


def test_clean_mix_is_clean():
    protocol = DegradedFolderProtocol(people=make_people(), folds=ALL, mix="clean")
    assert {i.severity for probe in protocol.probe_sets(64) for i in probe.images} == {0.0}
