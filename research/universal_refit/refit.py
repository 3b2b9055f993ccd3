r"""Refits the universal fuser's constants on one half of the actors of films and judges them on the other.

    python -m research.universal_refit.refit --data imfdb112.zip --leave-out NAME --cache CACHE \
        --embedder mobilefacenet_128d.onnx --embedder sface_128d_int8bq.onnx --embedder edgeface_xs_512d.onnx \
        -o research/reports/universal/refit

Halves: by the hash of the name (folds 0 and 1, 2 and 3). Constants are chosen for all embedders at once, and for each
embedder on the others alone; chosen is what gives the highest mean, over embedders, N = 2 to 32 and whole films, of TAR
at FAR 1e-3 and 1e-2 and rank 1 among the people of a half. Told beside it: what weights could reach that know more
than a fuser can, and weights learned from the style of embedders.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality
from probefusion.embedders.quality import JudgedEmbedder
from probefusion.evaluation.media_results import MEDIUM
from probefusion.metrics import compare_over_people, holm
from probefusion.protocols.degraded_folder import fold_of
from probefusion.zoo import DEFAULT_EMBEDDER, load_embedder
from research.real_faces.film_scores import Column, FilmScores
from research.universal_refit.bounds import BOUNDS, bound_scores, predicted, usefulness
from research.universal_refit.fit import GRIDS, RATES, Accuracy, crossed, fitted, rates
from research.universal_refit.material import FilmSets
from research.universal_refit.pages import refit_page
from research.universal_refit.rules import OPEN_CEILING, Rule

SIZES = (2, 4, 8, 16, 32)
COLUMNS: tuple[Column, ...] = (*(("all", size) for size in SIZES), ("all", MEDIUM))
SMALL: tuple[Column, ...] = tuple(("..60", column[1]) for column in COLUMNS)
REPLICATES = 6000
NUM_SPLITS = 5
POWER_ALONE = {"power": GRIDS["power"]}

Films = dict[str, FilmSets]
Kept = npt.NDArray[np.bool_]
Scores = dict[Column, FilmScores]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--embedder", required=True, action="append", metavar="MODEL")
    parser.add_argument("--leave-out", action="append", default=[], metavar="PERSON")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    films = {}
    for model in options.embedder:
        opened = opened_films(options, model)
        films[opened.embedder_name] = opened
    first = next(iter(films.values()))
    half = np.array([fold_of(name) < 2 for name in first.subjects])
    halves = {"first": half, "second": ~half, "all": np.ones_like(half)}
    facts: dict[str, Any] = {
        "embedders": list(films),
        "people_of_halves": [int(half.sum()), int((~half).sum())],
        "columns": [text_of(column) for column in (*COLUMNS, *SMALL)],
        "rates": RATES,
        "grids": GRIDS,
        "num_replicates": REPLICATES,
    }
    accuracy = Accuracy(films, COLUMNS, halves)
    base = {name: films[name].rule_scores(Rule(), (*COLUMNS, *SMALL)) for name in films}
    plain = {name: films[name].rule_scores(Rule(power=0), (*COLUMNS, *SMALL)) for name in films}
    facts["tables"] = {"mean": tables(plain), "universal": tables(base)}
    facts["one_by_one"] = {
        constant: {f"{v:g}": _gains(accuracy, changed(constant, v), films) for v in values}
        for constant, values in GRIDS.items()
    }
    print("one by one", facts["one_by_one"], flush=True)
    chosen = choices(accuracy, films)
    facts["chosen"] = {
        name: {part: asdict(rule) | {"text": rule.text} for part, rule in rules.items()}
        for name, rules in chosen.items()
    }
    facts["random_halves"] = firmness(films, half)
    facts["within_halves"] = {
        name: within_halves(accuracy, rules, films) for name, rules in chosen.items()
    }
    print("chosen", facts["chosen"], facts["random_halves"], flush=True)
    judged = {
        "refitted": {name: cross(films[name], half, chosen["all embedders"]) for name in films},
        "without the judged embedder": {
            name: cross(films[name], half, chosen[f"without {name}"]) for name in films
        },
        "power alone": {name: cross(films[name], half, chosen["power alone"]) for name in films},
    }
    facts["tables"] |= {name: tables(scores) for name, scores in judged.items()}
    facts["tests"] = tests(judged, base)
    facts["bounds"] = bounds(films, options, half)
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "refit.json").write_text(json.dumps(facts, indent=1) + "\n")
    text = "\n".join(refit_page(facts)) + "\n"
    (options.output / "refit.md").write_text(text)
    print(text)


def opened_films(options: argparse.Namespace, model: str) -> FilmSets:
    """Films as an embedder sees them, judged."""
    embedder = JudgedEmbedder(load_embedder(model, num_threads=1), CropQuality(num_threads=1))
    return FilmSets(options.data, embedder, leave_out=tuple(options.leave_out), cache=options.cache)


def text_of(column: Column) -> str:
    """As reports name it."""
    return f"{column[0]}, {'film' if column[1] == MEDIUM else column[1]}"


def changed(constant: str, value: float) -> Rule:
    """`universal` with one other constant; the growth of a share is tried with a share of .2."""
    share = {"share": 0.2} if constant.startswith("share_by") else {}
    return replace(Rule(), **{**share, constant: value})


def _gains(accuracy: Accuracy, rule: Rule, films: Films) -> dict[str, float]:
    """Over `universal`, everybody, by embedder."""
    return {
        name: round(accuracy.of(rule, "all", [name]) - accuracy.of(Rule(), "all", [name]), 4)
        for name in films
    }


def choices(accuracy: Accuracy, films: Films) -> dict[str, dict[str, Rule]]:
    """What each half, and everybody, would choose: for all embedders, for each without it, and the power alone."""

    def choose(names: list[str], part: str, **more: Any) -> Rule:
        return fitted(lambda rule: accuracy.of(rule, part, names), **more)

    parts = ("first", "second", "all")
    found = {"all embedders": {part: choose(list(films), part) for part in parts}}
    found["power alone"] = {part: choose(list(films), part, grids=POWER_ALONE) for part in parts}
    for name in films:
        others = [other for other in films if other != name]
        found[f"without {name}"] = {part: choose(others, part) for part in parts}
    return found


def within_halves(
    accuracy: Accuracy, rules: dict[str, Rule], films: Films
) -> dict[str, list[float]]:
    """Gain of the first and of the second half by the other one's rule, each alone in the gallery, by embedder."""
    pairs = (("first", rules["second"]), ("second", rules["first"]))
    return {
        name: [
            round(accuracy.of(rule, part, [name]) - accuracy.of(Rule(), part, [name]), 4)
            for part, rule in pairs
        ]
        for name in films
    }


def firmness(films: Films, half: Kept) -> dict[str, Any]:
    """The power that random halves choose, and what the other half gains by it."""
    draws = np.random.default_rng(0)
    powers: Counter[str] = Counter()
    gains = []
    for _ in range(NUM_SPLITS):
        drawn = draws.permutation(len(half)) < len(half) // 2
        accuracy = Accuracy(films, COLUMNS, {"one": drawn, "other": ~drawn})
        for mine, theirs in (("one", "other"), ("other", "one")):
            rule = fitted(_of(accuracy, mine, films), POWER_ALONE)
            powers[f"{rule.power:g}"] += 1
            gains.append(accuracy.of(rule, theirs, films) - accuracy.of(Rule(), theirs, films))
    return {
        "powers": dict(sorted(powers.items())),
        "gain_of_the_other_half": [round(float(gain), 4) for gain in gains],
    }


def _of(accuracy: Accuracy, part: str, films: Films) -> Callable[[Rule], float]:
    return lambda rule: accuracy.of(rule, part, films)


def cross(films: FilmSets, half: Kept, rules: dict[str, Rule]) -> Scores:
    """Each half with the rule of the other one."""
    return crossed(films, (*COLUMNS, *SMALL), half, (rules["first"], rules["second"]))


def tables(scores: dict[str, Scores]) -> dict[str, dict[str, list[float]]]:
    """TAR at both rates and rank 1 of everybody, by embedder and column."""
    return {
        name: {
            text_of(column): rates(part, _everybody(part)).round(4).tolist()
            for column, part in found.items()
        }
        for name, found in scores.items()
    }


def _everybody(scores: FilmScores) -> Kept:
    return np.ones(scores.similarities[0].shape[1], bool)


def tests(judged: dict[str, dict[str, Scores]], base: dict[str, Scores]) -> list[dict[str, Any]]:
    """Differences to `universal`, paired over people; Holm over all of them."""
    found: list[dict[str, Any]] = []
    for rule, by_embedder in judged.items():
        for name, scores in by_embedder.items():
            for column in COLUMNS:
                differences = compare_over_people(
                    scores[column].whole,
                    base[name][column].whole,
                    RATES,
                    num_replicates=REPLICATES,
                    average_per_person=True,
                )
                for rate, one in zip(RATES, differences, strict=True):
                    found.append(
                        {
                            "rule": rule,
                            "embedder": name,
                            "column": text_of(column),
                            "rate": rate,
                            "difference": one.difference,
                            "low": one.low,
                            "high": one.high,
                            "p_value": one.p_value,
                        }
                    )
            print(f"tested {rule}, {name}", flush=True)
    adjusted = holm([test["p_value"] for test in found]).adjusted
    for test, value in zip(found, adjusted.tolist(), strict=True):
        test["adjusted_p_value"] = value
    return found


def bounds(films: Films, options: argparse.Namespace, half: Kept) -> dict[str, Any]:
    """Tables of what knows more than a fuser can, and of weights learned on the other half of the actors."""
    useful = {name: usefulness(one.images, one.owners, one.media) for name, one in films.items()}
    found = {
        name: tables({key: bound_scores(name, films[key], useful, key, COLUMNS) for key in films})
        for name in BOUNDS
    }
    first = next(iter(films.values()))
    mine = dict(zip(first.subjects, half.tolist(), strict=True))
    of_first = np.array([mine.get(owner, fold_of(owner) < 2) for owner in first.owners])
    for evidence, features in evidences(films, options).items():
        for share in (0.0, 0.5):
            scores = {}
            for key, one in films.items():
                target = np.mean([_scaled(useful[k]) for k in films if k != key], axis=0)
                seen = predicted(features, target, of_first)
                quality = (1.5 - share) * seen + share * one.images.quality
                scores[key] = one.rule_scores(Rule(ceiling=OPEN_CEILING), COLUMNS, quality=quality)
            found[f"learned from {evidence}, {share:g} of the present quality"] = tables(scores)
    return found


def evidences(films: Films, options: argparse.Namespace) -> dict[str, npt.NDArray[np.floating]]:
    """(I, F) what weights are learned from, by name."""
    first = next(iter(films.values()))
    quality = first.images.quality
    known = np.stack([quality, quality**2], axis=1)
    inside = opened_films(options, DEFAULT_EMBEDDER)
    lengths = np.stack([one.images.log_lengths for one in (inside, *films.values())], axis=1)
    found = {
        "the quality of the crops": known,
        "it and the style that the embedder inside sees": np.hstack([known, inside.style]),
        "it, the lengths of all embedders and the width of the face": np.hstack(
            [known, lengths, first.log_widths[:, None]]
        ),
    }
    return found | {
        f"it and the style that {name} sees": np.hstack([known, one.style])
        for name, one in films.items()
        if one.has_style
    }


def _scaled(values: npt.NDArray[np.floating]) -> npt.NDArray[np.floating]:
    found: npt.NDArray[np.floating] = (values - values.mean()) / values.std()
    return found


if __name__ == "__main__":
    main()
