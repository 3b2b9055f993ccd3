r"""Are people whom an embedder was trained on less alike than others? By their false matches.

    python -m research.screening.seen_people mean --embedder MODEL --data fiw112.zip --seen 0 1 2 \
        --related-by _MID --cache CACHE

Sets are those of `probefusion calibrate`. For each kind and number of images: the similarity that 1 and 0.1 % of the
pairs of different people reach, of pairs of people of the seen folds and of pairs of the others, and the rate of
the seen at the threshold of the others, with 95 % intervals over people. Folds differ by chance as well: an
embedder that has seen none of the people says by how much.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality, JudgedEmbedder
from probefusion.evaluation.calibration_sets import draw_sets, embed_sets, read_faces
from probefusion.pipeline.calibration_data import chosen_people
from probefusion.pipeline.kinship import Kinship
from probefusion.protocols.degraded_folder import fold_of
from probefusion.zoo import load_embedder, load_fuser
from research.screening.thresholds import ONE_FAMILY

__all__ = ["Compared", "compare"]

RATES = (1e-2, 1e-3)
SIZES = (1, 4, 16)
NUM_DRAWS = 400
MIN_PEOPLE = 20

Rows = npt.NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Compared:
    """What pairs of seen and of unseen people come to at one rate.

    Args:
        rate: The rate.
        seen: Similarity that this share of the pairs of seen people reaches.
        unseen: The same of unseen people.
        ratio: Rate of the seen at the threshold of the unseen, over the rate.
        low: Lower end of its 95 % interval over people.
        high: Upper end.
    """

    rate: float
    seen: float
    unseen: float
    ratio: float
    low: float
    high: float


def compare(
    vectors: Rows,
    families: npt.NDArray[np.int64],
    is_seen: npt.NDArray[np.bool_],
    rng: np.random.Generator,
    *,
    num_draws: int = NUM_DRAWS,
) -> list[Compared]:
    """Compares pairs of seen people with pairs of unseen ones, one template a person.

    Args:
        vectors: (P, D) unit templates.
        families: (P,) whose pairs are left out.
        is_seen: (P,) whether the embedder was trained on the person.
        rng: Draws people again and again; as many of the seen as there are unseen, where they are more.
        num_draws: How often.
    """
    parts = [np.flatnonzero(is_seen), np.flatnonzero(~is_seen)]
    least = min(map(len, parts))
    found = [_pairs(vectors, families, rows) for rows in parts]
    whole = [[float(np.quantile(pairs, 1 - rate)) for rate in RATES] for pairs in found]
    ratios = [float(np.mean(found[0] > t)) / rate for t, rate in zip(whole[1], RATES, strict=True)]
    drawn = np.empty((num_draws, len(RATES)))
    for place in range(num_draws):
        seen, unseen = (_pairs(vectors, families, rng.choice(rows, least)) for rows in parts)
        for column, rate in enumerate(RATES):
            drawn[place, column] = np.mean(seen > np.quantile(unseen, 1 - rate)) / rate
    low, high = np.quantile(drawn, (0.025, 0.975), axis=0)
    return [
        Compared(
            rate=rate,
            seen=whole[0][place],
            unseen=whole[1][place],
            ratio=ratios[place],
            low=float(low[place]),
            high=float(high[place]),
        )
        for place, rate in enumerate(RATES)
    ]


def _pairs(vectors: Rows, families: npt.NDArray[np.int64], rows: npt.NDArray[np.intp]) -> Rows:
    """Similarities of different people of different families; somebody drawn twice is not compared with himself."""
    similarities = vectors[rows] @ vectors[rows].T
    apart = families[rows][:, None] != families[rows]
    pairs: Rows = similarities[np.triu(apart, 1)]
    return pairs


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("fuser")
    parser.add_argument("--embedder", required=True)
    parser.add_argument("--data", required=True)
    parser.add_argument("--seen", nargs="+", type=int, default=[0, 1, 2], help="folds trained on")
    parser.add_argument("--related-by")
    parser.add_argument("--medium-by")
    parser.add_argument("--leave-out", action="append", default=[])
    parser.add_argument("--poor", type=int, default=250, help="people with degraded sets")
    parser.add_argument("--cache")
    options = parser.parse_args()
    embedder = load_embedder(options.embedder, num_threads=1)
    fuser = load_fuser(options.fuser, embedder=embedder.fingerprint, num_threads=1)
    people = read_faces(options.data)
    drawn = draw_sets(
        people,
        subjects=chosen_people(people, None, 5000, options.leave_out),
        sizes=SIZES,
        num_poor=options.poor,
        medium_by=options.medium_by,
    )
    judged = JudgedEmbedder(embedder, CropQuality(num_threads=1))
    embedded = embed_sets(people, drawn, judged, cache=options.cache, progress=None)
    vectors, counts, owners = embedded.templates(fuser, SIZES)
    kinship = Kinship(
        related_by=options.related_by, related=ONE_FAMILY if options.related_by else ()
    )
    names = [drawn[owner].person for owner in owners]
    numbers: dict[str, int] = {}
    families = np.array([numbers.setdefault(kinship.family(name), len(numbers)) for name in names])
    is_seen = np.array([fold_of(name) in options.seen for name in names])
    is_poor = np.array([drawn[owner].is_poor for owner in owners])
    keys = [f"{n}/{c}/{p}" for n, c, p in zip(names, counts, is_poor, strict=True)]
    _, is_first = np.unique(keys, return_index=True)
    once = np.zeros(len(names), bool)
    once[is_first] = True
    print(f"{options.fuser} of {embedder.fingerprint}, {options.data}")
    for poor in (False, True):
        for size in SIZES:
            rows = np.flatnonzero((counts == size) & (is_poor == poor) & once)
            num_seen = int(is_seen[rows].sum())
            if min(num_seen, len(rows) - num_seen) < MIN_PEOPLE:
                continue
            label = (
                f"{'poor' if poor else 'clean'} {size}: {num_seen} seen, {len(rows) - num_seen} not"
            )
            for found in compare(
                vectors[rows], families[rows], is_seen[rows], np.random.default_rng(0)
            ):
                print(
                    f"{label}; rate {found.rate:g}: seen {found.seen:.4f}, unseen {found.unseen:.4f}, seen at the "
                    f"threshold of the unseen {found.ratio:.2f} times ({found.low:.2f}, {found.high:.2f})",
                    flush=True,
                )


if __name__ == "__main__":
    main()
