"""The report of a video: one HTML file without scripts, links or network, that shows why."""

from __future__ import annotations

import base64
import html
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from probefusion.files import replace_file
from probefusion.reports.charts import colour, dots_chart, growth_chart, time_label, timeline
from probefusion.video.clip import Clip
from probefusion.video.explanation import Explanation, WeighedThumbnail

__all__ = ["write_report"]

_MOST_PEOPLE = 60
_MOST_DECISIONS = 100
_HEAVY_CHIPS, _LIGHT_CHIPS = 12, 4

_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, sans-serif; color: #222; background: #f4f4f2; margin: 0 auto;
       max-width: 1360px; padding: 24px; }
h1 { font-size: 24px; margin: 0 0 4px; overflow-wrap: anywhere; }
h2 { font-size: 18px; margin: 0 0 4px; overflow-wrap: anywhere; }
section { background: #fff; border: 1px solid #e0e0dc; border-radius: 8px; padding: 18px 22px;
          margin: 18px 0; }
p { margin: 4px 0 8px; }
.facts { color: #555; }
.warn { background: #fff4d6; border-left: 4px solid #d9a514; padding: 8px 12px; }
.match { color: #b02a4c; font-weight: 600; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(420px, 1fr)); gap: 18px; }
.chips { display: flex; flex-wrap: wrap; gap: 8px; margin: 10px 0 14px; align-items: flex-end; }
.chips.light { border-top: 1px dotted #aaa; padding-top: 10px; }
figure { margin: 0; width: 92px; font-size: 11px; line-height: 1.3; color: #444; }
figure img { width: 92px; height: 92px; display: block; border-radius: 5px 5px 0 0; }
figure .bar { height: 6px; border-radius: 0 0 5px 5px; margin-bottom: 3px; }
svg { width: 100%; height: auto; display: block; }
svg text { font: 12px system-ui, sans-serif; }
svg .tick, svg .axis { fill: #666; font-size: 11px; }
svg .lane { fill: #1d4e89; }
svg .grid { stroke: #e4e4e0; }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; font-size: 13px; }
td, th { padding: 3px 12px 3px 0; text-align: left; border-bottom: 1px solid #eee; white-space: nowrap; }
footer { color: #666; font-size: 13px; }
"""


def write_report(
    clip: Clip, evidence: Sequence[Explanation], path: str | Path, *, force: bool = False
) -> None:
    """Writes the report.

    Images are inside the file; a content security policy forbids everything else. People beyond the
    60 with the most images are counted, not drawn; tracks.json holds all.

    Args:
        clip: The video.
        evidence: Of each of its people, in their order.
        path: The `.html` file.
        force: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: If the file exists and `force` is False.
    """
    with replace_file(path, force=force) as stream:
        for part in _page(clip, evidence):
            stream.write(part.encode())


def _page(clip: Clip, evidence: Sequence[Explanation]) -> Iterator[str]:
    title = Path(clip.facts.source).name or clip.facts.source
    shown = evidence[:_MOST_PEOPLE]
    yield (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        "<meta http-equiv='Content-Security-Policy' "
        "content=\"default-src 'none'; img-src data:; style-src 'unsafe-inline'\">"
        "<meta name='viewport' content='width=device-width, initial-scale=1'>"
        f"<title>{html.escape(title)}: people and why</title><style>{_STYLE}</style></head><body>"
        f"<h1>{html.escape(title)}</h1><p class='facts'>{html.escape(_clip_line(clip))}</p>"
    )
    for problem in clip.problems:
        yield f"<p class='warn'>{html.escape(problem)}.</p>"
    yield f"<section><h2>Who was seen when</h2><p class='facts'>{html.escape(_found_line(clip, shown))}</p>"
    lanes = [(_anchor(item), _label(item), item) for item in shown]
    yield timeline(lanes, clip.last_time) + "</section>"
    for item in shown:
        yield _person(item)
    if clip.decisions:
        yield _decisions(clip.decisions)
    yield (
        "<footer><p>Similarities are cosines. An image's weight is its share in the fused template; all "
        "weights of a person sum to 1. A match is a lead to be checked by a person, never proof.</p>"
        f"<p>{html.escape(f'Fuser {clip.fuser.fingerprint}, embedder {clip.embedder}.')}</p></footer>"
        "</body></html>\n"
    )


def _person(item: Explanation) -> str:
    reference = item.reference or "its own template"
    chips = item.thumbnails()
    parts = [
        f"<section id='{_anchor(item)}'><h2>{html.escape(_label(item))}</h2>",
        f"<p>{_verdict(item)}</p>",
        f"<p class='facts'>{html.escape(_why(item, len(chips)))}</p>",
        "<div class='chips'>",
        *(_chip(chip, item) for chip in chips[:_HEAVY_CHIPS]),
    ]
    light = chips[max(_HEAVY_CHIPS, len(chips) - _LIGHT_CHIPS) :]
    if light:
        parts += ["</div><div class='chips light'>", *(_chip(chip, item) for chip in light)]
    parts += [
        "</div><div class='charts'><div>",
        dots_chart(item, reference),
        "</div><div>",
        growth_chart(item, reference),
        "</div></div></section>",
    ]
    return "".join(parts)


def _chip(chip: WeighedThumbnail, item: Explanation) -> str:
    heaviest = max(float(item.weights.max()), 1e-12)
    data = base64.b64encode(chip.thumbnail.jpeg).decode()
    times = chip.weight * len(item.weights)
    when = time_label(chip.thumbnail.time)
    return (
        f"<figure><img alt='face at {when}' src='data:image/jpeg;base64,{data}'>"
        f"<div class='bar' style='background:{colour(chip.weight / heaviest)}'></div>"
        f"<b>{100 * chip.weight:.2g} %</b> ({times:.1f}x)<br>similarity {chip.similarity:.2f}<br>at {when}"
        "</figure>"
    )


def _verdict(item: Explanation) -> str:
    match = item.match
    if match is None:
        return "No gallery was given: similarities are those to the fused template itself."
    best = match.candidates[0]
    name = html.escape(best.name)
    if match.threshold is None:
        return f"Most similar gallery entry: {name}, {best.similarity:.3f}; no threshold is known for this fuser."
    rate = f" (false match rate {match.false_match_rate:g})" if match.false_match_rate else ""
    if match.is_match:
        text = (
            f"<span class='match'>Match: {name}</span>, similarity {best.similarity:.3f}, threshold"
        )
    else:
        text = (
            f"No match: the most similar gallery entry is {name} with {best.similarity:.3f}, below"
        )
    others = ", ".join(
        f"{html.escape(other.name)} {other.similarity:.3f}" for other in match.candidates[1:4]
    )
    return f"{text} {match.threshold:.3f}{rate}.{f' Next: {others}.' if others else ''}"


def _why(item: Explanation, num_chips: int) -> str:
    count = len(item.weights)
    text = (
        f"{count} images; {item.num_carrying_half} of them carry half of the weight, the heaviest "
        f"{100 * float(item.weights.max()):.2g} % alone."
    )
    if item.reference is not None:
        text += (
            f" Fused {item.fused_similarity:.3f}; plain mean of all images {item.mean_similarity:.3f}; single "
            f"images {float(item.similarities.mean()):.3f} on average, {100 * item.share_beaten:.0f} % of them "
            f"below the fused template."
        )
    kept = f" Below: the heaviest of {num_chips} kept face crops"
    lightest = ", then the lightest." if num_chips > _HEAVY_CHIPS else ", from heavy to light."
    return text + kept + lightest


def _clip_line(clip: Clip) -> str:
    facts, counts = clip.facts, clip.counts
    rate = f", {facts.frame_rate:.4g} frames/s" if facts.frame_rate else ""
    return (
        f"{facts.width}x{facts.height} pixels, {facts.codec}{rate}; {counts.frames_read} frames read, "
        f"{counts.frames_used} searched, {counts.faces_found} faces found, up to {time_label(clip.last_time)}. "
        f"Processed at {clip.frames_per_second:.1f} frames/s."
    )


def _found_line(clip: Clip, shown: Sequence[Explanation]) -> str:
    counts = clip.counts
    text = f"{len(clip.people)} {'person' if len(clip.people) == 1 else 'people'}"
    if len(shown) < len(clip.people):
        text += f", of whom the {len(shown)} with the most images are shown"
    left_out = [
        (counts.images_in_short_tracks, f"in {counts.tracks_too_short} tracks of too few images"),
        (counts.faces_too_small, "too small"),
        (counts.faces_beyond_limit, "beyond the limit per frame"),
        (counts.faces_unusable, "unusable"),
        (counts.faces_untracked, "unsure and untracked"),
    ]
    told = ", ".join(f"{number} {reason}" for number, reason in left_out if number)
    return f"{text}. Faces left out: {told or 'none'}."


def _label(item: Explanation) -> str:
    name = item.match.name if item.match is not None else None
    merged = [track.number for track in item.person.tracks]
    number = (
        f"Track {item.person.number}"
        if len(merged) == 1
        else f"Tracks {'+'.join(map(str, sorted(merged)))}"
    )
    return f"{number}: {name}" if name is not None else number


def _anchor(item: Explanation) -> str:
    return f"track-{item.person.number}"


def _decisions(decisions: Sequence[dict[str, Any]]) -> str:
    rows = [
        f"<tr><td>{html.escape(decision_text(decision))}</td><td>{decision['similarity']:.3f}</td>"
        f"<td>{decision['threshold']:.3f}</td></tr>"
        for decision in decisions[:_MOST_DECISIONS]
    ]
    more = len(decisions) - len(rows)
    note = f"<p class='facts'>and {more} more in tracks.json</p>" if more > 0 else ""
    return (
        "<section><h2>Who is who: splits, re-entries and merges</h2><div class='scroll'><table><tr>"
        f"<th>decision</th><th>similarity</th><th>threshold</th></tr>{''.join(rows)}</table></div>{note}</section>"
    )


def decision_text(decision: dict[str, Any]) -> str:
    """One decision in words."""
    kind, track = decision["kind"], decision["track"]
    if kind == "split":
        return f"{time_label(decision['time'])}: the motion of track {track} jumped to another face: split"
    if kind == "re-entry":
        return f"{time_label(decision['time'])}: a face came in that is track {track}: gone on with"
    return f"tracks {track} and {decision['other_track']}: {kind}"
