"""What is planted into settings, and how answers are counted."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("cv2")

from research.setup_faults.plant import Row, table, wrong_settings
from research.setup_faults.planted_images import IMAGE_FAULTS

from probefusion.embedders import EmbedderSpec
from probefusion.reports.findings import Finding


def test_wrong_settings_are_fed_otherwise() -> None:
    right = EmbedderSpec(name="net", sha256="0" * 64, dim=8)
    planted = {fault: spec for fault, _, spec in wrong_settings(right)}
    assert planted["none"] == right
    assert planted["channels exchanged"].channel_order == "BGR"
    assert planted["scaled twice"].mean == pytest.approx((0.75,) * 3)
    assert planted["scaled twice"].std == pytest.approx((0.25,) * 3)
    assert len({(spec.channel_order, spec.mean, spec.std) for spec in planted.values()}) == 5


def test_a_scaling_beside_the_networks_own_is_the_second_one() -> None:
    raw = EmbedderSpec(name="net", sha256="0" * 64, dim=8, mean=(0,) * 3, std=(1 / 255,) * 3)
    for normalises_itself, check in ((True, "normalised-twice"), (False, "scaling")):
        planted = wrong_settings(raw, normalises_itself=normalises_itself)
        checks = {fault: expected for fault, expected, _ in planted}
        assert checks["fed x/255"] == checks["fed (x/255 - .5)/.5"] == check


def test_every_fault_changes_images(rng) -> None:
    crops = rng.integers(0, 256, (5, 112, 112, 3)).astype(np.uint8)
    for expected, plant in IMAGE_FAULTS.values():
        planted = plant(crops)
        assert len(planted) == 5
        assert expected
        assert not np.array_equal(np.asarray(planted[0]), crops[0])


def test_the_table_counts_found_missed_and_invented() -> None:
    fault = Finding(check="scaling", status="fault", evidence="", fix="")
    fine = Finding(check="scaling", status="fine", evidence="")
    where = {"data": "d", "embedder": "e"}
    rows = [
        Row(fault="none", expected="", findings=[fault], **where),
        Row(fault="wrong", expected="scaling", findings=[fault], **where),
        Row(fault="wrong", expected="scaling", findings=[fine], **where),
    ]
    assert table(rows).splitlines()[2:] == [
        "| none | 1 | - | - | - | 1 |",
        "| wrong | 2 | 1 | 0 | 1 | 0 |",
    ]
