"""A service over a gallery of another revision of its embedder: says so when it begins, refuses and says what to do."""

from __future__ import annotations

import logging

import numpy as np
import pytest
from bundled_models import COMPACT

from probefusion.gallery import Gallery
from probefusion.types import EmbeddingSet, revisions

pytest.importorskip("fastapi")

FORMER = "compact_128d@000000000000"


def told(caplog):
    return [record for record in caplog.records if record.name == "probefusion.service"]


def test_it_is_told_at_the_start_and_in_answers(
    serve, query, monkeypatch, caplog, tmp_path
) -> None:
    monkeypatch.setattr(revisions, "FORMER", {FORMER: "compact_128d.r0"})
    rows = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    with Gallery(tmp_path / "g.db", fuser="mean") as gallery:
        gallery.enroll("ann", EmbeddingSet(embeddings=rows, embedder=FORMER))
    with caplog.at_level(logging.WARNING, logger="probefusion.service"):
        client = serve()
    (record,) = told(caplog)
    for words in (FORMER, COMPACT, "--embedder compact_128d.r0"):
        assert words in record.getMessage()
    for embedder, status in ((COMPACT, 409), (FORMER, 200)):
        asked = {"embeddings": query(0)["embeddings"] | {"embedder": embedder}}
        answer = client.post("/v1/collections/people/search", json={"query": asked})
        assert answer.status_code == status, answer.text
        assert ("--embedder compact_128d.r0" in answer.text) == (status == 409)


def test_a_gallery_of_the_embedder_in_use_is_no_news(serve, caplog, tmp_path) -> None:
    rows = np.random.default_rng(0).standard_normal((3, 64)).astype(np.float32)
    with Gallery(tmp_path / "g.db", fuser="mean") as gallery:
        gallery.enroll("ann", EmbeddingSet(embeddings=rows, embedder=COMPACT))
    with caplog.at_level(logging.WARNING, logger="probefusion.service"):
        serve()
    assert not told(caplog)
