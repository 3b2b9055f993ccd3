"""The shape of IJB-C with made-up embeddings: fuse all templates, then 1:1 and 1:N.

    python benchmarks/simulated_ijbc.py [--json FILE]

23,124 templates, 469,375 embeddings of 512 numbers with full style (384 channels), 19,557 mated and
15,638,932 non-mated pairs, two galleries of 1,772 and 1,759 people, 19,593 probes. The exact fuser has
random weights: only cost is measured here. Making the data is not timed.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import tempfile
import time
from pathlib import Path

import numpy as np

from probefusion.fusion.learned import open_fuser
from probefusion.metrics import (
    bootstrap_over_people,
    cmc_of_searches,
    mean_tpir_over_galleries,
    pair_similarities,
    search_templates,
    tar_at_far,
    tpir_of_searches,
)
from probefusion.metrics.scores import ComparisonScores
from probefusion.nn.architectures import build_network
from probefusion.training.export.fuser_folder import export_fuser
from probefusion.types import EmbeddingSet

NUM_TEMPLATES, NUM_IMAGES, NUM_PEOPLE = 23_124, 469_375, 3_531
NUM_MATED, NUM_NON_MATED = 19_557, 15_638_932
DIM, CHANNELS = 512, 384


def make_fuser(folder: Path):
    network = build_network("exact", {"dim": DIM, "style_channels": CHANNELS})
    export_fuser(
        network,
        folder / "exact",
        name="exact.simulated-random.r1",
        architecture="exact",
        embedder=None,
        licence="random weights",
        training={},
    )
    return open_fuser(folder / "exact", num_threads=2)


def make_data(rng: np.random.Generator):
    """Templates of very different sizes; the embeddings of a person lie around a common direction."""
    sizes = 1 + rng.multinomial(
        NUM_IMAGES - NUM_TEMPLATES, rng.dirichlet(np.full(NUM_TEMPLATES, 0.4))
    )
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    people = np.concatenate(
        [np.arange(NUM_PEOPLE), rng.integers(0, NUM_PEOPLE, NUM_TEMPLATES - NUM_PEOPLE)]
    )
    centres = rng.standard_normal((NUM_PEOPLE, DIM), dtype=np.float32)
    embeddings = 1.5 * rng.standard_normal((NUM_IMAGES, DIM), dtype=np.float32)
    embeddings += np.repeat(centres[people], sizes, axis=0)
    style = rng.standard_normal((NUM_IMAGES, CHANNELS, 2), dtype=np.float32)
    return EmbeddingSet(embeddings=embeddings, style=style), offsets, people


def make_pairs(rng: np.random.Generator, people: np.ndarray):
    order = np.argsort(people, kind="stable")
    same = people[order[1:]] == people[order[:-1]]
    first, second = order[:-1][same], order[1:][same]
    chosen = rng.choice(len(first), NUM_MATED, replace=len(first) < NUM_MATED)
    pool_a, pool_b = rng.permutation(NUM_TEMPLATES)[:3531], rng.permutation(NUM_TEMPLATES)[:19_593]
    a, b = np.repeat(pool_a, 4600), rng.integers(0, len(pool_b), 3531 * 4600)
    b = pool_b[b]
    different = np.flatnonzero(people[a] != people[b])[:NUM_NON_MATED]
    a, b = a[different], b[different]
    mated = np.zeros(NUM_MATED + len(a), dtype=bool)
    mated[:NUM_MATED] = True
    return np.concatenate([first[chosen], a]), np.concatenate([second[chosen], b]), mated


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", metavar="FILE")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    seconds: dict[str, float] = {}

    def timed(name, function):
        start = time.perf_counter()
        result = function()
        seconds[name] = time.perf_counter() - start
        return result

    with tempfile.TemporaryDirectory() as folder:
        fuser = make_fuser(Path(folder))
    images, offsets, people = make_data(rng)
    index_a, index_b, is_mated = make_pairs(rng, people)
    start = time.perf_counter()
    templates = timed(
        "fuse 469,375 images into 23,124 templates", lambda: fuser.fuse_many(images, offsets)
    )
    scores = timed("1:1 similarities", lambda: pair_similarities(templates, index_a, index_b))
    rates = timed(
        "1:1 TAR at five FARs",
        lambda: tar_at_far(scores[is_mated], scores[~is_mated], (1e-6, 1e-5, 1e-4, 1e-3, 1e-2)),
    )
    probes = np.arange(NUM_PEOPLE, NUM_TEMPLATES)

    def search(subjects: range):
        chosen = list(subjects)
        found = search_templates(
            templates[probes],
            templates[chosen],
            probe_subjects=people[probes],
            gallery_subjects=people[chosen],
        )
        return cmc_of_searches(found), tpir_of_searches(found, (0.01, 0.1))

    searches = timed(
        "1:N of 19,593 probes in two galleries",
        lambda: [search(range(1772)), search(range(1772, 3531))],
    )
    total = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    timed(
        "apart: bootstrap over people, 1:1, 500 replicates",
        lambda: bootstrap_over_people(
            ComparisonScores.from_subjects(
                scores[is_mated],
                scores[~is_mated],
                mated_subjects=people[index_a[is_mated]],
                non_mated_subjects=people[index_a[~is_mated]],
            ),
            (1e-4,),
            num_replicates=500,
        ),
    )
    facts = {
        "date": time.strftime("%Y-%m-%d"),
        "machine": f"{platform.machine()}, numpy {np.__version__}",
        "num_pairs": len(scores),
        "seconds": {name: round(value, 2) for name, value in seconds.items()},
        "total_seconds_without_bootstrap": round(total, 2),
        "peak_memory_gb_with_input": round(peak, 2),
        "input_gb": round((images.embeddings.nbytes + images.style.nbytes) / 1e9, 2),
        "tar": {f"{rate.target:g}": round(rate.tar, 4) for rate in rates},
        "tpir": [round(r.tpir, 4) for r in mean_tpir_over_galleries([s[1] for s in searches])],
    }
    print(json.dumps(facts, indent=2))
    if options.json:
        Path(options.json).write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
