r"""What fusers gain over the mean against how alike the images of a set are.

    python -m research.real_faces.homogeneity --data imfdb112.zip --embedder MODEL --leave-out NAME \
        --fuser official --fuser exact-fast --fuser universal -o REPORTS

Probe sets of media-folder/v1, all faces, are put into four quarters by the length of the mean of their unit
embeddings (1: all alike). Each fuser and the mean have one threshold each for all sets, at FAR 1e-3. Intervals: 95 %,
people resampled, thresholds and quarters as they are.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality
from probefusion.embedders.quality import JudgedEmbedder
from probefusion.metrics import tar_at_far
from probefusion.zoo import load_embedder, load_fuser
from research.real_faces.film_scores import Column, Films, FilmScores

RATE = 1e-3
SIZES = (4, 8, 16)
REPLICATES = 2000

Floats = npt.NDArray[np.float64]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, type=Path)
    parser.add_argument("--embedder", required=True, metavar="MODEL")
    parser.add_argument("--leave-out", action="append", default=[], metavar="PERSON")
    parser.add_argument("--fuser", required=True, action="append")
    parser.add_argument("--cache", type=Path)
    parser.add_argument("-o", "--output", required=True, type=Path)
    options = parser.parse_args()
    embedder = load_embedder(options.embedder)
    judging = JudgedEmbedder(embedder, CropQuality())
    films = Films(options.data, judging, leave_out=tuple(options.leave_out), cache=options.cache)
    wanted: list[Column] = [("all", size) for size in SIZES]
    found = {
        name: films.scores(load_fuser(name, embedder=embedder.fingerprint), wanted)
        for name in ("mean", *options.fuser)
    }
    rows = []
    for column in wanted:
        lengths = films.coherences(column)
        quarters = np.searchsorted(np.quantile(lengths, [0.25, 0.5, 0.75]), lengths, side="right")
        people = np.concatenate(found["mean"][column].people)
        plain = accepted(found["mean"][column])
        for name in options.fuser:
            gains = accepted(found[name][column]) - plain
            for quarter in range(4):
                mine = quarters == quarter
                low, high = interval(gains[mine], people[mine])
                rows.append(
                    {
                        "num_images": column[1],
                        "fuser": name,
                        "quarter": quarter + 1,
                        "length_of_mean": round(float(np.median(lengths[mine])), 3),
                        "sets": int(mine.sum()),
                        "people": len(np.unique(people[mine])),
                        "mean": round(float(plain[mine].mean()), 4),
                        "gain": round(float(gains[mine].mean()), 4),
                        "low": round(low, 4),
                        "high": round(high, 4),
                    }
                )
    name = embedder.fingerprint.split("@")[0]
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / f"{name}.json").write_text(json.dumps(rows, indent=1) + "\n")
    text = "\n".join(page(name, rows)) + "\n"
    (options.output / f"{name}.md").write_text(text)
    print(text)


def accepted(scores: FilmScores) -> Floats:
    """(S,) 1 for each probe set that is accepted as its person, all replicates one after the other."""
    whole = scores.whole
    (found,) = tar_at_far(whole.mated, whole.non_mated, [RATE])
    mated = [
        similarities[np.arange(len(people)), people]
        for similarities, people in zip(scores.similarities, scores.people, strict=True)
    ]
    return (np.concatenate(mated) >= found.threshold).astype(np.float64)


def interval(gains: Floats, people: npt.NDArray[np.int64]) -> tuple[float, float]:
    """95 % interval of the mean gain, people resampled with all their sets."""
    places = np.unique(people, return_inverse=True)[1]
    sums, counts = np.bincount(places, weights=gains), np.bincount(places)
    rng = np.random.default_rng(0)
    drawn = rng.multinomial(len(sums), np.full(len(sums), 1 / len(sums)), size=REPLICATES)
    low, high = np.quantile((drawn @ sums) / (drawn @ counts), [0.025, 0.975])
    return float(low), float(high)


def page(name: str, rows: list[dict[str, object]]) -> list[str]:
    lines = [
        f"# Gain against how alike the images are: {name}",
        "",
        f"Films, all faces, TAR at FAR {RATE:g} with one threshold for all quarters; gain over the mean, 95 % interval "
        "over people.",
        "",
        "| N | fuser | quarter | length of the mean | people | mean | gain |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['num_images']} | {row['fuser']} | {row['quarter']} | {row['length_of_mean']} | {row['people']} | "
            f"{row['mean']:.3f} | {row['gain']:+.3f} ({row['low']:+.3f}, {row['high']:+.3f}) |"
        )
    return lines


if __name__ == "__main__":
    main()
