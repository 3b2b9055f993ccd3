from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from made_up_people import write_image

from probefusion.evaluation.embed_protocol import embed_protocol
from probefusion.protocols import DegradedFolderProtocol, read_people
from probefusion.types import EmbeddingSet


class _Grey:
    """Gives the mean colour of a crop; enough of an embedder to be counted."""

    own_fingerprint = fingerprint = "grey@1"
    norms_known = True

    def embed_set(self, crops: Any, sources: Any = None, media_ids: Any = None) -> EmbeddingSet:
        means = crops.reshape(len(crops), -1, 3).mean(axis=1) + 1
        return EmbeddingSet(embeddings=means.astype(np.float32), embedder=self.fingerprint)


def test_progress_never_runs_backwards(tmp_path) -> None:
    pytest.importorskip("cv2")
    for person in range(12):
        for image in range(4):
            write_image(tmp_path / "p" / f"person_{person}" / f"{image}.png", 20 * person + image)
    protocol = DegradedFolderProtocol(
        people=read_people(tmp_path / "p"), folds=(0, 1, 2, 3), set_sizes=(1, 16)
    )
    calls: list[tuple[int, int]] = []
    embed_protocol(
        protocol, _Grey(), num_images=16, progress=lambda done, total: calls.append((done, total))
    )
    done = [step for step, _ in calls]
    assert len(calls) >= 3
    assert done == sorted(done)
    assert len({total for _, total in calls}) == 1
    assert calls[-1][0] == calls[-1][1]
