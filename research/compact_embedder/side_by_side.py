r"""Embedders with their fusers side by side, on films and on the people of fold 3, paired over people.

    python -m research.compact_embedder.side_by_side --films imfdb112.zip --leave-out NAME --images lfw112.zip \
        --work WORK --system 'r3 mean=compact_128d,mean' --system 'r3 exact-fast=compact_128d,exact-fast' \
        --system 'r4 exact-fast=R4.onnx,FUSER_FOLDER' --against 'r3 exact-fast' -o REPORTS

Films: media-folder/v1, TAR at FAR 1e-3. Fold 3: degraded-folder/v1, mixes 'hard' and 'clean', TAR at FAR 1e-4. WORK
keeps embeddings, in a folder for each embedder.
"""

from __future__ import annotations

import argparse
import datetime
import json
from pathlib import Path
from typing import Any, Literal

import numpy as np

from probefusion.embedders import CropQuality, Embedder
from probefusion.embedders.quality import JudgedEmbedder
from probefusion.evaluation.embed_protocol import embed_protocol
from probefusion.evaluation.media_results import MEDIUM
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import pool_scores, score_probes
from probefusion.metrics import ComparisonScores, compare_over_people, holm
from probefusion.protocols import DegradedFolderProtocol, read_people
from probefusion.protocols.degraded_folder import fold_of
from probefusion.zoo import load_embedder, load_fuser
from research.comparison.compare_fusers import probes_path
from research.real_faces.film_scores import Films

FOLD, NUM_SETS = 3, 4
SIZES = (1, 2, 4, 8, 16, 32)
RATES = {"films": 1e-3, "films ..60": 1e-3, "hard": 1e-4, "clean": 1e-4}
MARGIN = {"films": 0.01, "films ..60": 0.01, "hard": 0.005, "clean": 0.005}
"""The loss that does not matter."""

Mix = Literal["hard", "clean"]
Scores = dict[tuple[str, str], ComparisonScores]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--films", required=True, type=Path, metavar="DIR|ZIP")
    parser.add_argument("--images", required=True, metavar="DIR|ZIP", help="lfw112")
    parser.add_argument("--leave-out", action="append", default=[], metavar="PERSON")
    parser.add_argument("--system", required=True, action="append", metavar="LABEL=EMBEDDER,FUSER")
    parser.add_argument("--against", required=True, metavar="LABEL")
    parser.add_argument(
        "--judged", action="append", metavar="LABEL", help="systems that are tested (default: all)"
    )
    parser.add_argument(
        "--pair",
        action="append",
        default=[],
        metavar="LABEL=LABEL",
        help="a system and what it is compared with instead of --against",
    )
    parser.add_argument("--only-films", action="append", default=[], metavar="EMBEDDER")
    parser.add_argument(
        "--film-folds",
        nargs="+",
        type=int,
        metavar="FOLD",
        help="judge on films by actors of these folds alone, in gallery and probes (default: by all)",
    )
    parser.add_argument("--replicates", type=int, default=8000)
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    options = parser.parse_args()
    systems = dict(text.split("=", 1) for text in options.system)
    pairs = dict(text.split("=", 1) for text in options.pair)
    for label in (options.against, *pairs, *pairs.values()):
        if label not in systems:
            parser.error(f"--against, --pair: expected some of {list(systems)}, got {label!r}")
    scores: dict[str, Scores] = {}
    opened: dict[str, _Material] = {}
    for label, text in systems.items():
        model, fuser = text.split(",", 1)
        if model not in opened:
            judged = f"{model},universal" in systems.values()
            opened[model] = _Material(options, model, judged=judged)
        scores[label] = opened[model].scores(fuser)
        print(f"scored {label}", flush=True)
    rows: list[dict[str, Any]] = []
    tests: list[dict[str, Any]] = []
    for label, found in scores.items():
        row: dict[str, Any] = {"system": label, "cells": {}}
        for key, mine in found.items():
            against = pairs.get(label, options.against)
            theirs = scores[against].get(key)
            cell = _cell(mine, mine if theirs is None else theirs, key[0], options.replicates)
            row["cells"][f"{key[0]}, {key[1]}"] = cell
            is_judged = label in (options.judged or systems)
            if is_judged and label != against and theirs is not None:
                tests.append(cell)
        rows.append(row)
    if 2 * len(tests) / (options.replicates + 1) > 0.05:
        parser.error(f"--replicates: {options.replicates} decide none of {len(tests)} tests (Holm)")
    for cell, value in zip(
        tests, holm([cell["p_value"] for cell in tests]).adjusted.tolist(), strict=True
    ):
        cell["adjusted_p_value"] = value
    content = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "against": options.against,
        "pairs": pairs,
        "judged": options.judged or [name for name in systems if name != options.against],
        "replicates": options.replicates,
        "rows": rows,
    }
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "side-by-side.json").write_text(json.dumps(content, indent=1) + "\n")
    text = "\n".join(page(content)) + "\n"
    (options.output / "side-by-side.md").write_text(text)
    print(text)


class _Material:
    """What one embedder makes of films and probes."""

    def __init__(self, options: argparse.Namespace, model: str, *, judged: bool) -> None:
        embedder: Embedder = load_embedder(model)
        if judged:
            embedder = JudgedEmbedder(embedder, CropQuality())
        self._fingerprint = embedder.fingerprint
        work = options.work / embedder.own_fingerprint.replace("@", "-")
        work.mkdir(parents=True, exist_ok=True)
        self._films = Films(
            options.films, embedder, leave_out=tuple(options.leave_out), cache=work / "films"
        )
        folds = options.film_folds
        self._actors = np.array(
            [folds is None or fold_of(name) in folds for name in self._films.subjects]
        )
        mixes: tuple[Mix, ...] = () if model in options.only_films else ("hard", "clean")
        self._probes = {mix: _probes(options.images, mix, embedder, work) for mix in mixes}

    def scores(self, name: str) -> Scores:
        """By set of probes and number of images."""
        fuser = load_fuser(name, embedder=self._fingerprint)
        found: Scores = {}
        for (text, size), scores in self._films.scores(fuser).items():
            kind = {"all": "films", "..60": "films ..60"}.get(text)
            if kind is not None and (kind == "films" or size in (1, 2, 4, 8, MEDIUM)):
                found[kind, str(size)] = scores.among(self._actors)
        for mix, data in self._probes.items():
            if fuser.needs_quality and data.probes.quality is None:
                continue  # probes embedded by another command, which judged no crop
            for size, scored in score_probes(data, fuser, SIZES).items():
                found[mix, str(size)] = pool_scores([scored])
        return found


def _probes(images: str, mix: Mix, embedder: Embedder, work: Path) -> ProbeData:
    path = probes_path(work, mix, FOLD, NUM_SETS)
    if not path.exists():
        protocol = DegradedFolderProtocol(
            people=read_people(images), folds=(FOLD,), mix=mix, num_sets=NUM_SETS
        )
        embed_protocol(protocol, embedder, num_images=SIZES[-1], cache=work / "cache").save(path)
    return ProbeData.load(path)


def _cell(
    mine: ComparisonScores, theirs: ComparisonScores, kind: str, replicates: int
) -> dict[str, Any]:
    (found,) = compare_over_people(
        mine,
        theirs,
        RATES[kind],
        num_replicates=replicates,
        average_per_person=kind.startswith("films"),
    )
    return {
        "tar": found.first,
        **{key: getattr(found, key) for key in ("difference", "low", "high", "p_value")},
        "is_not_worse": bool(found.low > -MARGIN[kind]),
    }


def page(content: dict[str, Any]) -> list[str]:
    """Rates of all, and differences to the reference."""
    lines = [
        "# Embedders with their fusers, side by side",
        "",
        f"Differences to {_reference(content)}: 95 % intervals over people; * certain (Holm over all of "
        f"{', '.join(content['judged'])}); "
        "= not worse by .01 on films and .005 on fold 3 (lower end, uncorrected). Films: TAR at FAR 1e-3; hard and "
        f"clean: fold 3, {NUM_SETS} probe sets each, TAR at FAR 1e-4. {content['date']}.",
    ]
    for kind in RATES:
        columns = [c for c in content["rows"][0]["cells"] if c.rpartition(", ")[0] == kind]
        other = "the other of its pair" if content.get("pairs") else content["against"]
        for what in ("TAR", f"minus {other}"):
            lines += ["", f"## {kind.capitalize()}, {what}", ""]
            lines += ["| system | " + " | ".join(c.rpartition(", ")[2] for c in columns) + " |"]
            lines += ["|---|" + "---|" * len(columns)]
            for row in content["rows"]:
                if columns[0] in row["cells"] and (
                    what == "TAR" or row["system"] != content["against"]
                ):
                    cells = [_shown(row["cells"][c], what) for c in columns]
                    lines.append(f"| {row['system']} | " + " | ".join(cells) + " |")
    return lines


def _reference(content: dict[str, Any]) -> str:
    own = [f"of {label} to {other}" for label, other in content.get("pairs", {}).items()]
    return ", ".join([str(content["against"]), *own])


def _shown(cell: dict[str, Any], what: str) -> str:
    if what == "TAR":
        return f"{cell['tar']:.3f}"
    sign = "*" if cell.get("adjusted_p_value", 1) <= 0.05 else ""
    sign += " =" if cell["is_not_worse"] else ""
    return f"{cell['difference']:+.3f} ({cell['low']:+.3f}, {cell['high']:+.3f}){sign}"


if __name__ == "__main__":
    main()
