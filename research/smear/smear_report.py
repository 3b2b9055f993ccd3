"""The tables of a measurement: `report.json` and `report.md` in a folder."""

from __future__ import annotations

import datetime
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from research.smear.open_searches import RuleAtSize, RuleDifference, SmearPlan
from research.smear.smear_sets import SmearSets

__all__ = ["content_of", "write_report"]


def content_of(
    sets: SmearSets,
    points: Sequence[RuleAtSize],
    differences: Sequence[RuleDifference],
    plan: SmearPlan,
    facts: dict[str, object],
) -> dict[str, Any]:
    """All numbers of one layout as JSON can hold them."""
    first = points[0].scores
    return {
        "sets": sets.source,
        "embedder": sets.images.embedder,
        "num_people": len(sets.people),
        "num_draws": sets.num_draws,
        "num_mated": len(first.mated),
        "num_non_mated": len(first.non_mated),
        "num_replicates": plan.num_replicates,
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        **facts,
        "tpir": [
            {
                "rule": point.rule,
                "size": str(point.size),
                "fpir": found.target,
                "tpir": _number(found.estimate),
                "low": _number(found.low),
                "high": _number(found.high),
                "threshold": _number(threshold),
                "rank1": _number(point.rank1),
            }
            for point in points
            for found, threshold in zip(point.tpir, point.thresholds, strict=True)
        ],
        "differences": [
            {
                "reference": plan.reference,
                "rule": found.rule,
                "size": str(found.size),
                "fpir": plan.decision_rate,
                "difference": _number(found.paired.difference),
                "low": _number(found.paired.low),
                "high": _number(found.paired.high),
                "p_value": _number(found.paired.p_value),
                "adjusted_p_value": _number(found.adjusted_p_value),
            }
            for found in differences
        ],
    }


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(float(value), 6)


def write_report(folder: Path, parts: Sequence[dict[str, Any]]) -> str:
    """Writes both files, over older ones.

    Args:
        folder: Where to.
        parts: What `content_of` gave, layout by layout.

    Returns:
        The text of `report.md`.
    """
    lines = [f"# Smear test: {parts[0]['embedder']}", ""]
    for part in parts:
        lines += _section(part)
    text = "\n".join(lines).rstrip() + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(json.dumps(parts, indent=1) + "\n")
    (folder / "report.md").write_text(text)
    return text


def _section(part: dict[str, Any]) -> list[str]:
    sizes = list(dict.fromkeys(row["size"] for row in part["tpir"]))
    rates = list(dict.fromkeys(row["fpir"] for row in part["tpir"]))
    lines = [
        f"## {part['sets']}",
        "",
        f"{part['num_people']} people, {part['num_draws']} draws, {part['num_mated']} mated and "
        f"{part['num_non_mated']} non-mated searches in galleries of half of the people; {part['date']}. "
        f"Columns: enrolled from / searched with so many images. 95 % intervals over people.",
        "",
    ]
    for rate in rates:
        chosen = [row for row in part["tpir"] if row["fpir"] == rate]
        lines += [f"TPIR at FPIR {rate:g}:", "", *_header("rule", sizes)]
        for rule in dict.fromkeys(row["rule"] for row in chosen):
            mine = {row["size"]: row for row in chosen if row["rule"] == rule}
            lines.append(f"| {rule} | " + " | ".join(_cell(mine[size]) for size in sizes) + " |")
        lines.append("")
    lines += ["Rank 1, whatever the similarity:", "", *_header("rule", sizes)]
    for rule in dict.fromkeys(row["rule"] for row in part["tpir"]):
        ranks = {row["size"]: row["rank1"] for row in part["tpir"] if row["rule"] == rule}
        lines.append(f"| {rule} | " + " | ".join(f"{ranks[size]:.3f}" for size in sizes) + " |")
    lines.append("")
    lines += [
        f"{part['differences'][0]['reference']} minus the rule, at FPIR {part['differences'][0]['fpir']:g}; "
        "**+** better, **-** worse (Holm over the table, .05), ? undecided:",
        "",
        *_header("against", sizes),
    ]
    for rule in dict.fromkeys(row["rule"] for row in part["differences"]):
        mine = {row["size"]: row for row in part["differences"] if row["rule"] == rule}
        lines.append(f"| {rule} | " + " | ".join(_gain(mine[size]) for size in sizes) + " |")
    return [*lines, ""]


def _header(first: str, columns: Sequence[str]) -> list[str]:
    return [f"| {first} | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]


def _cell(row: dict[str, Any]) -> str:
    if row["tpir"] is None:
        return "not resolved"
    return f"{row['tpir']:.3f} ({row['low']:.3f}, {row['high']:.3f})"


def _gain(row: dict[str, Any]) -> str:
    if row["difference"] is None:
        return "not resolved"
    certain = row["adjusted_p_value"] <= 0.05
    sign = "?" if not certain else "**+**" if row["difference"] > 0 else "**-**"
    return f"{row['difference']:+.3f} ({row['low']:+.3f}, {row['high']:+.3f}) {sign}"
