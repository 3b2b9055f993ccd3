"""Who counts as one family."""

from __future__ import annotations

import pytest

from probefusion.errors import ConfigError
from probefusion.pipeline.kinship import Kinship


def test_families_are_cut_from_names_and_joined_by_pairs() -> None:
    """Joined in any order, also over a third."""
    kin = Kinship(related_by="_MID", related=[("F2", "F1"), ("F4", "F3"), ("F3", "F2_MID9")])
    assert len({kin.family(f"F{number}_MID{number}") for number in (1, 2, 3, 4)}) == 1
    assert kin.family("F5_MID1") == "F5"
    assert Kinship().family("F5_MID1") == "F5_MID1"
    assert Kinship(related=[("a", "b")]).family("b") == Kinship(related=[("a", "b")]).family("a")


def test_what_is_no_pair_is_refused() -> None:
    with pytest.raises(ConfigError, match="expected pairs of two names"):
        Kinship(related=[("a", "")])
