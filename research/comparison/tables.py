"""The table of all fusers as Markdown and JSON."""

from __future__ import annotations

import datetime
import json
import platform
from dataclasses import asdict
from pathlib import Path
from typing import Any

from research.comparison.cross_fit import CrossFitPlan, PairedVerdict

FAMILIES = {
    "hard": "all rows but those in italics, and apart over those",
    "clean": "the first row, apart over the others, and apart over those in italics",
}
BASELINES = {"mean": "mean of unit embeddings", "norm-weighted": "norm-weighted mean"}


def write_report(
    folder: Path,
    found: dict[str, Any],
    plan: CrossFitPlan,
    titles: dict[str, str],
    settings: dict[str, Any],
) -> None:
    """Writes `comparison.json` and `comparison.md`."""
    folder.mkdir(parents=True, exist_ok=True)
    names = {**BASELINES, **titles}
    content = {
        "date": datetime.datetime.now(tz=datetime.UTC).date().isoformat(),
        "machine": f"{platform.machine()}, one thread",
        "settings": settings,
        "titles": names,
        **found,
    }
    (folder / "comparison.json").write_text(json.dumps(content, indent=1, default=_plain) + "\n")
    (folder / "comparison.md").write_text("\n".join(_lines(content, plan, names)) + "\n")


def verdict_facts(verdict: PairedVerdict) -> dict[str, Any]:
    """A verdict as JSON can hold it, without the replicates."""
    facts = {key: value for key, value in asdict(verdict).items() if key != "paired"}
    paired = verdict.paired
    return facts | {
        key: getattr(paired, key) for key in ("difference", "low", "high", "first", "second")
    }


def _lines(content: dict[str, Any], plan: CrossFitPlan, names: dict[str, str]) -> list[str]:
    settings = content["settings"]
    hard = content["hard"]
    lines = [
        f"# All fusers on one protocol, {hard['embedder'].split('@')[0]}",
        "",
        f"Cross-fitted over folds {', '.join(map(str, settings['folds']))} of degraded-folder/v1: "
        f"{hard['num_people']} people, {settings['num_sets']} probe sets each, every fuser tested on "
        f"people of the fold it never saw. All were trained by the same loop: {settings['steps']} steps of "
        f"{settings['batch_size']} people, the same variants, prefixes and losses. {content['date']}, "
        f"{content['machine']}.",
        "",
        "Ours and the official architecture run through their exported graphs; rivals in PyTorch.",
    ]
    for mix in ("hard", "clean"):
        lines += ["", f"## TAR at FAR {plan.decision_rate:g}, mix '{mix}'", ""]
        lines += rates_table(content[mix], plan, names)
        lines += ["", f"## exact minus each, mix '{mix}'", ""]
        lines += [
            "95 % interval, paired over people. **+** better, **-** worse (Holm over "
            f"{FAMILIES[mix]}, .05); "
            f"= not worse by {plan.margin:g} or more (Holm, one-sided .025); ? undecided.",
            "",
        ]
        lines += differences_table(content[mix], plan, names)
    lines += ["", "## What each costs and keeps", ""]
    lines += _costs(hard, names)
    deviation = hard["facts"]["exact"]["one_by_one_deviation"]
    lines += [
        "",
        f"Exact, fed one by one in reverse order instead of all at once: no component of a template "
        f"differs by more than {deviation:.1e} (40 sets of 32 of each fold).",
    ]
    lines += ["", "## Other rates, mix 'hard'", ""]
    lines += _other_rates(hard, plan, names)
    return lines


def _header(first: str, columns: list[str]) -> list[str]:
    return [f"| {first} | " + " | ".join(columns) + " |", "|---|" + "---|" * len(columns)]


def rates_table(part: dict[str, Any], plan: CrossFitPlan, names: dict[str, str]) -> list[str]:
    lines = _header("fuser", [f"N={size}" for size in plan.set_sizes])
    for name, by_size in part["results"].items():
        cells = []
        for size in plan.set_sizes:
            result = by_size[size]
            interval = result["interval"]
            cells.append(
                f"{result['tar'][plan.decision_rate]:.3f} "
                f"({interval['low']:.3f}, {interval['high']:.3f})"
            )
        lines.append(f"| {names[name]} | " + " | ".join(cells) + " |")
    return lines


def differences_table(part: dict[str, Any], plan: CrossFitPlan, names: dict[str, str]) -> list[str]:
    lines = _header("against", [f"N={size}" for size in plan.set_sizes])
    for name, verdicts in part["verdicts"].items():
        cells = [
            f"{v['difference']:+.3f} ({v['low']:+.3f}, {v['high']:+.3f}) {_sign(v)}"
            for v in verdicts
        ]
        title = names.get(name)
        if title is None:
            first, second = name.split(" - ")
            title = f"*{names[first]} minus {names[second]}*"
        lines.append(f"| {title} | " + " | ".join(cells) + " |")
    return lines


def _sign(verdict: dict[str, Any]) -> str:
    if verdict["is_better"]:
        return "**+**"
    if verdict["is_worse"]:
        return "**-**"
    return "=" if verdict["is_non_inferior"] else "?"


def _costs(part: dict[str, Any], names: dict[str, str]) -> list[str]:
    columns = ["parameters", "training min", "us an image", "training seeds", "needs", "keeps"]
    lines = _header("fuser", columns)
    for name, facts in part["facts"].items():
        cells = [
            f"{facts['parameters']:,}",
            f"{facts['minutes']:.1f}",
            "" if facts["microseconds"] is None else f"{facts['microseconds']:.1f}",
            str(facts["num_seeds"]),
            facts["needs"],
            facts["keeps"],
        ]
        lines.append(f"| {names[name]} | " + " | ".join(cells) + " |")
    return lines


def _other_rates(part: dict[str, Any], plan: CrossFitPlan, names: dict[str, str]) -> list[str]:
    sizes = [size for size in plan.set_sizes if size in (4, 8, 32)]
    others = [rate for rate in plan.false_accept_rates if rate != plan.decision_rate]
    columns = [f"TAR@{rate:g} N={size}" for rate in others for size in sizes]
    columns += [f"rank 1 N={size}" for size in sizes]
    lines = _header("fuser", columns)
    for name, by_size in part["results"].items():
        cells = [f"{by_size[size]['tar'][rate]:.3f}" for rate in others for size in sizes]
        cells += [f"{by_size[size]['rank1']:.3f}" for size in sizes]
        lines.append(f"| {names[name]} | " + " | ".join(cells) + " |")
    return lines


def _plain(value: Any) -> Any:
    return value.item() if hasattr(value, "item") else str(value)
