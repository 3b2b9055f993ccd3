"""Whom a benchmark's templates show, as far as its files tell."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
from small_ijb import write_small_ijb

from probefusion.protocols import TemplateIndex, VerificationPairs
from probefusion.protocols.licensed import open_benchmark
from probefusion.protocols.template_people import (
    subjects_of_templates,
    template_names,
    template_people,
)


def test_templates_of_ijb_have_their_ids_and_the_subjects_of_the_searches(tmp_path: Path) -> None:
    write_small_ijb(tmp_path / "IJBC", num_people=3)
    found = open_benchmark("ijbc", tmp_path / "IJBC", check_counts=False, check_images=False)
    assert template_names(found) == ["100", "101", "102", "500", "501", "502"]
    assert subjects_of_templates(found) == ["0", "1", "2", "0", "1", "2"]
    assert template_people(found).tolist() == [0, 1, 2, 0, 1, 2]


def test_mated_pairs_tell_who_is_one_person_where_no_table_does() -> None:
    index = TemplateIndex.from_columns([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 5, 6])
    pairs = VerificationPairs(
        first=np.array([3, 4, 0, 1]),
        second=np.array([4, 2, 1, 5]),
        mated=np.array([True, True, False, False]),
    )
    bare = SimpleNamespace(
        templates=index, template_names=(), person_of=(), searches=(), pairs=pairs
    )
    assert subjects_of_templates(bare) == [""] * 6
    assert template_people(bare).tolist() == [0, 1, 2, 2, 2, 5]
    named = SimpleNamespace(
        templates=index,
        template_names=["a/1", "a/2", "b/1", "b/2", "c/1", "d/1"],
        person_of=["a", "a", "b", "b", "", "d"],
        searches=(),
        pairs=None,
    )
    assert template_names(named)[1] == "a/2"
    assert template_people(named).tolist() == [0, 0, 2, 2, 4, 5]
