"""Calibration files that say what cannot be are refused, and rates that nobody measured are not given."""

from __future__ import annotations

import json

import numpy as np
import pytest
from bundled_models import COMPACT

from probefusion.errors import EmbedderMismatchError, FileFormatError
from probefusion.files import bundled_folder, renew_hash
from probefusion.fusion.calibration_files import read_calibration
from probefusion.fusion.decisions import Side, decide, find_calibration
from probefusion.zoo import load_fuser

SHIPPED = f"mean-1.{COMPACT.replace('@', '-')}.json"


@pytest.fixture(scope="module")
def plain():
    return json.loads((bundled_folder() / "calibrations" / SHIPPED).read_text())


@pytest.fixture
def read(plain, tmp_path):
    """Reads the calibration of the mean with one number changed."""

    def change(path, value):
        facts = json.loads(json.dumps(plain))
        place = facts
        *way, last = path
        for key in way:
            place = place[key]
        place[last] = value
        file = tmp_path / "calibration.json"
        file.write_text(json.dumps(facts))
        renew_hash(file)
        return read_calibration(file)

    return change


def side(name, dim=128, count=2):
    rows = np.random.default_rng(len(name)).standard_normal((count, dim)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return Side(name=name, vectors=rows, num_images=np.ones(count, dtype=np.int64))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("sizes",), []),
        (("sizes",), [0, 1]),
        (("sizes",), [4, 1]),
        (("sources", 0, "num_people"), -3),
        (("strata", 0, "looks"), ["clear", "other"]),
        (("strata", 0, "num_images"), [1, 3]),
        (("strata", 0, "num_comparisons"), -1),
        (("strata", 0, "num_comparisons"), 10**30),
        (("strata", 0, "rates", 0, "stated"), 0.0),
        (("strata", 0, "rates", 0, "stated"), -0.1),
        (("strata", 0, "rates", 0, "achieved"), float("nan")),
        (("strata", 0, "rates", 0, "achieved"), 5.0),
        (("strata", 0, "rates", 0, "low"), 0.9),
        (("strata", 0, "rates", 0, "elsewhere"), 2.0),
        (("searches", 0, "gallery_size"), 0),
        (("searches", 1, "gallery_size"), 5),
        (("searches", 0, "num_searches"), -1),
        (("searches", 0, "rates", 0, "high"), float("inf")),
        (("search_correction", "offset"), float("nan")),
        (("search_correction", "slope"), 1e9),
        (("model", "shape"), -1e9),
        (("model", "level"), float("inf")),
        (("model", "border"), float("nan")),
        (("model", "most_images"), 0),
        (("model", "location", 0, 0), float("nan")),
        (("model", "log_rate", 0), 1e300),
        (("model", "are_poor"), [True]),
        (("model", "lowest", 0), 3.0),
        (("format_version",), 0),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(read, path, value) -> None:
    with pytest.raises(FileFormatError, match="Calibrate again") as raised:
        read(path, value)
    assert "\n" not in str(raised.value)
    assert str(path[0]) in str(raised.value)


def test_all_that_are_shipped_are_sound() -> None:
    files = sorted((bundled_folder() / "calibrations").glob("*.json"))
    files += sorted(bundled_folder().glob("*/calibration.json"))
    assert len(files) >= 6
    for file in files:
        assert read_calibration(file).num_people > 1000


def test_rates_that_were_not_measured_are_not_given(read) -> None:
    record = read(("format_version",), 2)
    decisions = {
        rate: decide(record, side("A"), side("B"), false_match_rate=rate)[0]
        for rate in (0.9, 0.11, 0.1, 1e-3, 1e-9, 1e-320)
    }
    assert {rate for rate, each in decisions.items() if each.threshold is not None} == {0.1, 1e-3}
    assert "a rate of 0.11 of comparisons was not measured" in (decisions[0.11].why_none or "")
    assert "needs 30,000,000,000 comparisons" in (decisions[1e-9].why_none or "")
    assert "more than countable comparisons" in (decisions[1e-320].why_none or "")
    searches = {
        rate: decide(
            record,
            side("A"),
            side("B"),
            false_match_rate=1e-3,
            false_positive_rate=rate,
            gallery_size=100,
        )[0]
        for rate in (0.9, 0.31, 0.3, 0.01, 1e-5, 1e-320)
    }
    assert {rate for rate, each in searches.items() if each.threshold is not None} == {0.3, 0.01}
    assert "the largest that is given is 0.3" in (searches[0.31].why_none or "")


def test_templates_of_other_dimensions_are_refused(read) -> None:
    record = read(("format_version",), 2)
    with pytest.raises(EmbedderMismatchError, match=r"expected templates of 128 numbers, .* got 5"):
        decide(record, side("A", dim=5), side("B", dim=5), false_match_rate=1e-3)


def test_an_embedder_of_any_name_has_no_calibration_and_is_no_error() -> None:
    for name in ("hub/net@3900346931a7", "../../net", "net\0", "n" * 9000):
        assert find_calibration(None, load_fuser("mean"), "mean@1", name) is None
