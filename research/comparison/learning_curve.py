r"""How accurate fusers become with more people to train on.

    python -m research.comparison.compare_fusers --stage embed --folds 3 --images lfw112.zip --embedder MODEL \
        --work WORK -o REPORTS
    python -m research.comparison.learning_curve train --work WORK
    python -m research.comparison.learning_curve report --work WORK --embedder MODEL --films imfdb112.zip \
        --leave-out NAME -o REPORTS

The first 50, 100, 250, 500, 1,000 and 2,000 (or `--people`) of the embedded people of folds 0, 1 and 2 by the hash of
their name, and all of them, train each fuser (or those named by `--fuser`), always with the same number of steps and of
people a step. Tested on fold 3 (degraded-folder/v1, mix 'hard') and on films. Everything is kept in WORK; a stopped run
goes on from there.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import time
from pathlib import Path
from typing import Any

import torch

from probefusion.evaluation.media_results import MEDIUM
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import pool_scores, score_probes
from probefusion.fusion import Fuser, MeanFuser
from probefusion.fusion.learned import open_fuser
from probefusion.metrics import ComparisonScores, PairedDifference, compare_over_people, holm
from probefusion.protocols.degraded_folder import fold_of
from probefusion.training.export.fuser_folder import export_fuser
from probefusion.training.loop import train_network
from probefusion.training.variant_store import VariantStore
from probefusion.zoo import load_embedder
from research.comparison.compare_fusers import probes_path
from research.comparison.contenders import training_config
from research.comparison.ship_fusers import FOLD, LICENCE
from research.real_faces.film_scores import Column, Films

PEOPLE = (50, 100, 250, 500, 1000, 2000)
FUSERS = {
    "exact-fast": "exact-fast",
    "its weights alone": "exact-weights",
    "official": "official-512",
}
STEPS, BATCH = 150, 32
SIZES = (1, 2, 4, 8, 16, 32)
NUM_SETS = 4
RATES = {"hard": 1e-4, "films": 1e-3}
REPLICATES = 9000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("stage", choices=("train", "report"))
    parser.add_argument("--embedder", metavar="MODEL")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("--films", type=Path, metavar="DIR|ZIP")
    parser.add_argument("--cache", type=Path, help="of the films' embeddings")
    parser.add_argument("--leave-out", action="append", default=[], metavar="PERSON")
    parser.add_argument("-o", "--output", type=Path, metavar="DIR")
    parser.add_argument(
        "--people", type=int, nargs="+", default=PEOPLE, metavar="K", help="beside all of them"
    )
    parser.add_argument("--fuser", action="append", choices=tuple(FUSERS), help="default: all")
    parser.add_argument("--num-sets", type=int, default=NUM_SETS, help="probe sets of a person")
    options = parser.parse_args()
    torch.set_num_threads(1)
    if options.stage == "train":
        train(options)
    elif None in (options.embedder, options.films, options.output):
        parser.error("report: expected --embedder, --films and --output")
    else:
        report(options)


def planned(options: argparse.Namespace) -> list[tuple[str, int | None]]:
    """Fusers and numbers of people, None for all."""
    titles = options.fuser or list(FUSERS)
    return [(title, count) for title in titles for count in (*options.people, None)]


def train(options: argparse.Namespace) -> None:
    """Embeds variants and trains every fuser on every number of people, unless that is done."""
    store = _store(options.work)
    (options.work / "curve").mkdir(exist_ok=True)
    for title, count in planned(options):
        contender = FUSERS[title]
        folder = _folder(options.work, title, count)
        if folder.exists():
            continue
        started = time.perf_counter()
        config = training_config(contender, 0, {"steps": STEPS, "batch_size": BATCH})
        people = in_order(store.subject_ids)[:count]
        result = train_network(store.of_people(people), config)
        export_fuser(
            result.network,
            folder,
            name=folder.name,
            architecture=config.architecture,
            embedder=store.embedder,
            licence=LICENCE,
            training={"people": len(people), "steps": STEPS, "people_a_step": BATCH},
            needs_norms=True,
        )
        minutes = (time.perf_counter() - started) / 60
        print(f"{folder.name}: {minutes:.1f} min, {len(people)} people", flush=True)


def in_order(people: list[str] | tuple[str, ...]) -> list[str]:
    """People by the hash of their name, so that the first ones are a fair sample."""
    return sorted(people, key=lambda name: hashlib.sha256(name.encode()).hexdigest())


def _store(work: Path) -> VariantStore:
    whole = VariantStore.open(work / "variants")
    return whole.of_people([name for name in whole.subject_ids if fold_of(name) != FOLD])


def _folder(work: Path, title: str, count: int | None) -> Path:
    return work / "curve" / f"{title.replace(' ', '-')}-{count or 'all'}"


def report(options: argparse.Namespace) -> None:
    """Scores all trained fusers and the mean, and writes the page."""
    embedder = load_embedder(options.embedder)
    hard = ProbeData.load(probes_path(options.work, "hard", FOLD, options.num_sets))
    films = Films(options.films, embedder, leave_out=tuple(options.leave_out), cache=options.cache)
    rows: list[dict[str, Any]] = []
    scored: dict[tuple[str, int | None], dict[str, ComparisonScores]] = {
        ("mean", None): _scores(MeanFuser(), hard, films)
    }
    for title, count in planned(options):
        folder = _folder(options.work, title, count)
        if not folder.exists():
            print(f"{folder.name} is not trained", flush=True)
            continue
        fuser = open_fuser(folder, num_threads=1)
        scored[title, count] = _scores(fuser, hard, films)
        print(f"scored {title} {count}", flush=True)
    for (title, count), found in scored.items():
        whole, official = scored[title, None], scored.get(("official", count))
        row: dict[str, Any] = {"fuser": title, "people": count, "tar": {}, "tests": {}}
        for column, scores in found.items():
            compared = _compared(scores, whole[column], column, REPLICATES if count else 100)
            row["tar"][column] = compared.first
            if count:
                row["tests"][f"all people, {column}"] = _facts(compared)
            if official and title == "exact-fast":
                row["tests"][f"official, {column}"] = _facts(
                    _compared(scores, official[column], column)
                )
        rows.append(row)
        print(f"compared {title} {count}", flush=True)
    _adjust(rows)
    content = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "embedder": embedder.fingerprint,
        "steps": STEPS,
        "people_a_step": BATCH,
        "num_sets": options.num_sets,
        "all_people": len(_store(options.work).subject_ids),
        "rows": rows,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "learning-curve.json").write_text(json.dumps(content, indent=1) + "\n")
    (options.output / "learning-curve.md").write_text("\n".join(_page(content)) + "\n")


def _scores(fuser: Fuser, hard: ProbeData, films: Films) -> dict[str, ComparisonScores]:
    found = {
        f"hard, {size}": pool_scores([s]) for size, s in score_probes(hard, fuser, SIZES).items()
    }
    wanted: list[Column] = [("all", size) for size in SIZES]
    wanted.append(("all", MEDIUM))
    for column, scores in films.scores(fuser, wanted).items():
        found[f"films, {column[1]}"] = scores.whole
    return found


def _compared(
    first: ComparisonScores, second: ComparisonScores, column: str, replicates: int = REPLICATES
) -> PairedDifference:
    kind = column.partition(",")[0]
    (found,) = compare_over_people(
        first,
        second,
        RATES[kind],
        num_replicates=replicates,
        average_per_person=kind == "films",
    )
    return found


def _facts(found: PairedDifference) -> dict[str, float]:
    return {key: getattr(found, key) for key in ("difference", "low", "high", "p_value")}


def _adjust(rows: list[dict[str, Any]]) -> None:
    """Holm over all differences to the same fuser with all people, and apart over those to official."""
    for reference in ("all people", "official"):
        tests = [
            test
            for row in rows
            for name, test in row["tests"].items()
            if name.startswith(reference) and test["p_value"] < 1
        ]
        if not tests:
            continue
        for test, value in zip(
            tests, holm([test["p_value"] for test in tests]).adjusted.tolist(), strict=True
        ):
            test["adjusted_p_value"] = value


def _page(content: dict[str, Any]) -> list[str]:
    everybody = f"all {content['all_people']:,}"
    lines = [
        f"# More people to train on: {content['embedder'].split('@')[0]}",
        "",
        f"{content['steps']} steps of {content['people_a_step']} people for every row. LFW hard: fold 3, "
        f"{content['num_sets']} probe sets of a person, TAR at FAR {RATES['hard']:g}; films: all faces, TAR at FAR "
        f"{RATES['films']:g}. *: differs with certainty from the same fuser "
        "with all people (Holm over all these); o: from official with as many people (Holm over these). "
        f"{content['date']}.",
    ]
    for kind in RATES:
        columns = [c for c in content["rows"][0]["tar"] if c.startswith(kind)]
        lines += ["", "| fuser | people | " + " | ".join(c.split(", ")[1] for c in columns) + " |"]
        lines += ["|---|---|" + "---|" * len(columns)]
        for row in content["rows"]:
            cells = [f"{row['tar'][c]:.3f}" + _signs(row, c) for c in columns]
            lines.append(
                f"| {row['fuser']} | {row['people'] or everybody} | " + " | ".join(cells) + " |"
            )
    return lines


def _signs(row: dict[str, Any], column: str) -> str:
    return "".join(
        sign
        for sign, reference in (("*", "all people"), ("o", "official"))
        if row["tests"].get(f"{reference}, {column}", {}).get("adjusted_p_value", 1) <= 0.05
    )


if __name__ == "__main__":
    main()
