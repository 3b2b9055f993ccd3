"""What a card says of the data that an embedder learned from."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("cv2")

from research.compact_embedder.eight_bits import form_facts
from research.compact_embedder.pages import _given, _more_data
from research.compact_embedder.ship import learned_from, licence, more_facts

from probefusion.errors import ConfigError
from probefusion.protocols.degraded_folder import fold_of
from probefusion.zoo import load_embedder

NAMES = [f"person_{number}" for number in range(24)]


@pytest.fixture
def films(tmp_path):
    import cv2

    for name in NAMES:
        (tmp_path / "films" / name).mkdir(parents=True)
        for image in range(2):
            pixels = np.full((112, 112, 3), 40 * image, np.uint8)
            cv2.imwrite(str(tmp_path / "films" / name / f"{image}.png"), pixels)
    return tmp_path / "films"


def test_people_of_the_folds_are_counted_but_those_left_out(films) -> None:
    seen = [name for name in NAMES if fold_of(name) in (0, 1)]
    found = more_facts(f"{films}=0,1", [seen[0], "nobody"])
    assert found == {
        "data": "films",
        "folds": [0, 1],
        "num_people": len(seen) - 1,
        "num_images": 2 * (len(seen) - 1),
        "left_out": [seen[0]],
    }
    assert set(learned_from(str(films))) == {name for name in NAMES if fold_of(name) != 3}
    assert "folds" not in more_facts(str(films), [])


def test_card_tells_data_licence_and_command() -> None:
    training = {
        "more_data": [
            {"data": "fiw112", "num_people": 5, "num_images": 50},
            {
                "data": "imfdb112_dev",
                "folds": [0, 1],
                "num_people": 3,
                "num_images": 1500,
                "left_out": ["X"],
            },
        ],
        "start": {"folder": "compact_128d.lfw112.r3"},
    }
    assert licence(training) == (
        "research use only: trained on images of LFW, Families in the Wild and IMFDB, see LICENSE-WEIGHTS.md"
    )
    assert licence({}).count("LFW") == 1
    text = _more_data(training)
    assert "50 aligned images of 5 people of Families in the Wild" in text
    assert "folds 0 and 1" in text
    assert _given(training) == (
        " --more-images fiw112.zip --more-images imfdb112_dev.zip=0,1 --leave-out X --start compact_128d.lfw112.r3"
    )


def test_only_an_eight_bit_form_is_told_as_one() -> None:
    original = load_embedder("compact_128d", num_threads=1)
    with pytest.raises(ConfigError, match="expected an 8-bit form of compact_128d@"):
        form_facts(None, original, original)
