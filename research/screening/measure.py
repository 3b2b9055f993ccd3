"""How many sets with a stranger's images are found, what it costs to leave these out, and how many false alarms.

    python -m research.screening.measure --fuser exact --embedder FINGERPRINT --pool PROBES.npz --pool FILM.npz \
      [--without DISOWNED.txt] -o research/reports/screening/NAME

A pool is probe data (from the work folder of `probefusion evaluate`) or embeddings of `probefusion embed` whose
sources are PERSON/FILE. Expectation and threshold are fitted on one half of the people of all pools and judged on the
other, both ways round. With `--constants` those of all people are printed, as `screening.known_images` holds them.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from probefusion.screening.expectation import Expectation
from probefusion.screening.judging import judge_splits, outlying
from probefusion.screening.known_images import CAUTIOUS, NORMS
from probefusion.screening.views import NormsView, View
from probefusion.zoo import load_fuser
from research.screening.fit import SHARPNESS, fit_expectation, sets_of_one
from research.screening.pools import Planted, Pool, read_pool

__all__ = ["judge", "main"]

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
SIZES = (8, 12, 16, 24, 32)
FAR = 1e-3
LEAST = 3
_WAYS = ("plain", "outliers dropped", "larger part kept", "without the stranger")


def judge(
    pool: Pool, expected: Expectation, rng: np.random.Generator, half: int, count: int
) -> list[dict[str, float]]:
    """Sets of a half of the people: score, what part of them is strange, similarities of their templates."""
    found = []
    for share in (0.0, *SHARES):
        for _ in range(count * (4 if share == 0 else 1)):
            size = int(rng.choice(SIZES if share != min(SHARES) else [n for n in SIZES if n >= 20]))
            strange = max(1, round(share * size)) if share else 0
            found.append(_judged(pool, pool.plant(rng, half, size, strange), expected, share))
    return found


def _judged(pool: Pool, planted: Planted, expected: Expectation, share: float) -> dict[str, float]:
    elements = pool.elements(planted.rows)
    stack = pool.stack(planted.rows[None])
    split = judge_splits(stack, expected)
    part, score = split.parts[0], float(split.scores[0])
    alarmed = score > expected.threshold
    everything = np.ones(len(elements), dtype=bool)
    kept = everything.copy()
    kept[outlying(stack, expected, LEAST)] = False
    larger = part if part.sum() > len(elements) / 2 else ~part
    ways = [everything, kept, larger if alarmed else everything, ~planted.is_strange]
    facts: dict[str, float] = {
        "share": share,
        "score": score,
        "is_found": alarmed,
        "size": len(elements),
        "is_heavy": elements.weights[planted.is_strange].sum() > 0.5 * planted.is_strange.mean(),
        "right": max(
            float((part == planted.is_strange).mean()),
            float((part != planted.is_strange).mean()),
        ),
    }
    names = list(pool.references)
    references = np.stack([pool.references[name] for name in names])
    similarities = elements.templates(np.stack(ways)) @ references.T
    own = names.index(planted.person)
    facts |= {way: row[own] for way, row in zip(_WAYS, similarities, strict=True)}
    facts["non_mated"] = np.delete(similarities[-1], own) if share <= 0.3 else np.empty(0)
    return facts


def table(found: Sequence[dict[str, float]]) -> dict[str, float]:
    """Rates of a pool."""
    rates: dict[str, float] = {}
    for share in (0.0, *SHARES):
        chosen = [item for item in found if item["share"] == share]
        rates[f"found at {share:.0%}" if share else "false alarms"] = _mean(chosen, "is_found")
    heavy = [item for item in found if item["is_heavy"] and item["share"] >= 0.1]
    rates["found where heavy"] = _mean(heavy, "is_found")
    rates["images named right where found"] = _mean(
        [item for item in found if item["is_found"] and item["share"] > 0], "right"
    )
    threshold = np.quantile(np.concatenate([item["non_mated"] for item in found]), 1 - FAR)
    for share in (0.0, 0.1, 0.2, 0.3):
        chosen = [item for item in found if item["share"] == share]
        for way in _WAYS:
            rates[f"TAR, {share:.0%}, {way}"] = float(
                np.mean([item[way] >= threshold for item in chosen])
            )
    return rates


def _mean(items: Sequence[dict[str, float]], name: str) -> float:
    return float(np.mean([item[name] for item in items])) if items else float("nan")


def main(arguments: Sequence[str] | None = None) -> None:
    """Measures and writes `FILE.json`."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", action="append", required=True, type=Path)
    parser.add_argument(
        "--also", action="append", default=[], type=Path, help="a pool that is judged, not fitted"
    )
    parser.add_argument("--fuser", required=True)
    parser.add_argument("--embedder", help="its fingerprint, as the pools say it")
    parser.add_argument(
        "--norms", choices=sorted(NORMS), help="weigh by the lengths of this embedder's embeddings"
    )
    parser.add_argument(
        "--sharpness", type=float, default=SHARPNESS, help="inf: the worst split counts alone"
    )
    parser.add_argument("--without", type=Path, help="sources that are left out, a line each")
    parser.add_argument("--sets", type=int, default=150, help="of each share, half and pool")
    parser.add_argument("--fit-sets", type=int, default=400, help="of one person, half and pool")
    parser.add_argument("--constants", action="store_true")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args(arguments)
    without = frozenset(options.without.read_text().splitlines() if options.without else ())
    fuser = load_fuser(options.fuser, embedder=options.embedder, num_threads=1)
    view = View(fuser=fuser, expected=CAUTIOUS, is_calibrated=False)
    key = fuser.fingerprint
    if options.norms is not None:
        usual = NORMS[options.norms]
        view = NormsView(fuser=fuser, expected=CAUTIOUS, is_calibrated=False, usual=usual)
        key = f"norms of {options.norms}"
    pools = [read_pool(path, fuser, view, without=without) for path in options.pool]
    others = [read_pool(path, fuser, view, without=without) for path in options.also]
    measured_on = " and ".join(pool.name for pool in pools)
    found: dict[str, list[dict[str, float]]] = {pool.name: [] for pool in (*pools, *others)}
    fitting = []
    for half in (0, 1):
        rng = np.random.default_rng(half)
        fitting.append([sets_of_one(pool, rng, half, options.fit_sets) for pool in pools])
    for half in () if options.sets == 0 else (0, 1):
        expected = fit_expectation(fitting[half], measured_on, options.sharpness)
        for pool in (*pools, *others):
            rng = np.random.default_rng(100 + half)
            found[pool.name] += judge(pool, expected, rng, 1 - half, options.sets)
    if options.constants:
        both = [first + second for first, second in zip(*fitting, strict=True)]
        print(f"{key!r}: {fit_expectation(both, measured_on, options.sharpness)}", flush=True)
    if not options.sets:
        return
    rates = {name: table(items) for name, items in found.items()}
    for name, values in rates.items():
        print(name, *(f"{key}: {value:.3f}" for key, value in values.items()), sep="\n  ")
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        facts = {"view": key, "far": FAR, "sets": options.sets, "rates": rates}
        text = json.dumps(facts, indent=2)
        options.output.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
