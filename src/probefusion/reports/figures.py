"""The figures of a report: TAR against N, ROC, DET, CMC."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from probefusion.evaluation.degraded_folder import FolderEvaluation, FuserAtSize
from probefusion.metrics import RocCurve, roc
from probefusion.reports.plots import line_style, subplots

__all__ = ["curve_figure", "folder_figures"]

_CURVE_POINTS = 2000


def folder_figures(result: FolderEvaluation) -> list[tuple[str, str, Any]]:
    """All figures of a degraded-folder evaluation.

    Returns:
        (file name without ending, caption, matplotlib figure) of each.

    Raises:
        MissingExtraError: If matplotlib is not installed.
    """
    sizes = result.plan.set_sizes
    middle = min(sizes, key=lambda size: abs(np.log2(size) - 3))
    shown = [point for point in result.points if point.num_images == middle]
    rate = result.compared_rate
    return [
        (
            "tar",
            f"TAR at FAR {rate:g} and rank 1 against the number of probe images, 95 % bands.",
            _rates(result),
        ),
        ("roc", f"ROC and DET with {middle} probe images.", _curves(shown)),
        ("cmc", f"Identification rate by rank with {middle} probe images.", _cmc(shown)),
        (
            "severity",
            "Mean weight of an image, as a multiple of an equal share, by its degradation "
            f"({max(sizes)} probe images).",
            _severity(result),
        ),
    ]


def _styled(names: Sequence[str]) -> dict[str, dict[str, str]]:
    return {name: line_style(index) for index, name in enumerate(names)}


def _rates(result: FolderEvaluation) -> Any:
    figure, (left, right) = subplots(1, 2, figsize=(11, 4.6))
    rates = result.plan.false_accept_rates
    index = rates.index(result.compared_rate)
    sizes = list(result.plan.set_sizes)
    names = list(dict.fromkeys(point.fuser for point in result.points))
    for name, style in _styled(names).items():
        mine = [point for point in result.points if point.fuser == name]
        for axes, intervals in (
            (left, [point.verification_intervals[index] for point in mine]),
            (right, [point.rank1 for point in mine]),
        ):
            axes.plot(sizes, [entry.estimate for entry in intervals], label=name, **style)
            axes.fill_between(
                sizes,
                [entry.low for entry in intervals],
                [entry.high for entry in intervals],
                color=style["color"],
                alpha=0.12,
                linewidth=0,
            )
    for axes, label in ((left, f"TAR at FAR {rates[index]:g}"), (right, "rank-1 rate")):
        axes.set_xscale("log", base=2)
        axes.set_xlim(min(sizes) / 1.2, max(sizes) * 1.2)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.minorticks_off()
        axes.set_xlabel("images in the probe")
        axes.set_ylabel(label)
        axes.set_ylim(top=1.01)
        axes.grid(visible=True, alpha=0.3)
    if not result.points[0].verification[index].resolved:
        left.text(
            0.5, 0.5, "unresolved: too few comparisons", transform=left.transAxes, ha="center"
        )
    left.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def _curves(points: Sequence[FuserAtSize]) -> Any:
    return curve_figure(
        {
            point.fuser: roc(point.scores.mated, point.scores.non_mated, max_points=_CURVE_POINTS)
            for point in points
        }
    )


def _finish_curves(left: Any, right: Any, smallest: float, smallest_miss: float) -> None:
    """Log axes, limits at one comparison, labels."""
    left.set_xscale("log")
    left.set_xlim(smallest, 1)
    left.set_xlabel("false accept rate")
    left.set_ylabel("true accept rate")
    for set_scale in (right.set_xscale, right.set_yscale):
        set_scale("log")
    right.set_xlim(smallest, 1)
    right.set_ylim(smallest_miss, 1)
    right.set_xlabel("false match rate")
    right.set_ylabel("false non-match rate")
    for axes in (left, right):
        axes.grid(visible=True, which="major", alpha=0.3)
    left.legend(loc="lower right", frameon=False, fontsize=9)


def curve_figure(curves: Mapping[str, RocCurve]) -> Any:
    """ROC and DET of several fusers.

    Args:
        curves: ROC by name.
    """
    figure, (left, right) = subplots(1, 2, figsize=(11, 4.6))
    for (name, curve), style in zip(curves.items(), _styled(list(curves)).values(), strict=True):
        line = {"color": style["color"], "linestyle": style["linestyle"], "label": name}
        left.plot(curve.fars, curve.tars, **line)
        right.plot(curve.fars, 1 - curve.tars, **line)
    _finish_curves(
        left,
        right,
        1 / max(curve.num_non_mated for curve in curves.values()),
        1 / max(curve.num_mated for curve in curves.values()),
    )
    return figure


def _cmc(points: Sequence[FuserAtSize]) -> Any:
    figure, (axes,) = subplots(1, 1, figsize=(7, 4.4))
    for point, style in zip(points, _styled([p.fuser for p in points]).values(), strict=True):
        ranks = np.arange(1, len(point.cmc) + 1)
        axes.plot(ranks, point.cmc, label=point.fuser, markersize=4, **style)
    axes.set_xlabel("rank")
    axes.set_ylabel("identification rate")
    axes.set_xticks([1, *range(5, len(points[0].cmc) + 1, 5)])
    axes.grid(visible=True, alpha=0.3)
    axes.legend(loc="lower right", frameon=False, fontsize=9)
    return figure


def _severity(result: FolderEvaluation) -> Any:
    figure, (axes,) = subplots(1, 1, figsize=(7, 4.4))
    edges = result.severity_edges
    centres = (edges[:-1] + edges[1:]) / 2
    for name, style in _styled(list(result.weight_by_severity)).items():
        shares = result.weight_by_severity[name]
        axes.plot(centres, shares, label=name, markersize=4, **style)
    axes.set_xlabel("severity of the degradation")
    axes.set_ylabel("weight / equal share")
    axes.set_yscale("log")
    axes.grid(visible=True, which="both", alpha=0.3)
    axes.legend(loc="lower left", frameon=False, fontsize=9)
    return figure
