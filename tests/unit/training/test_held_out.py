"""Who thresholds are calibrated on."""

from __future__ import annotations

import pytest

pytest.importorskip("torch")

from probefusion.protocols.degraded_folder import People, fold_of
from probefusion.training import held_out
from probefusion.training.held_out import choose_held_out


def test_people_of_the_folds_and_of_many_a_part(monkeypatch) -> None:
    images = {f"p{k}": tuple(f"p{k}/{n}" for n in range(1 + k % 4)) for k in range(80)}
    people = People(images=images)
    folds = (1, 3)
    whole = choose_held_out(people, folds)
    assert set(whole.images) == {name for name in images if fold_of(name) in folds}
    assert choose_held_out(People(images={"p0": ("p0/0",)}), ((fold_of("p0") + 1) % 4,)) is None
    monkeypatch.setattr(held_out, "MAX_HELD_OUT", 5)
    part = choose_held_out(people, folds)
    assert sorted(len(names) >= 3 for names in part.images.values()) == [False] * 5 + [True] * 5
    assert part.images.items() <= whole.images.items()
    fewer = People(images={name: images[name] for name in [*part.images, "p0", "p1"]})
    again = choose_held_out(fewer, folds)
    assert set(again.images) == set(part.images), "names alone decide"
