"""An assessment as a folder: report.json, report.md, and report.html that opens from the disk."""

from __future__ import annotations

import base64
import html
import io
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from probefusion.checks import check_output
from probefusion.evaluation.degraded_folder import FolderEvaluation, FuserAtSize, FuserDifference
from probefusion.files import replace_file
from probefusion.metrics import BootstrapInterval, TarAtFar
from probefusion.reports.figures import assessment_figures
from probefusion.version import __version__

__all__ = ["REPORT_VERSION", "png", "report_facts", "report_folder", "write_pages", "write_report"]

Table = tuple[str, list[str], list[list[str]]]
"""Title, header and rows."""

Figure = tuple[str, str, bytes]
"""File name without ending, caption, PNG."""

_PAGES = ("report.json", "report.md", "report.html")

REPORT_VERSION = 1
"""Version of the schema of `report.json`."""

_STYLE = """
body{font:15px/1.5 system-ui,sans-serif;max-width:1080px;margin:2rem auto;padding:0 1rem;color:#222}
table{border-collapse:collapse;margin:1rem 0;font-variant-numeric:tabular-nums}
th,td{padding:.25rem .7rem;border-bottom:1px solid #ddd;text-align:right;white-space:nowrap}
th:first-child,td:first-child{text-align:left}small{color:#666}img{max-width:100%;height:auto}
figure{margin:1.5rem 0}figcaption{color:#444}
"""


def write_report(
    assessment: FolderEvaluation,
    folder: str | Path,
    *,
    title: str,
    facts: dict[str, Any],
    limits: Sequence[str] = (),
    content: dict[str, Any] | None = None,
    force: bool = False,
) -> None:
    """Writes the report.

    Args:
        assessment: What `evaluate_folder` gave.
        folder: Folder to make or to write into.
        title: Headline.
        facts: What was evaluated (protocol definition, embedder, data, command); kept as given.
        limits: What could not be measured, and why, in words.
        content: What report.json holds; None is `report_facts`.
        force: Whether existing report files may be replaced.

    Raises:
        OutputExistsError: If a report stands there and `force` is False.
        MissingExtraError: If matplotlib is not installed.
    """
    folder = report_folder(folder, force=force)
    content = report_facts(assessment, facts)
    figures = [
        (name, caption, png(figure)) for name, caption, figure in assessment_figures(assessment)
    ]
    write_pages(
        folder,
        content=content,
        title=title,
        notes=(_counts(assessment), _NOTE),
        tables=_tables(assessment),
        figures=figures,
        facts=facts,
    )


def report_facts(assessment: FolderEvaluation, facts: dict[str, Any]) -> dict[str, Any]:
    """The content of `report.json`; unresolved rates are null with `resolved` false, never zero."""
    return {
        "report_version": REPORT_VERSION,
        "probefusion": __version__,
        "evaluated": facts,
        "num_people": assessment.num_people,
        "num_probe_sets": assessment.num_probe_sets,
        "num_gallery": assessment.num_gallery,
        "num_replicates": assessment.plan.num_replicates,
        "points": [_point(point) for point in assessment.points],
        "differences": [_difference(difference) for difference in assessment.differences],
        "severity_edges": [round(float(edge), 6) for edge in assessment.severity_edges],
        "weight_by_severity": {
            name: [_number(value) for value in values]
            for name, values in assessment.weight_by_severity.items()
        },
    }


def _point(point: FuserAtSize) -> dict[str, Any]:
    return {
        "fuser": point.fuser,
        "fingerprint": point.fingerprint,
        "num_images": point.num_images,
        "tar_at_far": [
            {
                "far": rate.target,
                "resolved": rate.resolved,
                "tar": _number(rate.tar),
                "low": _number(interval.low),
                "high": _number(interval.high),
                "achieved_far": _number(rate.far),
                "threshold": _number(rate.threshold),
                "num_false_accepts": rate.num_false_accepts,
                "budget": rate.budget,
                "num_mated": rate.num_mated,
                "num_non_mated": rate.num_non_mated,
            }
            for rate, interval in zip(point.verification, point.verification_intervals, strict=True)
        ],
        "raw_gallery": [
            {"far": rate.target, "resolved": rate.resolved, "tar": _number(rate.tar)}
            for rate in point.raw_gallery
        ],
        "rank1": _interval(point.rank1),
        "tpir_at_fpir": [{"fpir": entry.target, **_interval(entry)} for entry in point.tpir],
        "cmc": [round(float(value), 6) for value in point.cmc],
    }


def _interval(interval: BootstrapInterval) -> dict[str, Any]:
    return {
        "resolved": interval.resolved,
        "estimate": _number(interval.estimate),
        "low": _number(interval.low),
        "high": _number(interval.high),
    }


def _difference(difference: FuserDifference) -> dict[str, Any]:
    paired = difference.paired
    return {
        "fuser": difference.fuser,
        "reference": difference.reference,
        "num_images": difference.num_images,
        "far": paired.target,
        "resolved": paired.resolved,
        "difference": _number(paired.difference),
        "low": _number(paired.low),
        "high": _number(paired.high),
        "p_value": _number(paired.p_value),
        "holm_p_value": _number(difference.adjusted_p_value),
    }


def _number(value: float) -> float | None:
    return round(float(value), 6) if math.isfinite(value) else None


def _tables(assessment: FolderEvaluation) -> list[Table]:
    """(title, header, rows) of every table of the report."""
    sizes = assessment.plan.set_sizes
    names = list(dict.fromkeys(point.fuser for point in assessment.points))
    at = {(point.fuser, point.num_images): point for point in assessment.points}
    header = ["fuser", *(f"N={size}" for size in sizes)]
    tables = []
    for index, rate in enumerate(assessment.plan.false_accept_rates):
        rows = [[name, *(_rate_cell(at[name, size], index) for size in sizes)] for name in names]
        tables.append((f"TAR at FAR {rate:g}", header, rows))
    for index, rate in enumerate(assessment.plan.false_positive_rates):
        rows = [[name, *(_cell(at[name, size].tpir[index]) for size in sizes)] for name in names]
        tables.append((f"TPIR at FPIR {rate:g}", header, rows))
    index = assessment.plan.false_accept_rates.index(assessment.plan.decision_rate)
    rows = [
        [name, *(_plain_rate(at[name, size].raw_gallery[index]) for size in sizes)]
        for name in names
    ]
    title = f"TAR at FAR {assessment.plan.decision_rate:g}, gallery embeddings not fused"
    tables.append((title, header, rows))
    rows = [[name, *(_cell(at[name, size].rank1) for size in sizes)] for name in names]
    tables.append(("Rank-1 identification rate", header, rows))
    changes = {(d.fuser, d.num_images): d for d in assessment.differences}
    if changes:
        rows = [
            [name, *(_change_cell(changes[name, size]) for size in sizes)] for name in names[1:]
        ]
        title = f"TAR at FAR {assessment.plan.decision_rate:g} minus that of {names[0]}"
        tables.append((title, header, rows))
    return tables


def _cell(interval: BootstrapInterval) -> str:
    if not interval.resolved:
        return "unresolved"
    return f"{interval.estimate:.3f} [{interval.low:.3f}, {interval.high:.3f}]"


def _plain_rate(rate: TarAtFar) -> str:
    return f"{rate.tar:.3f}" if rate.resolved else "unresolved"


def _rate_cell(point: FuserAtSize, index: int) -> str:
    """The rate with its interval; with its few false accepts where they are fewer than ten."""
    cell = _cell(point.verification_intervals[index])
    accepted = point.verification[index].num_false_accepts
    return cell if accepted is None or accepted >= 10 else f"{cell} ({accepted} FA)"


def _change_cell(difference: FuserDifference) -> str:
    paired = difference.paired
    if not paired.resolved:
        return "unresolved"
    star = "*" if difference.adjusted_p_value <= 0.05 else ""
    return f"{paired.difference:+.3f} [{paired.low:+.3f}, {paired.high:+.3f}]{star}"


_NOTE = (
    "Brackets: 95 % bootstrap intervals over people. FA: false accepts at that threshold. "
    "*: differs from the reference at a family-wise level of .05 (Holm over all differences)."
)


def _counts(assessment: FolderEvaluation) -> str:
    return (
        f"{assessment.num_people} probe people, {assessment.num_probe_sets} probe sets, "
        f"{assessment.num_gallery} gallery entries, {assessment.plan.num_replicates} replicates."
    )


def report_folder(folder: str | Path, *, force: bool) -> Path:
    """Makes the folder of a report.

    Raises:
        OutputExistsError: If a report stands there and `force` is False.
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for name in _PAGES:
        check_output(folder / name, force=force)
    return folder


def write_pages(
    folder: Path,
    *,
    content: dict[str, Any],
    title: str,
    notes: Sequence[str],
    tables: Sequence[Table],
    figures: Sequence[Figure],
    facts: dict[str, Any],
) -> None:
    """Writes report.json, report.md, report.html and the figures, replacing what stands there.

    Args:
        folder: An existing folder.
        content: What report.json holds; no NaN.
        title: Headline.
        notes: Paragraphs below it.
        tables: (title, header, rows) of texts.
        figures: (file name without ending, caption, PNG bytes).
        facts: What was evaluated.
    """
    texts = (
        json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n",
        _markdown(title, notes, tables, figures, facts),
        _page(title, notes, tables, figures, facts),
    )
    for figure, _, data in figures:
        with replace_file(folder / f"{figure}.png", force=True) as stream:
            stream.write(data)
    for name, text in zip(_PAGES, texts, strict=True):
        with replace_file(folder / name, force=True) as stream:
            stream.write(text.encode())


def _markdown(
    title: str,
    notes: Sequence[str],
    tables: Sequence[Table],
    figures: Sequence[Figure],
    facts: dict[str, Any],
) -> str:
    lines = [f"# {title}", ""]
    for note in notes:
        lines += [note, ""]
    for name, header, rows in tables:
        lines += [f"## {name}", "", "| " + " | ".join(header) + " |"]
        lines += ["|---" + "|---:" * (len(header) - 1) + "|"]
        lines += ["| " + " | ".join(row) + " |" for row in rows] + [""]
    for name, caption, _ in figures:
        lines += [f"![{caption}]({name}.png)", ""]
    lines += ["```json", json.dumps(facts, indent=2, ensure_ascii=False), "```", ""]
    return "\n".join(lines)


def _page(
    title: str,
    notes: Sequence[str],
    tables: Sequence[Table],
    figures: Sequence[Figure],
    facts: dict[str, Any],
) -> str:
    parts = [
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>",
        f"<title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>",
        f"<h1>{html.escape(title)}</h1>",
        *(f"<p>{html.escape(note)}</p>" for note in notes),
    ]
    for name, caption, data in figures:
        source = base64.b64encode(data).decode()
        parts.append(
            f"<figure id='{name}'><img alt='{html.escape(caption)}' "
            f"src='data:image/png;base64,{source}'><figcaption>{html.escape(caption)}</figcaption></figure>"
        )
    for name, header, rows in tables:
        head = "".join(f"<th>{html.escape(cell)}</th>" for cell in header)
        body = "".join(
            "<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>"
            for row in rows
        )
        parts.append(
            f"<h2>{html.escape(name)}</h2><div style='overflow-x:auto'><table><thead><tr>{head}</tr>"
            f"</thead><tbody>{body}</tbody></table></div>"
        )
    evaluated = html.escape(json.dumps(facts, indent=2, ensure_ascii=False))
    parts.append(f"<h2>What was evaluated</h2><pre>{evaluated}</pre></body></html>\n")
    return "".join(parts)


def png(figure: Any) -> bytes:
    """A matplotlib figure as PNG bytes."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    return buffer.getvalue()
