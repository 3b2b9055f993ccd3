r"""Rules beside the mean and universal where they were not chosen: degraded images of LFW, and clips.

    python -m research.universal_refit.checks --chosen research/reports/universal/refit/refit.json --images lfw112.zip \
        --clips ytf112.zip --embedder mobilefacenet_128d.onnx --embedder sface_128d_int8bq.onnx \
        --embedder edgeface_xs_512d.onnx --work WORK --cache CACHE -o research/reports/universal/refit

Judged are the rules that either half of the actors and everybody chose for all embedders. WORK is that of
research.comparison.unseen_probes, of two sets each. TAR at FAR 1e-4 on LFW, 1e-3 on clips, all people alike there.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from probefusion.embedders import CropQuality
from probefusion.embedders.quality import JudgedEmbedder
from probefusion.evaluation.media_results import MEDIUM
from probefusion.evaluation.scoring import pool_scores
from probefusion.metrics import ComparisonScores, compare_over_people, holm
from probefusion.protocols import read_people
from probefusion.protocols.degraded_folder import DegradedFolderProtocol
from probefusion.zoo import load_embedder
from research.comparison.unseen_probes import FOLD, KINDS, embedded
from research.real_faces.film_scores import Column
from research.universal_refit.material import ClipSets, score_rule
from research.universal_refit.rules import Rule

SIZES = (2, 4, 8, 16, 32)
CLIP_COLUMNS: tuple[Column, ...] = (("all", 2), ("all", 4), ("all", 8), ("all", MEDIUM))
RATE_OF_LFW, RATE_OF_CLIPS = 1e-4, 1e-3
NUM_SETS, REPLICATES = 2, 15000

Found = dict[str, dict[str, ComparisonScores]]
"""By rule and column."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--chosen", required=True, type=Path, metavar="JSON", help="of refit")
    parser.add_argument("--images", required=True, metavar="DIR|ZIP", help="lfw112")
    parser.add_argument("--clips", required=True, type=Path, metavar="DIR|ZIP")
    parser.add_argument("--embedder", required=True, action="append", metavar="MODEL")
    parser.add_argument("--kind", action="append", choices=KINDS, help="hard and printed")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("--cache", type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    options = parser.parse_args()
    rules = chosen_rules(json.loads(options.chosen.read_text())["chosen"])
    protocol = DegradedFolderProtocol(
        people=read_people(options.images), folds=(FOLD,), set_sizes=(1, *SIZES), num_sets=NUM_SETS
    )
    rows = []
    for model in options.embedder:
        embedder = JudgedEmbedder(load_embedder(model, num_threads=1), CropQuality(num_threads=1))
        name = embedder.fingerprint.split("@")[0]
        for kind in options.kind or ("hard", "printed"):
            data = embedded(protocol, kind, SIZES[-1], embedder, options.work)
            found: Found = {
                rule: {
                    str(size): pool_scores([scores])
                    for size, scores in score_rule(data, constants, SIZES).items()
                }
                for rule, constants in rules.items()
            }
            rows += compared(found, name, f"LFW {kind}", RATE_OF_LFW, per_person=False)
        clips = ClipSets(options.clips, embedder, cache=options.cache)
        found = {
            rule: {
                "clip" if column[1] == MEDIUM else str(column[1]): scores.whole
                for column, scores in clips.rule_scores(constants, CLIP_COLUMNS).items()
            }
            for rule, constants in rules.items()
        }
        rows += compared(found, name, "clips", RATE_OF_CLIPS, per_person=True)
        print(f"judged {name}", flush=True)
    adjusted = holm([row["p_value"] for row in rows]).adjusted
    for row, value in zip(rows, adjusted.tolist(), strict=True):
        row["adjusted_p_value"] = value
    facts = {"rules": {name: rule.text for name, rule in rules.items()}, "rows": rows}
    options.output.mkdir(parents=True, exist_ok=True)
    (options.output / "checks.json").write_text(json.dumps(facts, indent=1) + "\n")
    text = "\n".join(page(facts)) + "\n"
    (options.output / "checks.md").write_text(text)
    print(text)


def chosen_rules(chosen: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, Rule]:
    """The mean, `universal`, and what the halves and everybody chose for all embedders."""
    names = {field.name for field in fields(Rule)}
    found = {"mean": Rule(power=0), "universal": Rule()}
    for part, constants in chosen["all embedders"].items():
        text = "everybody" if part == "all" else f"{part} half"
        found[text] = Rule(**{name: float(constants[name]) for name in names})
    return found


def compared(
    found: Found, embedder: str, kind: str, rate: float, *, per_person: bool
) -> list[dict[str, Any]]:
    """Each rule against the mean and against `universal`, by column."""
    rows = []
    for reference in ("mean", "universal"):
        for rule in found:
            if rule in ("mean", reference):
                continue
            for column, scores in found[rule].items():
                (one,) = compare_over_people(
                    scores,
                    found[reference][column],
                    rate,
                    num_replicates=REPLICATES,
                    average_per_person=per_person,
                )
                rows.append(
                    {
                        "embedder": embedder,
                        "kind": kind,
                        "column": column,
                        "rule": rule,
                        "reference": reference,
                        "first": one.first,
                        "second": one.second,
                        "difference": one.difference,
                        "low": one.low,
                        "high": one.high,
                        "p_value": one.p_value,
                    }
                )
    return rows


def page(facts: dict[str, Any]) -> list[str]:
    rows = facts["rows"]
    lines = ["# Rules chosen on films, on other images", ""]
    lines += [f"{name}: {text}." for name, text in facts["rules"].items()]
    lines += [
        "",
        f"TAR at FAR {RATE_OF_LFW:g} on LFW (fold {FOLD}, {NUM_SETS} sets), {RATE_OF_CLIPS:g} on clips; brackets: 95 % "
        f"interval over people; *: certain (Holm over all {len(rows)}).",
        "",
        "| embedder | images | N | rule | against | rule | reference | difference |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        sign = " *" if row["adjusted_p_value"] <= 0.05 else ""
        difference = f"{row['difference']:+.3f} ({row['low']:+.3f}, {row['high']:+.3f}){sign}"
        names = " | ".join(row[key] for key in ("embedder", "kind", "column", "rule", "reference"))
        lines.append(f"| {names} | {row['first']:.3f} | {row['second']:.3f} | {difference} |")
    against = [row for row in rows if row["reference"] == "universal"]
    for kind in dict.fromkeys(row["kind"] for row in rows):
        for rule in dict.fromkeys(row["rule"] for row in against):
            mine = [r["difference"] for r in against if (r["kind"], r["rule"]) == (kind, rule)]
            lines += [
                "",
                f"{kind}, {rule} - universal: mean {np.mean(mine):+.4f}, lowest {min(mine):+.3f}.",
            ]
    return lines


if __name__ == "__main__":
    main()
