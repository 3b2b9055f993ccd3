"""What is said of an embedder's settings: the fault, its numbers and what to set."""

from __future__ import annotations

import pytest

from probefusion.embedders.feeding_faults import FeedingCheck, Preference
from probefusion.embedders.guess import Feeding
from probefusion.embedders.network_faults import NetworkCheck
from probefusion.reports.embedder_findings import feeding_findings, store_finding
from probefusion.screening.store_rows import StoreCheck

HALF, RAW = "(x/255 - .5)/.5", "x, 0 to 255"
CLEAR, UNCLEAR = Preference(gain=0.3, t=20.0), Preference(gain=0.001, t=0.5)


def network(**changes):
    facts = {
        "repeats_differ": 0.0,
        "neighbours_differ": 0.0,
        "training_nodes": (),
        "unused_norm": None,
    }
    facts |= {"normalises_itself": False, "norm_candidates": ()}
    return NetworkCheck(**{**facts, **changes})


def check(stated, best, *, exchanged=CLEAR, is_twice=False, num_people=25):
    feedings = [Feeding(scaling=name, channel_order=order, gap=gap)
                for (name, order), gap in ((stated, 0.3), (best, 0.6))]  # fmt: skip
    return FeedingCheck(
        stated=feedings[0], best=feedings[1], over_stated=UNCLEAR if stated == best else CLEAR,
        over_exchanged=exchanged, num_faces=50, num_people=num_people, is_twice=is_twice,
    )  # fmt: skip


def faults(found, **settings):
    given = {"is_grey": False, "network": network(), **settings}
    return {one.check: one for one in feeding_findings(found, **given) if one.status == "fault"}


def test_right_settings() -> None:
    assert faults(check((HALF, "RGB"), (HALF, "RGB"))) == {}


def test_exchanged_channels() -> None:
    found = faults(check((HALF, "BGR"), (HALF, "RGB")))
    assert list(found) == ["channel-order"]
    assert '"channel_order": "RGB"' in found["channel-order"].fix
    assert "it is fed as BGR" in found["channel-order"].evidence


def test_grey_images_and_equal_orders_leave_the_order_open() -> None:
    exchanged = check((HALF, "BGR"), (HALF, "RGB"))
    assert faults(exchanged, is_grey=True) == {}
    assert faults(check((HALF, "BGR"), (HALF, "RGB"), exchanged=UNCLEAR)) == {}


def test_a_wrong_scaling_says_what_to_set() -> None:
    found = faults(check((RAW, "RGB"), (HALF, "RGB")))
    assert list(found) == ["scaling"]
    assert found["scaling"].fix.startswith('Set "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]')


@pytest.mark.parametrize(("found", "itself"), [
    (check((HALF, "RGB"), (RAW, "RGB")), True),
    (check(("as stated", "RGB"), (HALF, "RGB"), is_twice=True), False),
])  # fmt: skip
def test_scaled_twice(found, itself) -> None:
    assert list(faults(found, network=network(normalises_itself=itself))) == ["normalised-twice"]


def test_few_people() -> None:
    assert faults(check((RAW, "RGB"), (HALF, "RGB"), num_people=7)) == {}


@pytest.mark.parametrize(("made_by", "fix"), [
    ("net@1", "Its rows are of other images"), ("other@2", "Another embedder"), (None, "Another embedder"),
    ("net@2", "They are revisions of net"),
])  # fmt: skip
def test_rows_that_name_this_embedder_are_of_other_images(made_by, fix) -> None:
    rows = StoreCheck(
        num_rows=6, num_same=0, cosine=0.15, explanation=None, num_explained=0, agreement=0.99, dims=(8, 8)
    )  # fmt: skip
    assert store_finding(rows, made_by=made_by, embedder="net@1").fix.startswith(fix)
