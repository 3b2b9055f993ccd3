"""The same bits on another processor: libraries are told to leave newer instructions alone."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from unit_vectors import hard_vectors

from probefusion.gallery import SearchIndex

SUPPORT = Path(__file__).resolve().parents[2] / "support"


def fingerprint(kernel: str) -> str:
    """A hash of everything that searches of hard vectors report."""
    rng = np.random.default_rng(11)
    kinds = ("random", "near ties", "equal", "sparse", "spiky")
    vectors = np.concatenate([hard_vectors(kind, 1000, 100, rng) for kind in kinds])
    index = SearchIndex(100, kernel)  # type: ignore[arg-type]
    index.put([f"p{place:04d}" for place in range(len(vectors))], vectors)
    told = hashlib.sha256()
    for queries in (vectors[::400], vectors[:1]):
        for asked in ({"top_k": 5}, {"at_least": 0.25}):
            for hits in index.search(queries, **asked):
                told.update("".join(hits.ids).encode() + hits.similarities.tobytes())
    return told.hexdigest()


THERE = """
import sys
sys.path.insert(0, sys.argv[1])
sys.path.insert(0, sys.argv[2])
import numkong
for name, there in numkong.get_capabilities().items():
    if there and name not in ("serial", *sys.argv[3:]):
        numkong.disable_capability(name)
from test_index_other_processors import fingerprint
print(fingerprint("float32"), fingerprint("int8"))
"""


@pytest.mark.parametrize("kept", [[], ["haswell"]], ids=["no instructions", "AVX2"])
def test_the_same_bits_with_fewer_instructions(kept: list[str]) -> None:
    pytest.importorskip("numkong")
    command = [sys.executable, "-c", THERE, str(SUPPORT), str(Path(__file__).parent), *kept]
    environment = os.environ | {"OPENBLAS_CORETYPE": "Haswell" if kept else "Prescott"}
    there = subprocess.run(
        command, env=environment, capture_output=True, text=True, check=True
    ).stdout.split()
    assert there == [fingerprint("float32"), fingerprint("int8")]
    assert there[0] == there[1]
