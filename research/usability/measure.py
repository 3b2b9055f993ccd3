r"""How far usability can be believed: on people, cameras and pictures that no record was fitted with.

    python -m research.usability.measure --drawn WORK/lfw-hard --embedder compact_128d --fuser exact --fuser mean
    python -m research.usability.measure --filmed WORK/imfdb --leave HrithikRoshan --embedder compact_128d --fuser exact
    python -m research.usability.measure --filmed WORK/ytf --media '^(\d)' --embedder compact_128d --fuser exact

The error-versus-discard characteristic beside rivals, coverage, how many good sets are refused; predicted against
real gain over the plain mean. Files are those of `draw_sets` and `embed_folder`. Prints JSON, a line a fuser.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.evaluation.probe_data import ProbeData
from probefusion.fusion import Fuser, MeanFuser
from probefusion.metrics import error_versus_discard
from probefusion.screening.fit_usability import measure_sets
from probefusion.screening.gain import predict_gain
from probefusion.screening.usability import Usability, judge_states
from probefusion.screening.usability_record import UsabilityRecord
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser
from probefusion.zoo.usability import find_usability

__all__ = ["Trials", "drawn_trials", "filmed_trials", "main"]

SIZES = (1, 2, 4, 8, 16)
ROUNDS = 16
FRACTIONS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
FMR = 1e-4

_Floats = npt.NDArray[np.float64]
_Rows = npt.NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Trials:
    """Sets of several sizes, and clean images to compare them with.

    Args:
        images: All images.
        sets: For each size (P, n) rows of `images`.
        mated: For each size (P,) places in the gallery.
        gallery: (G,) rows of `gallery_images`.
        owners: (G,) whose they are.
        people: For each size (P,) whose sets they are.
        gallery_images: The images that the gallery's rows mean.
        detector_scores: (N,) how sure the detector was of each image, or None.
    """

    images: EmbeddingSet
    sets: list[_Rows]
    mated: list[_Rows]
    gallery: _Rows
    owners: npt.NDArray[np.str_]
    people: list[npt.NDArray[np.str_]]
    gallery_images: EmbeddingSet
    detector_scores: _Floats | None = None


def drawn_trials(data: ProbeData) -> Trials:
    """Sets of the degraded-folder protocol."""
    size, count = data.set_size, len(data.probe_subjects)
    places = {name: row for row, name in enumerate(data.gallery_subjects.tolist())}
    mated = np.array([places[name] for name in data.probe_subjects.tolist()])
    sizes = [number for number in SIZES if number <= size]
    first = np.arange(count)[:, None] * size
    return Trials(
        images=data.probes,
        sets=[first + np.arange(number) for number in sizes],
        mated=[mated] * len(sizes),
        gallery=np.arange(len(data.gallery)),
        owners=data.gallery_subjects,
        people=[data.probe_subjects] * len(sizes),
        gallery_images=data.gallery,
    )


def filmed_trials(
    images: EmbeddingSet,
    *,
    media: str,
    leave: Sequence[str] = (),
    detector_scores: _Floats | None = None,
) -> Trials:
    """Sets of real images: each from media other than that of the one image they are compared with.

    That one is the image of its film with the best crop, where crops were judged, else any.

    Args:
        images: With sources "person/file".
        media: Pattern whose group 1 in the file's name is the film or clip.
        leave: People to leave out.
        detector_scores: (N,) how sure the detector was of each image, or None.
    """
    rng = np.random.default_rng(0)
    where: dict[str, dict[str, list[int]]] = {}
    for row, source in enumerate(np.asarray(images.sources).tolist()):
        person, file = source.split("/")
        found = re.search(media, file)
        if found is not None and person not in leave:
            where.setdefault(person, {}).setdefault(found[1], []).append(row)
    gallery, owners = [], []
    sets: dict[int, list[_Rows]] = {number: [] for number in SIZES}
    mated: dict[int, list[int]] = {number: [] for number in SIZES}
    for person, films in where.items():
        names = sorted(films)
        if len(names) < 2:
            continue
        for turn in range(ROUNDS):
            film = names[turn % len(names)]
            others = np.array([row for name in names if name != film for row in films[name]])
            gallery.append(_clean_image(images, films[film], rng))
            owners.append(person)
            for number in SIZES:
                if len(others) >= number:
                    sets[number].append(rng.choice(others, number, replace=False))
                    mated[number].append(len(gallery) - 1)
    sizes = [number for number in SIZES if sets[number]]
    names_of = np.array(owners)
    return Trials(
        images=images,
        sets=[np.stack(sets[number]) for number in sizes],
        mated=[np.array(mated[number]) for number in sizes],
        gallery=np.array(gallery),
        owners=names_of,
        people=[names_of[np.array(mated[number])] for number in sizes],
        gallery_images=images,
        detector_scores=detector_scores,
    )


def _scores(path: Path, sources: Sequence[str]) -> _Floats:
    """What a table with the columns `file` and `detector_score` says of each image; 0 where nothing."""
    with path.open(encoding="utf-8", newline="") as stream:
        said = {row["file"]: row["detector_score"] for row in csv.DictReader(stream)}
    return np.array([float(said.get(source) or 0) for source in sources])


def _clean_image(images: EmbeddingSet, rows: list[int], rng: np.random.Generator) -> int:
    if images.quality is None:
        return int(rng.choice(rows))
    return rows[int(np.argmax(images.quality[rows]))]


def _measure(
    fuser: Fuser, record: UsabilityRecord, trials: Trials, *, with_others: bool
) -> dict[str, Any]:
    """What each set gave, all sizes one after the other; similarities of different people beside them."""
    alone = np.arange(len(trials.gallery) + 1)
    chosen = trials.gallery_images[trials.gallery]
    clean = fuser.fuse_many(chosen, alone)
    plain = MeanFuser(num_threads=1).fuse_many(chosen, alone)
    columns: dict[str, list[Any]] = {}
    for rows, mated, people in zip(trials.sets, trials.mated, trials.people, strict=True):
        _, similar, terms, gains = measure_sets(
            fuser, trials.images, rows, clean[mated], plain[mated]
        )
        count = rows.shape[1]
        inside = trials.images[rows.ravel()]
        borders = np.arange(len(rows) + 1) * count
        states = fuser.encode_many(inside, borders)
        found = {
            "similarity": similar,
            "gain": gains,
            "predicted_gain": predict_gain(terms, record),
            "set size": np.full(len(rows), float(count)),
            "mean norm": inside.norms.reshape(len(rows), count).mean(axis=1).astype(np.float64),
        }
        if inside.quality is not None:
            judged = inside.quality.reshape(len(rows), count).mean(axis=1)
            found["mean crop quality"] = judged.astype(np.float64)
        if trials.detector_scores is not None:
            found["mean detector score"] = trials.detector_scores[rows].mean(axis=1)
        if with_others:
            columns.setdefault("usability", []).extend(
                judge_states(states, np.full(len(rows), count), record)
            )
            scores = fuser.finish_many(states) @ clean.T
            found["others"] = scores[people[:, None] != trials.owners[None]]
        for name, values in found.items():
            columns.setdefault(name, []).append(np.asarray(values))
    return {
        name: parts if name == "usability" else np.concatenate(parts)
        for name, parts in columns.items()
    }


def _ranks(usability: Sequence[Usability]) -> _Floats:
    """Predicted similarity; what is no face lies below all else."""
    return np.array(
        [-1.0 if one.interval is None else float(one.similarity or 0) for one in usability]
    )


def discard(columns: dict[str, Any], record: UsabilityRecord) -> dict[str, Any]:
    """Error versus discard of usability and its rivals, and how the verdicts fare."""
    similar = np.array(columns["similarity"])
    threshold = float(np.quantile(np.array(columns["others"]), 1 - FMR))
    judged: list[Usability] = columns["usability"]
    qualities = {"usability": _ranks(judged)}
    for name in ("set size", "mean norm", "mean detector score", "mean crop quality"):
        if name in columns:
            qualities[name] = np.array(columns[name])
    curves = {}
    for name, values in qualities.items():
        curve = error_versus_discard(
            similar, values, threshold=threshold, fractions=FRACTIONS, limit=0.9
        )
        curves[name] = {
            "fnmr": [round(float(error), 4) for error in curve.errors],
            "area": round(float(curve.area), 4),
        }
    good = similar >= record.level
    verdicts = np.array([one.verdict for one in judged])
    inside = [
        one.interval[0] <= value <= one.interval[1]
        for one, value in zip(judged, similar.tolist(), strict=True)
        if one.interval is not None
    ]
    misses = (
        qualities["usability"][qualities["usability"] > -1] - similar[qualities["usability"] > -1]
    )
    return {
        "num_sets": len(similar),
        "threshold": round(threshold, 4),
        "curves": curves,
        "coverage": round(float(np.mean(inside)), 4),
        "mean_error": round(float(np.abs(misses).mean()), 4),
        "bias": round(float(misses.mean()), 4),
        "good": round(float(good.mean()), 4),
        "share": {
            name: round(float((verdicts == name).mean()), 4)
            for name in np.unique(verdicts).tolist()
        },
        "good_in": {
            name: round(float(good[verdicts == name].mean()), 4)
            for name in np.unique(verdicts).tolist()
        },
        "good_not_usable": round(float((verdicts[good] == "not usable").mean()), 4),
    }


def gain(columns: dict[str, Any]) -> dict[str, Any]:
    """Predicted against real gain, of sets of two images and more; nothing for the plain mean itself."""
    several = np.array(columns["set size"]) > 1
    real = np.array(columns["gain"])[several]
    told = np.array(columns["predicted_gain"])[several]
    if np.ptp(told) < 1e-3:
        return {}
    order = np.array_split(np.argsort(told, kind="stable"), 5)
    return {
        "num_sets": int(several.sum()),
        "correlation": round(float(np.corrcoef(real, told)[0, 1]), 3),
        "slope": round(float(np.polyfit(told, real, 1)[0]), 3),
        "fifths": [
            [round(float(told[part].mean()), 3), round(float(real[part].mean()), 3)]
            for part in order
        ],
        "mean": [round(float(told.mean()), 4), round(float(real.mean()), 4)],
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    given = parser.add_mutually_exclusive_group(required=True)
    given.add_argument("--drawn")
    given.add_argument("--filmed")
    parser.add_argument("--media", default="^(.+?)__")
    parser.add_argument("--leave", nargs="*", default=[])
    parser.add_argument("--table", type=Path, help="faces.csv with detector scores")
    parser.add_argument("--embedder", required=True, help="name in the files")
    parser.add_argument(
        "--constants-of",
        help="embedder whose constants tell the gain, which alone is measured then",
    )
    parser.add_argument("--fuser", action="append", required=True)
    options = parser.parse_args(arguments)
    path = f"{options.drawn or options.filmed}.{options.embedder}.npz"
    if options.drawn:
        trials = drawn_trials(ProbeData.load(path))
    else:
        images = EmbeddingSet.load(path)
        sources = np.asarray(images.sources).tolist()
        trials = filmed_trials(
            images,
            media=options.media,
            leave=options.leave,
            detector_scores=_scores(options.table, sources) if options.table else None,
        )
    for name in options.fuser:
        fuser = load_fuser(name, embedder=trials.images.embedder, num_threads=1)
        record = find_usability(fuser, options.constants_of or trials.images.embedder)
        if record is None:
            raise SystemExit(f"{name}: nothing was fitted for {trials.images.embedder}")
        is_own = options.constants_of is None
        columns = _measure(fuser, record, trials, with_others=is_own)
        found = {"discard": discard(columns, record)} if is_own else {}
        found["gain"] = gain(columns)
        print(
            json.dumps({"fuser": fuser.fingerprint, "data": path.rpartition("/")[2], **found}),
            flush=True,
        )


if __name__ == "__main__":
    main()
