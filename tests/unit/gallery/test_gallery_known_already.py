"""Enrolling somebody who is there under another name, by a fuser of which it was measured what to expect."""

from __future__ import annotations

import numpy as np
import pytest

from probefusion.files import bundled_folder
from probefusion.gallery import Gallery
from probefusion.types import EmbeddingSet

pytest.importorskip("cryptography")


@pytest.fixture(scope="module")
def people() -> list[EmbeddingSet]:
    """Degraded images of 64 people of LFW."""
    data = np.load(bundled_folder() / "demo_probes.npz")
    count = len(data["probe_subjects"])
    embeddings = data["probe_embeddings"].astype(np.float32).reshape(count, -1, 128)
    style = data["probe_style"].astype(np.float32).reshape(count, embeddings.shape[1], -1, 2)
    return [
        EmbeddingSet(embeddings=embeddings[who], style=style[who], embedder=str(data["embedder"]))
        for who in range(count)
    ]


def test_it_is_told_and_done_all_the_same(people, tmp_path) -> None:
    with Gallery(tmp_path / "people.db", fuser="exact") as gallery:
        for who in range(26, 46):  # twenty who are not taken for each other; how many are: below
            assert gallery.enroll(f"person {who}", people[who][:8]).doubts == ()
        added = gallery.enroll("another name", people[33][8:16])
        (doubt,) = added.doubts
        assert doubt.kind == "there under another name"
        assert doubt.other == gallery.person("person 33").id
        assert str(doubt).startswith("person 33 seems to be the same person (similarity 0.")
        assert not added.is_held
        assert gallery.person("another name").num_images == 8


def test_few_are_told_wrongly_and_most_rightly(people, tmp_path) -> None:
    with Gallery(tmp_path / "people.db", fuser="exact") as gallery:
        right, wrong = 0, 0
        for who, images in enumerate(people):
            wrong += bool(gallery.enroll(f"person {who}", images[:8]).doubts)
        for who, images in enumerate(people):
            told = gallery.enroll(f"again {who}", images[8:16]).doubts
            right += any(doubt.other == gallery.person(f"person {who}").id for doubt in told)
    assert wrong <= 5
    assert right >= 0.95 * len(people)


def test_nothing_is_said_where_nothing_was_measured(people, tmp_path) -> None:
    with Gallery(tmp_path / "people.db", fuser="norm-weighted") as gallery:
        gallery.enroll("person", people[0][:8])
        assert gallery.enroll("another name", people[0][:8]).doubts == ()
