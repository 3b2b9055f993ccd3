from __future__ import annotations

import numpy as np
import pytest

from probefusion.reports.plots import line_style
from probefusion.reports.weight_colours import WeightColours, weight_limits


def test_colours_spread_over_the_weights_that_there_are() -> None:
    weights = np.geomspace(0.02, 0.06, 20)  # all within a factor of three
    colours = WeightColours(weights)
    assert [colours.place(w) for w in weights] == pytest.approx(np.linspace(0, 1, 20))
    assert len({colours.of(w) for w in weights}) == 20
    assert colours.of(0.06) == "#fde725"
    assert colours.of(0.02) == "#440154"


def test_an_image_of_no_weight_does_not_take_the_whole_scale() -> None:
    low, high = weight_limits([0.0, 0.3, 0.7])
    assert (low, high) == pytest.approx((0.0007, 0.7))
    assert WeightColours([0.0, 0.3, 0.7]).place(0.0) == 0


def test_equal_weights_have_one_colour_in_the_middle() -> None:
    colours = WeightColours([0.25] * 4)
    assert colours.place(0.25) == pytest.approx(0.5)
    assert WeightColours([1.0]).place(1.0) == pytest.approx(0.5)


def test_many_curves_all_look_different() -> None:
    assert len({tuple(line_style(index).values()) for index in range(440)}) == 440
