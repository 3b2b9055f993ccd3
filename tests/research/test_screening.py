"""Screening measured on made people: fits, finds planted strangers, and lists what two networks disown."""

from __future__ import annotations

import json

import numpy as np
import pytest
from research.screening import disowned, measure
from research.screening.fit import fit_expectation, sets_of_one
from research.screening.pools import FOLDS, fold_of, read_pool

from probefusion.fusion.universal import UniversalFuser
from probefusion.screening.judging import Looked, judge_splits
from probefusion.screening.known_images import CAUTIOUS
from probefusion.screening.views import View
from probefusion.types import EmbeddingSet


@pytest.fixture
def film(tmp_path):
    """Twenty people of 60 images whose quality says how near they lie to their person."""
    rng = np.random.default_rng(0)
    rows, qualities, names = [], [], []
    for person in range(20):
        centre = rng.standard_normal(64) / 8
        quality = rng.uniform(0, 3, 60)
        noise = rng.standard_normal((60, 64)) / 8 * (1.5 * np.exp(-quality / 2))[:, None]
        rows.append(centre + noise)
        qualities.append(quality)
        names += [f"d{person}/{number}.jpg" for number in range(60)]
    path = tmp_path / "film.npz"
    EmbeddingSet(
        embeddings=np.concatenate(rows),
        quality=np.concatenate(qualities),
        sources=np.array(names),
        embedder="made",
    ).save(path)
    return path


def test_measure(film, tmp_path) -> None:
    assert {fold_of(f"d{person}") for person in range(20)} == set(range(FOLDS))
    known = tmp_path / "known.json"
    known.write_text('{"old": {"cosine": [1]}}')
    measure.main(
        [
            *("--pool", str(film), "--fuser", "universal", "--sets", "4", "--fit-sets", "12"),
            *("--of", "made", "--constants", str(known), "-o", str(tmp_path / "report")),
        ]
    )
    fitted = json.loads(known.read_text())
    assert fitted["old"] == {"cosine": [1]}
    assert len(fitted["universal@1 of made"]["cosine"]) == 10
    assert fitted["universal@1 of made"]["measured_on"] == "film"
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["view"] == "universal@1 of made"
    rates = report["rates"]["film"]
    assert rates["false alarms"] <= 0.2
    assert rates["false alarms, low"] <= rates["false alarms"] <= rates["false alarms, high"]
    assert rates["found at 30%"] >= 0.5
    assert rates["TAR, 30%, without the stranger"] == 1


def test_the_threshold_is_that_of_the_worst_kind(film) -> None:
    """A kind with more false alarms than the others sets it, however many kinds there are."""
    fuser = UniversalFuser(num_threads=1)
    pool = read_pool(film, fuser, View(fuser=fuser, expected=CAUTIOUS, is_calibrated=False))
    people = sorted(pool.people)
    sets = sets_of_one(pool, np.random.default_rng(1), people, 300, (8,))
    mixed = pool.stack(
        np.stack(
            [pool.plant(np.random.default_rng(n), people, 8, 3 * (n < 6)).rows for n in range(300)]
        )
    )
    worse = [(mixed, Looked.at(mixed))]
    fitted = fit_expectation([sets, sets, worse], "made")
    scores = [judge_splits(*group[0][:1], fitted).scores for group in (sets, worse)]
    assert (scores[1] > fitted.threshold + 0.01).mean() <= 0.01
    assert (scores[1] > fitted.threshold - 0.01).mean() >= 0.01
    assert (scores[0] > fitted.threshold).mean() == 0


def test_relatives_are_drawn_as_strangers(film) -> None:
    fuser = UniversalFuser(num_threads=1)
    pool = read_pool(film, fuser, View(fuser=fuser, expected=CAUTIOUS, is_calibrated=False))
    rng = np.random.default_rng(0)
    owner = {row: name for name, rows in pool.people.items() for row in rows}
    for _ in range(20):  # d1, d10, d11 ... d19 are one family
        planted = pool.plant(rng, [f"d{n}" for n in range(1, 20)], 8, 2, related_by="d1")
        people = {owner[row] for row in planted.rows}
        assert len(people) == 2
        assert len({name.startswith("d1") for name in people}) == 1


def test_disowned_images_are_those_of_another(film, tmp_path) -> None:
    images = EmbeddingSet.load(film)
    rows = images.embeddings.copy()
    best = int(np.argmax(np.asarray(images.quality)[:60]))
    rows[best] = rows[100]
    assert images.sources is not None
    swapped = EmbeddingSet(embeddings=rows, quality=images.quality, sources=images.sources)
    swapped.save(film, force=True)
    output = tmp_path / "disowned.txt"
    disowned.main([str(film), str(film), "-o", str(output)])
    assert str(images.sources[best]) in output.read_text().splitlines()
