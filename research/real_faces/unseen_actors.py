r"""How much of a correction should count, judged on actors whom the embedder has not seen.

    python -m research.real_faces.unseen_actors --data imfdb112.zip --embedder MODEL --leave-out NAME --folds 2 3 \
        --start exact=FUSER_FOLDER --start exact-fast=FUSER_FOLDER --cache CACHE -o REPORTS

An embedder that was trained on some actors knows them, so gallery and probes are of the people of these folds alone.
Each start is tried with several shares of its correction beside fusers that were trained on nothing. TAR at FAR 1e-3
and 1e-2, people count alike; differences to each of those fusers and to no correction, with intervals over people.
With `--probes hard=PROBES.npz`, as research.comparison.compare_fusers makes them, also TAR at FAR 1e-4 on these.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from probefusion.embedders import CropQuality, Embedder
from probefusion.embedders.quality import JudgedEmbedder
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import pool_scores, score_probes
from probefusion.fusion import Fuser
from probefusion.metrics import compare_over_people, holm, tar_at_far
from probefusion.protocols.degraded_folder import fold_of
from probefusion.zoo import load_embedder, load_fuser
from research.real_faces.cross_fit_share import Scores, sharing
from research.real_faces.film_scores import Films

__all__ = ["average_rate", "differences", "page"]

SHARES = (0.0, 0.25, 0.5, 1.0)
RATES = (1e-3, 1e-2)
PROBE_RATE = 1e-4
SIZES = (1, 2, 4, 8, 16, 32)

People = npt.NDArray[np.bool_]


def average_rate(scores: Scores, kept: People, rate: float) -> dict[str, float]:
    """TAR at a rate among some people by column, people count alike, and the mean of the columns of all faces.

    NaN where there are too few comparisons for the rate; such columns are not in the mean.
    """
    found = {_text(column): _tar(of, of, kept, rate, 100).first for column, of in scores.items()}
    everything = [value for name, value in found.items() if name.startswith("all")]
    return {**found, "mean": float(np.nanmean(everything))}


def differences(
    scores: dict[str, Scores], pairs: list[tuple[str, str]], kept: People, replicates: int
) -> list[dict[str, Any]]:
    """The pairs of systems by column at the first rate, with intervals over people and Holm's correction."""
    rows: list[dict[str, Any]] = []
    for first, second in pairs:
        for column, mine in scores[first].items():
            found = _tar(mine, scores[second][column], kept, RATES[0], replicates)
            if np.isnan(found.p_value):
                continue  # too few comparisons for the rate
            row = {k: getattr(found, k) for k in ("difference", "low", "high", "p_value")}
            rows.append({"first": first, "second": second, "column": _text(column), **row})
    adjusted = holm([row["p_value"] for row in rows]).adjusted
    for row, value in zip(rows, adjusted.tolist(), strict=True):
        row["adjusted_p_value"] = value
    return rows


def _tar(first: Any, second: Any, kept: People, rate: float, replicates: int) -> Any:
    (found,) = compare_over_people(
        first.among(kept),
        second.among(kept),
        rate,
        num_replicates=replicates,
        average_per_person=True,
    )
    return found


def _text(column: tuple[str, Any]) -> str:
    return f"{column[0]}, {column[1]}"


def rates_on(probes: dict[str, ProbeData], fuser: Fuser) -> dict[str, float]:
    """TAR at FAR 1e-4 of a fuser on probe sets by name and number of images, where the fuser can see them."""
    found = {}
    for name, data in probes.items():
        if fuser.needs_quality and data.probes.quality is None:
            continue
        for size, scores in score_probes(data, fuser, SIZES).items():
            pooled = pool_scores([scores])
            (rate,) = tar_at_far(pooled.mated, pooled.non_mated, [PROBE_RATE])
            found[f"{name}, {size}"] = rate.tar
    return found


def _split(texts: list[str]) -> list[tuple[str, str, str]]:
    return [text.partition("=") for text in texts]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--embedder", required=True, metavar="MODEL")
    parser.add_argument("--leave-out", action="append", default=[], metavar="PERSON")
    parser.add_argument("--folds", nargs="+", type=int, default=[2, 3], help="of the people judged")
    parser.add_argument("--start", action="append", default=[], metavar="NAME=FUSER_FOLDER")
    parser.add_argument("--shares", nargs="+", type=float, default=list(SHARES))
    parser.add_argument(
        "--fuser",
        action="append",
        metavar="FUSER",
        help="beside them (default: mean and universal)",
    )
    parser.add_argument("--probes", action="append", default=[], metavar="NAME=PROBES.npz")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("--replicates", type=int, default=2000)
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    torch.set_num_threads(1)
    others = options.fuser or ["mean", "universal"]
    embedder: Embedder = load_embedder(options.embedder, num_threads=1)
    if "universal" in others:
        embedder = JudgedEmbedder(embedder, CropQuality(num_threads=1))
    films = Films(options.data, embedder, leave_out=tuple(options.leave_out), cache=options.cache)
    kept = np.array([fold_of(name) in options.folds for name in films.subjects])
    scores = {
        name: films.scores(load_fuser(name, embedder=embedder.fingerprint, num_threads=1))
        for name in others
    }
    probes = {name: ProbeData.load(Path(path)) for name, _, path in _split(options.probes)}
    on_probes: dict[str, dict[str, float]] = {}
    for name in others:
        fuser = load_fuser(name, embedder=embedder.fingerprint, num_threads=1)
        on_probes[name] = rates_on(probes, fuser)
    pairs: list[tuple[str, str]] = []
    for text in options.start:
        name, _, start = text.partition("=")
        with tempfile.TemporaryDirectory() as work:
            for share in options.shares:
                fuser = sharing(Path(start), share, Path(work) / f"share-{share:g}")
                scores[f"{name} {share:g}"] = films.scores(fuser)
                on_probes[f"{name} {share:g}"] = rates_on(probes, fuser)
        tried = [f"{name} {share:g}" for share in options.shares]
        pairs += [(label, other) for label in tried for other in others]
        pairs += [(label, tried[0]) for label in tried[1:]]
    facts = {
        "embedder": embedder.fingerprint,
        "folds": options.folds,
        "num_people": int(kept.sum()),
        "tar": {
            f"{rate:g}": {label: average_rate(found, kept, rate) for label, found in scores.items()}
            for rate in RATES
        },
        "probes": on_probes if probes else {},
        "differences": differences(scores, pairs, kept, options.replicates) if pairs else [],
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "unseen-actors.json").write_text(json.dumps(facts, indent=1) + "\n")
    text = "\n".join(page(facts)) + "\n"
    (options.output / "unseen-actors.md").write_text(text)
    print(text)


def page(facts: dict[str, Any]) -> list[str]:
    """The report."""
    folds = " and ".join(map(str, facts["folds"]))
    lines = [
        "# Actors the embedder has not seen",
        "",
        f"{facts['embedder']}, {facts['num_people']} people of the folds {folds}, in gallery and probes alone. The "
        "number beside a name is the share of its correction that counts. *mean*: of the columns of all faces.",
    ]
    for rate, table in facts["tar"].items():
        columns = list(next(iter(table.values())))
        lines += ["", f"TAR at FAR {rate}:", "", f"| fuser | {' | '.join(columns)} |"]
        lines += ["|---|" + "---|" * len(columns)]
        for label, row in table.items():
            lines.append(f"| {label} | " + " | ".join(f"{row[c]:.3f}" for c in columns) + " |")
    if facts["probes"]:
        columns = list(dict.fromkeys(name for row in facts["probes"].values() for name in row))
        lines += ["", f"TAR at FAR {PROBE_RATE:g} on probe sets:", ""]
        lines += [f"| fuser | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
        for label, row in facts["probes"].items():
            cells = [f"{row[c]:.3f}" if c in row else "" for c in columns]
            lines.append(f"| {label} | " + " | ".join(cells) + " |")
    if facts["differences"]:
        lines += [
            "",
            f"Differences at FAR {RATES[0]:g}, 95 % interval over people; *: certain (Holm).",
            "",
        ]
        lines += ["| fuser | against | column | difference |", "|---|---|---|---|"]
    for row in facts["differences"]:
        sign = " *" if row["adjusted_p_value"] <= 0.05 else ""
        lines.append(
            f"| {row['first']} | {row['second']} | {row['column']} | "
            f"{row['difference']:+.3f} ({row['low']:+.3f}, {row['high']:+.3f}){sign} |"
        )
    return lines


if __name__ == "__main__":
    main()
