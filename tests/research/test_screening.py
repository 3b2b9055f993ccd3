"""Screening measured on made people: fits, finds planted strangers, and lists what two networks disown."""

from __future__ import annotations

import json

import numpy as np
import pytest
from research.screening import disowned, measure
from research.screening.pools import half_of

from probefusion.types import EmbeddingSet


@pytest.fixture
def film(tmp_path):
    """Twelve people of 60 images whose quality says how near they lie to their person."""
    rng = np.random.default_rng(0)
    rows, qualities, names = [], [], []
    for person in range(12):
        centre = rng.standard_normal(64) / 8
        quality = rng.uniform(0, 3, 60)
        noise = rng.standard_normal((60, 64)) / 8 * (1.5 * np.exp(-quality / 2))[:, None]
        rows.append(centre + noise)
        qualities.append(quality)
        names += [f"p{person}/{number}.jpg" for number in range(60)]
    path = tmp_path / "film.npz"
    EmbeddingSet(
        embeddings=np.concatenate(rows),
        quality=np.concatenate(qualities),
        sources=np.array(names),
        embedder="made",
    ).save(path)
    return path


def test_measure(film, tmp_path, capsys) -> None:
    assert {half_of(f"p{person}") for person in range(12)} == {0, 1}
    measure.main(
        [
            *("--pool", str(film), "--fuser", "universal", "--sets", "6", "--fit-sets", "25"),
            *("--constants", "-o", str(tmp_path / "report")),
        ]
    )
    assert "Expectation(" in capsys.readouterr().out
    report = json.loads((tmp_path / "report.json").read_text())
    assert report["view"] == "universal@1"
    rates = report["rates"]["film"]
    assert rates["false alarms"] <= 0.2
    assert rates["found at 30%"] >= 0.5
    assert rates["TAR, 30%, without the stranger"] == 1


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
