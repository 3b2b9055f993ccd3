"""Settings beside all others, on a network that is made so that it can only be fed in one way."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.embedders.feeding_faults import check_feeding, prefers, twice
from probefusion.embedders.guess import SCALINGS


def test_prefers_counts_face_by_face() -> None:
    base = np.linspace(0, 1, 20).astype(np.float32)
    clear = prefers(base + 0.1, base)
    assert clear.gain == pytest.approx(0.1, abs=1e-6)
    assert clear.is_clear
    assert not prefers(base, base).is_clear
    noise = np.random.default_rng(0).normal(0.01, 0.5, 20).astype(np.float32)
    assert not prefers(base + noise, base).is_clear
    assert not prefers(base[:1] + 1, base[:1]).is_clear


@pytest.mark.parametrize(("mean", "std", "expected"), [
    ((0.5,) * 3, (0.5,) * 3, False),
    ((0.75,) * 3, (0.25,) * 3, True),  # (x/255 - .5)/.5, twice
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), False),
    ((0.0,) * 3, (1.0,) * 3, False),
])  # fmt: skip
def test_scaled_twice(mean, std, expected) -> None:
    assert twice(mean, std) is expected


def test_none_of_the_usual_scalings_is_taken_for_two() -> None:
    for mean, std in SCALINGS.values():
        assert not twice(mean, std)
        assert not twice(mean[::-1], std[::-1])


class _Views:
    """Stands for a network: its gap by scaling and order, for each of `count` people."""

    def __init__(self, gaps, count=20):
        self.gaps_of, self.count = gaps, count

    def __len__(self):
        return self.count

    def few(self, count):
        return _Views(self.gaps_of, min(count, self.count))

    def embed(self, scale, order):
        name = next((name for name, usual in SCALINGS.items() for step in (1, -1)
                     if np.allclose(usual, (scale[0][::step], scale[1][::step]))), "other")  # fmt: skip
        return _View(self.gaps_of.get((name, order), 0.05), self.count)


class _View:
    def __init__(self, gap, count):
        self.gap, self.faces = gap, np.zeros((count, 2), np.float32)

    def gaps(self, rows):
        noise = np.random.default_rng(0).normal(0, 0.01, len(self.faces))
        return (self.gap + noise + self.gap * noise)[rows].astype(np.float32)

    def people(self):
        return list(range(len(self.faces)))


HALF, RAW = "(x/255 - .5)/.5", "x, 0 to 255"
GAPS = {(HALF, "RGB"): 0.6, (HALF, "BGR"): 0.5, ("x/255", "RGB"): 0.55}


def spec(scaling=HALF, order="RGB", **changes):
    from probefusion.embedders import EmbedderSpec
    from probefusion.embedders.guess import mean_and_std

    mean, std = mean_and_std(scaling, order)
    given = {"channel_order": order, "mean": mean, "std": std, **changes}
    return EmbedderSpec(name="net", sha256="0" * 64, dim=16, **given)


@pytest.mark.parametrize(("settings", "wrong_scaling", "exchanged"), [
    (spec(), False, False),
    (spec(order="BGR"), False, True),
    (spec("x/255"), True, False),
    (spec(RAW), True, False),
    (spec(RAW, "BGR"), True, True),
    (spec(mean=(0.75,) * 3, std=(0.25,) * 3), True, False),
])  # fmt: skip
def test_what_is_found(settings, wrong_scaling, exchanged) -> None:
    found = check_feeding(_Views(GAPS), settings)
    assert found.can_be_told
    assert (found.best.scaling, found.best.channel_order) == (HALF, "RGB")
    assert found.has_wrong_scaling is wrong_scaling
    assert found.has_exchanged_channels is exchanged


def test_orders_that_do_as_well_are_not_told() -> None:
    found = check_feeding(_Views({**GAPS, (HALF, "BGR"): 0.6}), spec(order="BGR"))
    assert not found.has_exchanged_channels
    assert not found.order_is_clear


def test_few_people_or_no_gap_tell_nothing() -> None:
    assert not check_feeding(_Views(GAPS, 6), spec("x/255")).can_be_told
    people = ["one"] * 20
    found = check_feeding(_Views(GAPS), spec("x/255"), people=people)
    assert not found.has_wrong_scaling
    assert not check_feeding(_Views({}), spec("x/255")).can_be_told
