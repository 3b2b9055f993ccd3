"""The drawings of a video's report, as SVG text."""

from __future__ import annotations

import html
import math
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import numpy.typing as npt

from probefusion.reports.weight_colours import WeightColours
from probefusion.video.explanation import Explanation

__all__ = ["dots_chart", "growth_chart", "time_label", "timeline"]

_MOST_DOTS = 800
_WIDTH = 520
_PEOPLE = (
    "#3b6fb5",
    "#c07a1d",
    "#3c8f5a",
    "#7a4fa3",
    "#159aa8",
    "#b5523b",
    "#d46a9f",
    "#7d8a1f",
)
"""Colours of names, mid tones that stand on light and dark ground."""

_NO_MATCH = "#8d8d8d"


def time_label(seconds: float) -> str:
    """Seconds as 7.5 s, m:ss.s or h:mm:ss."""
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    if seconds >= 3600:
        whole = int(seconds)
        return f"{whole // 3600}:{whole % 3600 // 60:02d}:{whole % 60:02d}"
    tenths = round(seconds * 10)
    return f"{tenths // 600}:{tenths % 600 / 10:04.1f}"


def timeline(
    lanes: Sequence[tuple[str, str, Explanation]], last_time: float, *, is_narrow: bool = False
) -> str:
    """When each person was seen: a lane each, in the colour of the matched name, or grey.

    Args:
        lanes: (anchor, label, explanation) per person.
        last_time: End of the video in seconds.
        is_narrow: For a small screen: labels stand above the lanes.
    """
    left, top, lane, width = (20, 8, 40, 360) if is_narrow else (190, 8, 24, 800)
    bar = 14 if is_narrow else lane - 8
    colours = _name_colours([explanation for _, _, explanation in lanes])
    height = top + lane * len(lanes) + 30
    span = max(last_time, 1e-3)

    def x(moment: float) -> float:
        return left + (width - left - 20) * min(moment / span, 1.0)

    parts = []
    bottom = top + lane * len(lanes)
    for tick, label in _labelled(_ticks(0, span, 3 if is_narrow else 6), time_label):
        parts.append(
            f"<line x1='{x(tick):.1f}' x2='{x(tick):.1f}' y1='{top}' y2='{bottom}' class='grid'/>"
            f"<text x='{x(tick):.1f}' y='{bottom + 18}' class='tick' text-anchor='middle'>{label}</text>"
        )
    for row, (anchor, label, explanation) in enumerate(lanes):
        y = top + lane * row
        fill = colours.get(_name(explanation), _NO_MATCH)
        place = "x='4' " if is_narrow else f"x='{left - 10}' text-anchor='end' "
        parts.append(
            f"<a href='#{anchor}'><text {place}y='{y + 16}' class='lane'>{html.escape(label)}</text></a>"
        )
        for segment in explanation.person.segments:
            begin, end = x(segment.first_time), x(segment.last_time)
            title = f"{label}: {time_label(segment.first_time)} to {time_label(segment.last_time)}"
            parts.append(
                f"<rect x='{begin:.1f}' y='{y + lane - bar - 4}' width='{max(end - begin, 2):.1f}' height='{bar}' "
                f"rx='3' fill='{fill}'><title>{html.escape(title)}</title></rect>"
            )
    return _svg(width, height, parts, "Timeline of tracks")


def dots_chart(explanation: Explanation, reference: str) -> str:
    """Similarity of each image over time, coloured by weight, with the fused star."""
    order = _thinned(explanation.weights)
    colours = WeightColours(explanation.weights)
    times, similarities = explanation.times[order], explanation.similarities[order]
    heaviest = float(explanation.weights.max())
    top, bottom, left, right, height = 16, 44, 52, 96, 300
    ends = [explanation.fused_similarity, explanation.mean_similarity]
    low, high = _range([*similarities, *ends])
    first, last = float(explanation.times.min()), float(explanation.times.max())
    span = max(last - first, 1e-3)

    def x(moment: float) -> float:
        return left + (_WIDTH - left - right) * (moment - first) / span

    def y(similarity: float) -> float:
        return height - bottom - (height - bottom - top) * (similarity - low) / (high - low)

    parts = _grid(left, _WIDTH - right, low, high, y)
    for tick, label in _labelled(_ticks(first, last, 6), time_label):
        parts.append(
            f"<text x='{x(tick):.1f}' y='{height - bottom + 16}' class='tick' text-anchor='middle'>"
            f"{label}</text>"
        )
    mean = y(explanation.mean_similarity)
    parts.append(
        f"<line x1='{left}' x2='{_WIDTH - right}' y1='{mean:.1f}' y2='{mean:.1f}' class='mean-line' "
        f"stroke-dasharray='6 4'><title>plain mean of all images: {explanation.mean_similarity:.3f}</title></line>"
    )
    for moment, similarity, weight in sorted(
        zip(times, similarities, explanation.weights[order], strict=True), key=lambda dot: dot[2]
    ):
        share = weight / heaviest
        parts.append(
            f"<circle cx='{x(moment):.1f}' cy='{y(similarity):.1f}' r='{2.5 + 2.5 * share:.1f}' "
            f"fill='{colours.of(weight)}' class='dot'><title>{time_label(moment)}: similarity {similarity:.3f}, weight "
            f"{100 * weight:.2g} %</title></circle>"
        )
    parts.append(_star(_WIDTH - right + 24, y(explanation.fused_similarity), explanation))
    parts += _scale(_WIDTH - 20, top, height - bottom, colours)
    caption = f"similarity to {reference}"
    parts += _axis_titles(left, height, "time in the video", caption)
    return _svg(_WIDTH, height, parts, f"Similarity of each image to {reference}, by weight")


def growth_chart(explanation: Explanation, reference: str) -> str:
    """Similarity of the fused template and of the plain mean as images arrive."""
    top, bottom, left, right, height = 16, 44, 52, 20, 300
    low, high = _range(
        [value for point in explanation.growth for value in (point.fused, point.mean)]
    )
    most = math.log2(max(explanation.growth[-1].num_images, 2))

    def x(count: float) -> float:
        return left + (_WIDTH - left - right) * math.log2(count) / most

    def y(similarity: float) -> float:
        return height - bottom - (height - bottom - top) * (similarity - low) / (high - low)

    parts = _grid(left, _WIDTH - right, low, high, y)
    step = max(1, math.ceil(most / 8))
    for power in range(0, int(most) + 1, step):
        parts.append(
            f"<text x='{x(2**power):.1f}' y='{height - bottom + 16}' class='tick' text-anchor='middle'>"
            f"{2**power}</text>"
        )
    for name, dash in (("mean", "6 4"), ("fused", "none")):
        places = [
            (x(point.num_images), y(getattr(point, name)), point) for point in explanation.growth
        ]
        line = " ".join(f"{a:.1f},{b:.1f}" for a, b, _ in places)
        parts.append(
            f"<polyline points='{line}' class='{name}-line' stroke-width='2' "
            f"stroke-dasharray='{dash}'/>"
        )
        parts += [
            f"<circle cx='{a:.1f}' cy='{b:.1f}' r='3' class='{name}'><title>{point.num_images} images: "
            f"{name} {getattr(point, name):.3f}</title></circle>"
            for a, b, point in places
        ]
    own = "plain mean" if explanation.reference is not None else "plain mean, to its own"
    parts.append(
        f"<text x='{_WIDTH - right - 4}' y='{height - bottom - 26}' text-anchor='end' class='fused'>fused</text>"
        f"<text x='{_WIDTH - right - 4}' y='{height - bottom - 9}' text-anchor='end' class='mean'>{own}</text>"
    )
    parts += _axis_titles(left, height, "images so far", f"similarity to {reference}")
    return _svg(_WIDTH, height, parts, "Similarity as images arrive")


def _thinned(weights: npt.NDArray[np.float64]) -> npt.NDArray[np.int64]:
    """Positions of the images to draw: all, or the heaviest and evenly spaced ones."""
    if len(weights) <= _MOST_DOTS:
        return np.arange(len(weights))
    heaviest = np.argsort(-weights)[: _MOST_DOTS // 4]
    even = np.linspace(0, len(weights) - 1, _MOST_DOTS - len(heaviest)).astype(np.int64)
    return np.union1d(heaviest, even)


def _range(values: Sequence[float]) -> tuple[float, float]:
    low, high = float(min(values)), float(max(values))
    margin = max(0.05 * (high - low), 0.02)
    return max(low - margin, -1.0), min(high + margin, 1.0)  # no cosine lies beyond


def _ticks(low: float, high: float, count: int) -> list[float]:
    """Round numbers between two."""
    raw = max(high - low, 1e-9) / count
    size = 10.0 ** math.floor(math.log10(raw))
    step = next(size * factor for factor in (1, 2, 5, 10) if size * factor >= raw)
    first = math.ceil(low / step - 1e-9)
    return [step * k for k in range(first, int(high / step + 1e-9) + 1)]


def _labelled(
    ticks: Sequence[float], label_of: Callable[[float], str]
) -> Iterator[tuple[float, str]]:
    """Ticks with their labels; where two would read alike, only the first."""
    last = None
    for tick in ticks:
        label = label_of(tick)
        if label != last:
            yield tick, label
        last = label


def _name(explanation: Explanation) -> str | None:
    return None if explanation.match is None else explanation.match.name


def _name_colours(explanations: Sequence[Explanation]) -> dict[str | None, str]:
    """A colour for each matched name; beyond the palette, hues that are far from each other."""
    names = dict.fromkeys(name for name in map(_name, explanations) if name is not None)
    more = [
        f"hsl({round(137.5 * k) % 360} 45% 50%)" for k in range(max(0, len(names) - len(_PEOPLE)))
    ]
    return dict(zip(names, (*_PEOPLE, *more), strict=False))


def _grid(
    left: float, right: float, low: float, high: float, y: Callable[[float], float]
) -> list[str]:
    """Lines across at round similarities."""
    parts = []
    for tick, label in _labelled(_ticks(low, high, 6), "{:.2f}".format):
        parts.append(
            f"<line x1='{left}' x2='{right}' y1='{y(tick):.1f}' y2='{y(tick):.1f}' class='grid'/>"
            f"<text x='{left - 8}' y='{y(tick) + 4:.1f}' class='tick' text-anchor='end'>{label}</text>"
        )
    return parts


def _star(x: float, y: float, explanation: Explanation) -> str:
    corners = []
    for corner in range(10):
        radius = 11 if corner % 2 == 0 else 4.6
        angle = math.pi * (corner / 5 - 0.5)
        corners.append(f"{x + radius * math.cos(angle):.1f},{y + radius * math.sin(angle):.1f}")
    value = explanation.fused_similarity
    return (
        f"<polygon points='{' '.join(corners)}' class='fused'><title>fused: {value:.3f}</title></polygon>"
        f"<text x='{x:.1f}' y='{y + 24:.1f}' text-anchor='middle' class='fused'>{value:.2f}</text>"
    )


def _scale(x: float, top: float, bottom: float, colours: WeightColours) -> list[str]:
    steps = 24
    size = (bottom - top - 30) / steps
    parts = [
        f"<rect x='{x}' y='{top + 15 + size * k:.1f}' width='10' height='{size + 0.5:.1f}' "
        f"fill='{colours.at(1 - k / (steps - 1))}'/>"
        for k in range(steps)
    ]
    parts.append(
        f"<text x='{x + 10}' y='{top + 9}' class='tick' text-anchor='end'>{100 * colours.high:.2g} %</text>"
        f"<text x='{x + 10}' y='{bottom}' class='tick' text-anchor='end'>&#8804; {100 * colours.low:.2g} %</text>"
    )
    return parts


def _axis_titles(left: float, height: float, below: str, beside: str) -> list[str]:
    middle = (height - 44) / 2
    return [
        f"<text x='{left}' y='{height - 6}' class='axis'>{html.escape(below)}</text>",
        f"<text x='12' y='{middle}' class='axis' text-anchor='middle' "
        f"transform='rotate(-90 12 {middle})'>{html.escape(beside)}</text>",
    ]


def _svg(width: float, height: float, parts: Sequence[str], label: str) -> str:
    return (
        f"<svg viewBox='0 0 {width} {height}' role='img' aria-label='{html.escape(label, quote=True)}'>"
        + "".join(parts)
        + "</svg>"
    )
