"""How far weights alone could go: templates whose weights are told what no fuser knows.

    python -m research.comparison.weight_oracles --work WORK --num-sets 16 -o research/reports/comparison

WORK is that of compare_fusers. One oracle knows how badly each probe image was degraded, the others the
person's own gallery image, which is the answer itself; the last takes the weights >= 0 whose mean is the most
similar to it. The gallery is of single images and not fused, so its impostors are those of the plain mean.
"""

from __future__ import annotations

import argparse
import datetime
import json
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import numpy.typing as npt
from scipy.optimize import nnls

from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import ProbeScores
from research.comparison.compare_fusers import probes_path
from research.comparison.cross_fit import CrossFitPlan, summarise
from research.comparison.tables import rates_table

Floats = npt.NDArray[np.floating]
Weigh = Callable[[Floats, Floats, Floats], Floats]
"""Weights (P, N) from severities (P, N), unit embeddings (P, N, D) and own gallery embeddings (P, D)."""


def of_severity(factor: float) -> Weigh:
    """exp(-factor s)."""
    return lambda severity, unit, own: np.exp(-factor * severity)


def of_similarity(factor: float) -> Weigh:
    """exp(factor c), c the similarity to the answer."""
    return lambda severity, unit, own: np.exp(factor * np.einsum("pnd,pd->pn", unit, own))


def nearest(severity: Floats, unit: Floats, own: Floats) -> Floats:
    """The weights >= 0 whose weighted mean has the largest cosine to the answer."""
    del severity
    found = np.stack([nnls(part.T, answer)[0] for part, answer in zip(unit, own, strict=True)])
    found[found.sum(axis=1) == 0] = 1.0  # all images point away from the answer
    return found


ORACLES: dict[str, Weigh] = {
    "the mean": of_severity(0),
    "the severity s, exp(-2 s)": of_severity(2),
    "the severity s, exp(-4 s)": of_severity(4),
    "the severity s, exp(-8 s)": of_severity(8),
    "the answer c, exp(8 c)": of_similarity(8),
    "the answer c, exp(16 c)": of_similarity(16),
    "the answer, weights >= 0 nearest to it": nearest,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("--folds", nargs="+", type=int, default=[0, 1, 2, 3])
    parser.add_argument(
        "--num-sets", type=int, default=4, help="as for research/comparison/compare_fusers.py"
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    options = parser.parse_args()
    plan = CrossFitPlan()
    data = [
        ProbeData.load(probes_path(options.work, "hard", fold, options.num_sets))
        for fold in options.folds
    ]
    results = {
        name: {
            size: asdict(summarise([[score(fold, size, weigh) for fold in data]], plan))
            for size in plan.set_sizes
        }
        for name, weigh in ORACLES.items()
    }
    embedder = data[0].gallery.embedder or "embeddings of unknown origin"
    options.output.mkdir(parents=True, exist_ok=True)
    content = {
        "embedder": embedder,
        "folds": options.folds,
        "num_sets": options.num_sets,
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "results": results,
    }
    stem = options.output / "weight-oracles"
    stem.with_suffix(".json").write_text(
        json.dumps(content, indent=1, default=lambda value: getattr(value, "item", str)()) + "\n"
    )
    lines = [
        f"# Weights that know what no fuser knows, {embedder.split('@')[0]}",
        "",
        f"Weighted means of unit embeddings, folds {', '.join(map(str, options.folds))} of "
        f"degraded-folder/v1, mix 'hard', {options.num_sets} probe sets each, TAR at FAR "
        f"{plan.decision_rate:g}. The severity is that of the "
        "image's degradation; the answer is the similarity to the person's own gallery image.",
        "",
        *rates_table(content, plan, {name: name for name in results}),
    ]
    stem.with_suffix(".md").write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


def score(data: ProbeData, size: int, weigh: Weigh) -> ProbeScores:
    """Similarities of weighted means to the gallery of single images."""
    gallery = data.gallery.embeddings / data.gallery.norms[:, None]
    own = data.probe_subjects[:, None] == data.gallery_subjects
    unit = data.probes.embeddings / data.probes.norms[:, None]
    unit = unit.reshape(len(own), -1, data.gallery.dim)[:, :size]
    answers = gallery[own.argmax(axis=1)]
    weights = weigh(np.asarray(data.severities[:, :size], np.float32), unit, answers)
    templates = np.einsum("pn,pnd->pd", weights, unit)
    templates /= np.linalg.norm(templates, axis=1, keepdims=True)
    found = templates @ gallery.T
    mated, others = found[own], found[~own].reshape(len(own), -1)
    return ProbeScores(
        mated=mated,
        non_mated=others,
        subjects=data.probe_subjects,
    )


if __name__ == "__main__":
    main()
