"""How many sets with a stranger's images are found, what it costs to leave these out, and how many false alarms.

    python -m research.screening.measure --fuser exact --embedder FINGERPRINT --pool PROBES.npz --pool FILM.npz \
      [--without DISOWNED.txt] -o research/reports/screening/NAME

A pool is probe data (from the work folder of `probefusion evaluate`) or embeddings of `probefusion embed` whose
sources are PERSON/FILE. Expectation and threshold are fitted on four fifths of the people of all pools and judged on
the rest, five times. With `--constants FILE` those of all people are added to a file, as `screening.known_images`
reads it.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.fusion import Fuser
from probefusion.screening.expectation import Expectation
from probefusion.screening.judging import judge_splits, outlying
from probefusion.screening.known_images import CAUTIOUS, NORMS
from probefusion.screening.views import NormsView, View
from probefusion.zoo import load_fuser
from research.screening.fit import SHARPNESS, Group, fit_expectation, sets_of_one
from research.screening.pools import FOLDS, Planted, Pool, read_pool

__all__ = ["judge", "main"]

SHARES = (0.05, 0.1, 0.2, 0.3, 0.5)
FUSED_SHARES = (0.0, 0.1, 0.2, 0.3)
"""Of these sets templates are made and compared."""
SIZES = (8, 12, 16, 24, 32)
FAR = 1e-3
LEAST = 3
_AT_ONCE = 128
_WAYS = ("plain", "outliers dropped", "larger part kept", "without the stranger")


def judge(
    pool: Pool,
    expected: Expectation,
    rng: np.random.Generator,
    people: Sequence[str],
    count: int,
    related_by: str = "",
) -> list[dict[str, Any]]:
    """Sets of some people: score, what part of them is strange, similarities of their templates."""
    drawn: dict[int, list[tuple[Planted, float]]] = {}
    possible = pool.sizes(people, SIZES)
    for share in (0.0, *SHARES):
        sizes = [size for size in possible if share * size >= 1 or not share]
        for _ in range(count * (4 if share == 0 else 1) if sizes else 0):
            size = int(rng.choice(sizes))
            strange = max(1, round(share * size)) if share else 0
            planted = pool.plant(rng, people, size, strange, related_by if share else "")
            drawn.setdefault(size, []).append((planted, share))
    found = []
    for sets in drawn.values():
        for start in range(0, len(sets), _AT_ONCE):
            some = sets[start : start + _AT_ONCE]
            split = judge_splits(pool.stack(np.stack([each.rows for each, _ in some])), expected)
            for (planted, share), part, score in zip(some, split.parts, split.scores, strict=True):
                found.append(_judged(pool, planted, expected, share, part, float(score)))
    return found


def _judged(
    pool: Pool,
    planted: Planted,
    expected: Expectation,
    share: float,
    part: npt.NDArray[np.bool_],
    score: float,
) -> dict[str, Any]:
    elements = pool.elements(planted.rows)
    strange = planted.is_strange
    facts: dict[str, Any] = {
        "share": share,
        "person": planted.person,
        "score": score,
        "is_found": score > expected.threshold,
        "size": len(elements),
        "is_heavy": elements.weights[strange].sum() > 0.5 * strange.mean(),
        "right": max(float((part == strange).mean()), float((part != strange).mean())),
    }
    if share not in FUSED_SHARES:
        return facts
    everything = np.ones(len(elements), dtype=bool)
    kept = everything.copy()
    kept[outlying(pool.stack(planted.rows[None]), expected, LEAST)] = False
    larger = part if part.sum() > len(elements) / 2 else ~part
    ways = [everything, kept, larger if facts["is_found"] else everything, ~strange]
    names, references = pool.reference_rows
    similarities = elements.templates(np.stack(ways)) @ references.T
    own = names.index(planted.person)
    facts |= {way: row[own] for way, row in zip(_WAYS, similarities, strict=True)}
    facts["non_mated"] = np.delete(similarities[-1], own)
    return facts


def table(found: Sequence[dict[str, Any]]) -> dict[str, float]:
    """Rates of a pool."""
    rates: dict[str, float] = {}
    for share in (0.0, *SHARES):
        chosen = [item for item in found if item["share"] == share]
        rates[f"found at {share:.0%}" if share else "false alarms"] = _mean(chosen, "is_found")
    rates["false alarms, low"], rates["false alarms, high"] = _interval(
        [item for item in found if item["share"] == 0]
    )
    heavy = [item for item in found if item["is_heavy"] and item["share"] >= 0.1]
    rates["found where heavy"] = _mean(heavy, "is_found")
    rates["images named right where found"] = _mean(
        [item for item in found if item["is_found"] and item["share"] > 0], "right"
    )
    non_mated = [item["non_mated"] for item in found if item["share"] in FUSED_SHARES]
    threshold = np.quantile(np.concatenate(non_mated), 1 - FAR)
    for share in FUSED_SHARES:
        chosen = [item for item in found if item["share"] == share]
        for way in _WAYS:
            is_mated = [item[way] >= threshold for item in chosen]
            rates[f"TAR, {share:.0%}, {way}"] = float(np.mean(is_mated)) if chosen else float("nan")
    return rates


def _interval(alone: Sequence[dict[str, Any]]) -> tuple[float, float]:
    """95 % of the rate of false alarms, people drawn again and again."""
    _, people = np.unique([item["person"] for item in alone], return_inverse=True)
    alarms = np.bincount(people, [item["is_found"] for item in alone])
    counts = np.bincount(people)
    drawn = np.random.default_rng(0).integers(0, len(counts), (1000, len(counts)))
    low, high = np.quantile(alarms[drawn].sum(axis=1) / counts[drawn].sum(axis=1), (0.025, 0.975))
    return float(low), float(high)


def _mean(items: Sequence[dict[str, Any]], name: str) -> float:
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
    parser.add_argument("--sets", type=int, default=60, help="of each share, fold and pool")
    parser.add_argument("--fit-sets", type=int, default=3200, help="of one person, of a pool")
    parser.add_argument("--of", help="the network, for a fuser that takes any embedder")
    parser.add_argument("--measured-on", help="what the pools are, in words")
    parser.add_argument(
        "--related-by", default="", help="strangers are relatives: names alike up to it"
    )
    parser.add_argument(
        "--templates",
        action="store_true",
        help="fit halves as the fuser fuses them, for galleries; --sets 0",
    )
    parser.add_argument("--constants", type=Path, help="a file to which what is fitted is added")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args(arguments)
    without = frozenset(options.without.read_text().splitlines() if options.without else ())
    fuser = load_fuser(options.fuser, embedder=options.embedder, num_threads=1)
    view, key = _view(fuser, options.norms)
    key = f"{key} of {options.of}" if options.of else key
    key = f"templates of {key}" if options.templates else key
    pools = [read_pool(path, fuser, view, without=without) for path in options.pool]
    others = [read_pool(path, fuser, view, without=without) for path in options.also]
    measured_on = options.measured_on or " and ".join(pool.name for pool in pools)
    fitting = [
        [
            sets_of_one(
                pool,
                np.random.default_rng(fold),
                pool.in_fold(fold),
                round(options.fit_sets * len(pool.in_fold(fold)) / len(pool.people)),
                are_templates=options.templates,
            )
            for pool in pools
        ]
        for fold in range(FOLDS)
    ]
    if options.constants:
        expected = fit_expectation(_together(fitting), measured_on, options.sharpness)
        _add(options.constants, key, expected)
    if not options.sets:
        return
    found: dict[str, list[dict[str, Any]]] = {pool.name: [] for pool in (*pools, *others)}
    for fold in range(FOLDS):
        rest = [sets for other, sets in enumerate(fitting) if other != fold]
        expected = fit_expectation(_together(rest), measured_on, options.sharpness)
        for pool in (*pools, *others):
            rng, people = np.random.default_rng(100 + fold), pool.in_fold(fold)
            found[pool.name] += judge(pool, expected, rng, people, options.sets, options.related_by)
    rates = {name: table(items) for name, items in found.items()}
    for name, values in rates.items():
        print(name, *(f"{key}: {value:.3f}" for key, value in values.items()), sep="\n  ")
    if options.output is not None:
        options.output.parent.mkdir(parents=True, exist_ok=True)
        facts = {"view": key, "far": FAR, "sets": options.sets, "rates": rates}
        text = json.dumps(facts, indent=2)
        options.output.with_suffix(".json").write_text(text + "\n", encoding="utf-8")


def _view(fuser: Fuser, norms: str | None) -> tuple[View, str]:
    """How images are looked at, and the name of that."""
    if norms is None:
        view = View(fuser=fuser, expected=CAUTIOUS, is_calibrated=False)
        return view, fuser.fingerprint
    usual = NORMS[norms]
    by_lengths = NormsView(fuser=fuser, expected=CAUTIOUS, is_calibrated=False, usual=usual)
    return by_lengths, f"norms of {norms}"


def _together(folds: Sequence[Sequence[Group]]) -> list[Group]:
    """The sets of several folds, a group of each pool."""
    return [[item for sets in groups for item in sets] for groups in zip(*folds, strict=True)]


def _add(path: Path, key: str, expected: Expectation) -> None:
    known = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    known[key] = asdict(expected)
    text = json.dumps(dict(sorted(known.items())), separators=(", ", ": "))
    path.write_text(text.replace("}, ", "},\n").replace('{"c', '\n  {"c') + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
