"""The figures of a media-folder report: TAR and rank 1 by number of images, ROC and DET."""

from __future__ import annotations

from typing import Any

import numpy as np

from probefusion.evaluation.media_results import MEDIUM, MediaColumn, MediaEvaluation
from probefusion.metrics import BootstrapInterval
from probefusion.reports.figures import curve_figure
from probefusion.reports.plots import line_style, subplots

__all__ = ["media_figures"]

_GAP = 0.5
"""How far the whole medium stands apart from the numbers of images."""


def media_figures(result: MediaEvaluation) -> list[tuple[str, str, Any]]:
    """All figures of a media-folder evaluation.

    Returns:
        (file name without ending, caption, matplotlib figure) of each.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    figures = []
    for index, size_class in enumerate(dict.fromkeys(c.size_class for c in result.columns)):
        columns = [
            column
            for column in result.columns
            if column.size_class == size_class and column.is_measured
        ]
        if not columns:
            continue
        faces = "all faces" if size_class == "all" else f"faces {size_class} px"
        rate = max(result.compared_rate(size_class, column.num_images) for column in columns)
        caption = (
            f"TAR at FAR {rate:g} and rank 1 of {faces} against the number of probe images, 95 % bands; "
            f"right: all images of one medium."
        )
        figures.append((f"tar-{index}", caption, _rates(result, columns, rate)))
    numbers = [
        column.num_images
        for column in result.columns
        if column.size_class == "all" and column.is_measured and isinstance(column.num_images, int)
    ]
    if numbers:
        middle = min(numbers, key=lambda size: abs(np.log2(size) - 3))
        curves = {
            point.fuser: point.curve
            for point in result.points
            if (point.size_class, point.num_images) == ("all", middle)
        }
        caption = f"ROC and DET of all faces with {middle} probe images."
        figures.append(("roc", caption, curve_figure(curves)))
    return figures


def _rates(result: MediaEvaluation, columns: list[MediaColumn], rate: float) -> Any:
    figure, (left, right) = subplots(1, 2, figsize=(11, 4.6))
    index = result.plan.false_accept_rates.index(rate)
    places = [
        place + (_GAP if column.num_images == MEDIUM else 0) for place, column in enumerate(columns)
    ]
    is_number = [column.num_images != MEDIUM for column in columns]
    for number, name in enumerate(result.fusers):
        points = [result.point(name, c.size_class, c.num_images) for c in columns]
        mine = [point for point in points if point is not None]
        shift = 0.4 * (number - (len(result.fusers) - 1) / 2) / max(len(result.fusers), 4)
        for axes, intervals in (
            (left, [point.verification_intervals[index] for point in mine]),
            (right, [point.rank1 for point in mine]),
        ):
            _draw(axes, places, intervals, is_number, line_style(number), name, shift)
    labels = [f"{_middle(column)}\n{column.num_people}" for column in columns]
    for axes, label in ((left, f"TAR at FAR {rate:g}"), (right, "rank-1 rate")):
        axes.set_xticks(places, labels)
        axes.set_xlim(-0.4, places[-1] + 0.5)
        axes.set_xlabel("images in the probe; below: probe people")
        axes.set_ylabel(label)
        axes.grid(visible=True, alpha=0.3)
    point = result.point(result.fusers[0], columns[0].size_class, columns[0].num_images)
    if point is not None and not point.verification[index].resolved:
        left.text(
            0.5, 0.5, "unresolved: too few comparisons", transform=left.transAxes, ha="center"
        )
    handles, names = left.get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False, fontsize=9)
    return figure


def _middle(column: MediaColumn) -> str:
    if column.num_images == MEDIUM:
        return f"medium, median {column.quartiles[1]:.0f}"
    return str(column.num_images)


def _draw(
    axes: Any,
    places: list[float],
    intervals: list[BootstrapInterval],
    is_number: list[bool],
    style: dict[str, str],
    name: str,
    shift: float,
) -> None:
    """A line with its band over the numbers of images, a mark with a bar for the medium."""
    rows = list(zip(places, intervals, is_number, strict=True))
    line = [(place, entry) for place, entry, number in rows if number]
    axes.plot([place for place, _ in line], [e.estimate for _, e in line], label=name, **style)
    axes.fill_between(
        [place for place, _ in line],
        [entry.low for _, entry in line],
        [entry.high for _, entry in line],
        color=style["color"],
        alpha=0.1,
        linewidth=0,
    )
    for place, entry, number in rows:
        if not number and entry.resolved:
            below, above = entry.estimate - entry.low, entry.high - entry.estimate
            axes.errorbar(
                place + shift,
                entry.estimate,
                yerr=[[max(below, 0)], [max(above, 0)]],
                color=style["color"],
                marker=style["marker"],
                elinewidth=1,
                linestyle="none",
            )
