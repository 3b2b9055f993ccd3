"""Do stated rates hold for other people? A calibration made of half of the people decides about the rest.

    python -m research.screening.thresholds FUSER --embedder MODEL --data ZIP [--also ZIP ...] --cache DIR

Prints, for each population, kind of set and number of images of both sides, the comparisons and what the
stated rates came to, as multiples of them, both halves together; the same of the threshold in the fuser's
card; and the share of searches with a candidate at stated rates, for galleries of growing size. The draws are
those of `probefusion calibrate`.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from itertools import combinations_with_replacement

import numpy as np

from probefusion.embedders import Embedder
from probefusion.evaluation.calibration_sets import read_faces
from probefusion.evaluation.search_evidence import FPIRS, search_others
from probefusion.evaluation.threshold_evidence import make_calibration
from probefusion.fusion import Fuser
from probefusion.fusion.calibration import CalibrationSource
from probefusion.fusion.fit_non_mated import Sets
from probefusion.fusion.rate_basis import asked_of_pairs, asked_of_searches
from probefusion.pipeline.calibration_data import FALSE_MATCH_RATES, fused_sets
from probefusion.pipeline.kinship import Kinship
from probefusion.zoo import load_embedder, load_fuser

RATES = (1e-2, 1e-3, 1e-4)
ONE_FAMILY = tuple(
    tuple(pair.split())
    for pair in (
        "F0133 F0864", "F0276 F0844", "F0318 F0580", "F0018 F0245", "F0495 F0601", "F0230 F0400", "F0230 F0987",
        "F0144 F0235", "F0609 F0990", "F0306 F0307", "F0819 F0995", "F0460 F0462", "F0460 F0461", "F0357 F0381",
    )
)  # fmt: skip
"""Families of FIW that share people: pairs of people above .70 for EdgeFace-XS, looked at by eye in part."""


def options_of(description: str) -> argparse.Namespace:
    """What to calibrate, with which people."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("fuser")
    parser.add_argument("--embedder", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--also", action="append", default=[])
    parser.add_argument("--leave-out", action="append", default=[])
    parser.add_argument("--cache")
    parser.add_argument("--people", type=int, default=5000, help="at most, of each data")
    parser.add_argument("--folds", type=int, nargs="+", default=[3], help="of --data")
    parser.add_argument("--seed", type=int, default=1, help="of the halves")
    parser.add_argument("--threads", type=int)
    return parser.parse_args()


def sets_of(
    options: argparse.Namespace,
) -> tuple[Fuser, Embedder, Sets, list[CalibrationSource]]:
    """Fuser, embedder, templates and people."""
    embedder = load_embedder(options.embedder, num_threads=options.threads)
    fuser = load_fuser(options.fuser, embedder=embedder.fingerprint, num_threads=options.threads)
    sets, sources = fused_sets(
        fuser,
        embedder,
        [read_faces(data) for data in (options.data, *options.also)],
        folds=options.folds,
        sizes=(1, 4, 16),
        num_people=options.people,
        num_poor=250,
        kinship=Kinship(related_by="_MID", related=ONE_FAMILY),
        medium_by="__",
        leave_out=options.leave_out,
        cache=options.cache,
        num_threads=options.threads,
        progress=None,
    )
    return fuser, embedder, sets, sources


def main() -> None:
    """Measures and prints."""
    options = options_of(__doc__)
    fuser, embedder, sets, sources = sets_of(options)
    rng = np.random.default_rng(options.seed)
    people = np.unique(sets.people)
    first = np.isin(sets.people, rng.permutation(people)[: len(people) // 2])
    halves = [np.flatnonzero(first), np.flatnonzero(~first)]
    counts: dict[tuple[int, ...], np.ndarray] = defaultdict(lambda: np.zeros(1 + 2 * len(RATES)))
    searches: dict[tuple[int, int, float], list[float]] = defaultdict(list)
    used, kinds = np.unique(sets.kinds, return_inverse=True)
    numbered = Sets(**{**vars(sets), "kinds": kinds})
    for fitted, other in (halves, halves[::-1]):
        record = make_calibration(
            numbered.part(fitted),
            [bool(kind % 3) for kind in used],
            embedder=embedder.fingerprint,
            fuser=fuser.fingerprint,
            protocol="half",
            sources=sources,
            rates=FALSE_MATCH_RATES,
        )
        rest = sets.part(other)
        terms = record.model.model().terms(rest.vectors, rest.num_images)
        _count(record, rest, terms, fuser, counts)
        model, poor = record.model.model(), np.array([bool(kind % 3) for kind in used])
        for each in search_others(model, numbered.part(other), poor, rng):
            for rate in FPIRS:
                asked = asked_of_searches(record, each.gallery_size, rate)
                share = float((each.log_rates <= np.log(asked)).mean())
                searches[(each.population, each.gallery_size, rate)].append(share)
    out = sys.stdout.write
    for (population, poor, n, other_poor, m), found in sorted(counts.items()):
        names = [("clean", "poor")[each] for each in (poor, other_poor)]
        ratios = " ".join(f"{r:6.2f}" for r in found[1:] / found[0] / np.array(RATES * 2))
        out(
            f"{sources[population].name} {names[0]} {n} - {names[1]} {m}: {found[0]:9.0f} {ratios}\n"
        )
    for (population, size, rate), shares in sorted(searches.items()):
        name = "all together" if population < 0 else sources[population].name
        out(f"{name} gallery {size} FPIR {rate:g}: {np.mean(shares):.4f}\n")


def _count(record, sets, terms, fuser, counts) -> None:
    model = record.model.model()
    looks = record.poor_looks(sets.vectors)
    poor = (sets.kinds % 3 > 0).astype(int)
    for population in np.unique(sets.populations):
        cells = {
            (each, int(size)): np.flatnonzero(
                (sets.populations == population) & (poor == each) & (sets.num_images == size)
            )
            for each in (0, 1)
            for size in np.unique(sets.num_images)
        }
        for (a, rows), (b, others) in combinations_with_replacement(cells.items(), 2):
            if min(len(rows), len(others)) < 20:
                continue
            apart = sets.different(rows, others)
            apart = np.triu(apart, 1) if a == b else apart
            similar = sets.vectors[rows] @ sets.vectors[others].T
            found = [apart.sum()]
            found += [
                ((similar >= limit) & apart).sum()
                for limit in model.thresholds(
                    terms[rows],
                    terms[others],
                    [
                        asked_of_pairs(record, looks[rows], looks[others], (a[1], b[1]), rate)
                        for rate in RATES
                    ],
                )
            ]
            for rate in RATES:
                card = fuser.threshold_for(rate, max(a[1], b[1]))
                found.append(
                    np.nan if card is None else ((similar >= card.similarity) & apart).sum()
                )
            counts[(int(population), *a, *b)] += np.array(found, dtype=float)


if __name__ == "__main__":
    main()
