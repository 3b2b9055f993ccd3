r"""Chooses how much of a correction counts on one half of the actors and judges it on the other.

    python -m research.real_faces.cross_fit_share --data imfdb112.zip --embedder MODEL --leave-out NAME \
        --start exact=FUSER_FOLDER --start exact-fast=FUSER_FOLDER --against mean --against official -o REPORTS

The share is the one with the highest TAR at FAR 1e-3 among the people of a half (they alone in the gallery),
averaged over all faces at N = 1 to 32 and whole films. Halves: by the hash of the name (folds 0 and 1, 2 and 3),
and ten drawn at random, which say how firm the choice is.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from probefusion.embedders import CropQuality, Embedder
from probefusion.embedders.quality import JudgedEmbedder
from probefusion.fusion import Fuser
from probefusion.fusion.learned import open_fuser
from probefusion.metrics import ComparisonScores, compare_over_people, holm, tar_at_far
from probefusion.nn.architectures import build_network
from probefusion.protocols.degraded_folder import fold_of
from probefusion.training.export.fuser_folder import export_fuser
from probefusion.training.starting_point import read_starting_point
from probefusion.zoo import load_embedder, load_fuser
from research.real_faces.film_scores import Column, Films, FilmScores

__all__ = ["chosen", "judged", "sharing"]

SHARES = (0.0, 0.25, 0.5, 0.75, 1.0)
RATE = 1e-3
NUM_SPLITS = 10

Scores = dict[Column, FilmScores]


def sharing(start: Path, share: float, folder: Path) -> Fuser:
    """The fuser of a folder, of whose correction this share counts."""
    point = read_starting_point(start)
    network = build_network(
        point.card.architecture, {**point.card.config, "correction_share": share}
    )
    point.load_into(network)
    export_fuser(
        network.eval(),
        folder,
        name=folder.name,
        architecture=point.card.architecture,
        embedder=point.card.embedder,
        licence=point.card.licence,
        training=point.card.training,
        needs_norms=point.card.needs_norms,
    )
    return open_fuser(folder, num_threads=1)


def rate_of(scores: ComparisonScores) -> float:
    """TAR at the decision rate, people count alike."""
    (found,) = tar_at_far(scores.mated, scores.non_mated, [RATE])
    accepted = scores.mated >= found.threshold
    counts = np.bincount(scores.mated_people)
    return float(np.mean(np.bincount(scores.mated_people, weights=accepted) / counts))


def chosen(by_share: dict[float, Scores], kept: npt.NDArray[np.bool_]) -> float:
    """The share that some people alone would have chosen."""
    rates = {
        share: np.mean([rate_of(found[c].among(kept)) for c in found if c[0] == "all"])
        for share, found in by_share.items()
    }
    return max(rates, key=lambda share: rates[share])


def judged(
    by_share: dict[float, Scores], half: npt.NDArray[np.bool_]
) -> tuple[Scores, list[float]]:
    """Scores in which each half has the share that the other one chose, and the two choices."""
    of_half, of_other = chosen(by_share, half), chosen(by_share, ~half)
    scores = {
        column: by_share[of_other][column]
        .of_probes(half)
        .with_probes(by_share[of_half][column].of_probes(~half))
        for column in by_share[of_half]
    }
    return scores, [of_half, of_other]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--embedder", required=True, metavar="MODEL")
    parser.add_argument("--leave-out", action="append", default=[], metavar="PERSON")
    parser.add_argument("--start", required=True, action="append", metavar="NAME=FUSER_FOLDER")
    parser.add_argument("--against", required=True, action="append", metavar="FUSER")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--replicates", type=int, default=12000)
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    embedder: Embedder = load_embedder(options.embedder, num_threads=1)
    if "universal" in options.against:
        embedder = JudgedEmbedder(embedder, CropQuality(num_threads=1))
    films = Films(options.data, embedder, leave_out=tuple(options.leave_out), cache=options.cache)
    half = np.array([fold_of(name) < 2 for name in films.subjects])
    references = {
        name: films.scores(load_fuser(name, embedder=embedder.fingerprint, num_threads=1))
        for name in options.against
    }
    facts: dict[str, object] = {
        "shares": SHARES,
        "people_of_halves": [int(half.sum()), int((~half).sum())],
    }
    tests: list[dict[str, object]] = []
    for text in options.start:
        name, _, start = text.partition("=")
        with tempfile.TemporaryDirectory() as work:
            by_share = {
                share: films.scores(sharing(Path(start), share, Path(work) / f"share-{share:g}"))
                for share in SHARES
            }
        scores, choices = judged(by_share, half)
        draws = np.random.default_rng(0)
        others: Counter[float] = Counter()
        for _ in range(NUM_SPLITS):
            drawn = draws.permutation(len(half)) < len(half) // 2
            others.update([chosen(by_share, drawn), chosen(by_share, ~drawn)])
        facts[name] = {
            "chosen_by_halves": choices,
            "chosen_by_random_halves": {f"{share:g}": others[share] for share in SHARES},
            "tar_by_share": {
                f"{share:g}": {_text(c): round(rate_of(s.whole), 4) for c, s in found.items()}
                for share, found in by_share.items()
            },
        }
        print(name, facts[name], flush=True)
        for base, theirs in references.items():
            for column in scores:
                (found,) = compare_over_people(
                    scores[column].whole,
                    theirs[column].whole,
                    RATE,
                    num_replicates=options.replicates,
                    average_per_person=True,
                )
                tests.append(
                    {
                        "fuser": name,
                        "reference": base,
                        "column": _text(column),
                        **{
                            k: getattr(found, k)
                            for k in ("first", "second", "difference", "low", "high")
                        },
                        "p_value": found.p_value,
                    }
                )
    adjusted = holm([float(str(test["p_value"])) for test in tests]).adjusted
    for test, value in zip(tests, adjusted.tolist(), strict=True):
        test["adjusted_p_value"] = value
    facts["tests"] = tests
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "cross-fitted-share.json").write_text(json.dumps(facts, indent=1) + "\n")
    (options.output / "cross-fitted-share.md").write_text("\n".join(_page(facts, tests)) + "\n")


def _text(column: Column) -> str:
    return f"{column[0]}, {column[1]}"


def _page(facts: dict[str, object], tests: list[dict[str, object]]) -> list[str]:
    lines = [
        "# Half of the correction, cross-fitted by actor",
        "",
        f"Each half ({facts['people_of_halves']} people) is judged with the share of the correction that the other one "
        f"chose among {', '.join(map(str, SHARES))}. TAR at FAR {RATE:g}; brackets: 95 % interval of the difference; "
        "*: certain (Holm over all rows).",
        "",
    ]
    names = dict.fromkeys(str(test["fuser"]) for test in tests)
    for name in names:
        found = facts[name]
        assert isinstance(found, dict)  # noqa: S101 - written above
        lines += [
            f"`{name}`: chosen {found['chosen_by_halves']}; by 20 random halves {found['chosen_by_random_halves']}.",
            "",
        ]
    lines += [
        "| fuser | against | faces, N | fuser | reference | difference |",
        "|---|---|---|---|---|---|",
    ]
    for test in tests:
        low, high = float(str(test["low"])), float(str(test["high"]))
        sign = " *" if float(str(test["adjusted_p_value"])) <= 0.05 else ""
        lines.append(
            f"| {test['fuser']} | {test['reference']} | {test['column']} | {test['first']:.3f} | "
            f"{test['second']:.3f} | {test['difference']:+.3f} ({low:+.3f}, {high:+.3f}){sign} |"
        )
    return lines


if __name__ == "__main__":
    main()
