"""Cards are read from the disk once in a process, and again when they were changed."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from bundled_models import COMPACT

from probefusion.files import records
from probefusion.files.hashed_json import renew_hash
from probefusion.fusion import folder as folder_room
from probefusion.fusion.folder import read_card, with_thresholds
from probefusion.fusion.threshold import Threshold
from probefusion.types import EmbeddingSet
from probefusion.zoo import has_fuser_for, load_fuser, suggest_fuser


@pytest.fixture
def reads(monkeypatch):
    """How often each file was read from now on."""
    folder_room._card_of.cache_clear()
    counted: Counter[Path] = Counter()
    original = records.read_bytes

    def read_bytes(path, **settings):
        counted[path] += 1
        return original(path, **settings)

    monkeypatch.setattr(records, "read_bytes", read_bytes)
    return counted


def test_choosing_and_loading_a_fuser_reads_each_card_once(reads) -> None:
    embedder = COMPACT
    rng = np.random.default_rng(0)
    images = EmbeddingSet(
        embeddings=20 * rng.standard_normal((6, 128)),
        style=rng.random((6, 160, 2)),
        embedder=embedder,
    )
    assert has_fuser_for(embedder)
    name = suggest_fuser(images)
    load_fuser(name, embedder=embedder).fuse(images)
    load_fuser("exact", embedder=embedder)
    cards = {path: count for path, count in reads.items() if path.name == "fuser.json"}
    assert name in {path.parent.name for path in cards}
    assert set(cards.values()) == {1}


def test_a_changed_card_is_read_again(reads, fuser_folders, tmp_path) -> None:
    folder = tmp_path / "fuser"
    shutil.copytree(fuser_folders["exact"], folder)
    path = folder / "fuser.json"
    assert read_card(folder).thresholds == ()
    found = Threshold(
        false_match_rate=1e-3, similarity=0.4, num_images=4, num_non_mated=10, source="here"
    )
    with_thresholds(folder, (found,))
    assert read_card(folder).thresholds == (found,)
    assert load_fuser(folder).threshold_for(1e-3, 9) == found
    assert load_fuser(folder).threshold_for(1e-5, 9) is None
    assert load_fuser("mean").threshold_for(1e-3, 9) is None
    path.write_text(json.dumps(json.loads(path.read_text()) | {"licence": "another"}))
    renew_hash(path)
    os.utime(path, ns=(0, 0))
    assert read_card(folder).licence == "another"
    assert reads[path] == 3
