"""People who are given twice to a calibration would support rates that so few cannot."""

from __future__ import annotations

import shutil

import cv2
import numpy as np
import pytest

import probefusion
from probefusion.errors import ConfigError, EmptySetError
from probefusion.evaluation.drawn_people import draw_crop
from probefusion.fusion.fit_non_mated import Sets, fit_non_mated
from probefusion.pipeline.kinship import Kinship
from probefusion.pipeline.repeated_pictures import check_not_repeated


def people(prefix, pictures):
    return {f"{prefix}{place}": frozenset(found) for place, found in enumerate(pictures)}


def test_people_of_one_data_given_twice_are_refused() -> None:
    first = people("a", [{b"1"}, {b"2", b"3"}, {b"4"}])
    with pytest.raises(ConfigError, match=r"2 of 2 people of 'two' stand in 'one' too"):
        check_not_repeated([("one", first), ("two", people("b", [{b"3"}, {b"4"}]))], str)
    check_not_repeated([("one", first), ("two", people("b", [{b"5"}, {b"6"}]))], str)


def test_one_picture_under_two_names_is_refused_but_of_relatives() -> None:
    shared = people("F1_", [{b"1"}, {b"1"}, {b"2"}])
    with pytest.raises(ConfigError, match="2 of 3 people of 'one' stand under another name too"):
        check_not_repeated([("one", shared)], str)
    check_not_repeated([("one", shared)], Kinship(related_by="_").family)


def test_a_few_wrong_labels_are_no_reason() -> None:
    some = people("a", [{b"1"}, {b"1"}, *({bytes([2, place])} for place in range(30))])
    check_not_repeated([("one", some)], str)


def test_nothing_is_embedded_of_a_pile_given_twice(tmp_path, tiny_embedder) -> None:
    pile = tmp_path / "pile"
    pile.mkdir()
    for person in range(50):
        cv2.imwrite(str(pile / f"face{person}.png"), draw_crop(person, 0)[..., ::-1])
    again = tmp_path / "again"
    shutil.copytree(pile, again)
    embedded = []
    with pytest.raises(ConfigError, match="Everybody counts once"):
        probefusion.calibrate(
            "mean",
            pile,
            also=[again],
            embedder=tiny_embedder,
            output=tmp_path / "calibration.json",
            num_threads=1,
            trust_alignment=True,
            on_embed=lambda done, total: embedded.append(done),
        )
    assert embedded == []
    assert not (tmp_path / "calibration.json").exists()


def test_templates_that_are_all_alike_support_no_model() -> None:
    count = 60
    with pytest.raises(EmptySetError, match="nearly all pairs are equally alike"):
        fit_non_mated(
            Sets(
                vectors=np.tile([[1.0, 0.0, 0.0]], (count, 1)),
                num_images=np.ones(count, dtype=np.int64),
                kinds=np.zeros(count, dtype=np.int64),
                populations=np.zeros(count, dtype=np.int64),
                people=np.arange(count),
                individuals=np.arange(count),
                media=np.full(count, -1),
            )
        )
