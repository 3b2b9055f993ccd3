"""The report of a video: one HTML file without scripts, links or network, that shows why."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from probefusion.files import replace_file
from probefusion.gallery import Candidate, Match
from probefusion.reports.charts import dots_chart, growth_chart, time_label, timeline
from probefusion.reports.shell import page_parts, safe
from probefusion.reports.weight_colours import WeightColours
from probefusion.video.clip import Clip
from probefusion.video.explanation import Explanation, WeighedThumbnail

__all__ = ["write_report"]

_MOST_PEOPLE = 60
_MOST_DECISIONS = 100
_MOST_HEAVY, _MOST_LIGHT = 12, 4


def write_report(
    clip: Clip, explanations: Sequence[Explanation], path: str | Path, *, force: bool = False
) -> None:
    """Writes the report.

    Images are inside the file; a content security policy forbids everything else. People beyond the
    60 with the most images are counted, not drawn; tracks.json holds all.

    Args:
        clip: The video.
        explanations: Of each of its people, in their order.
        path: The `.html` file.
        force: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: If the file exists and `force` is False.
        MissingExtraError: If Jinja2 is not installed.
    """
    with replace_file(path, force=force) as stream:
        for part in _page(clip, explanations):
            stream.write(part.encode())


def _page(clip: Clip, explanations: Sequence[Explanation]) -> Iterator[str]:
    title = Path(clip.facts.source).name or clip.facts.source
    shown = explanations[:_MOST_PEOPLE]
    lanes = [(_anchor(item), _label(item), item) for item in shown]
    return page_parts(
        "video",
        extra="video",
        title=f"{title}: who was seen, and which images counted",
        clip_line=_clip_line(clip),
        problems=clip.problems,
        found_line=_found_line(clip, shown),
        timeline=safe(timeline(lanes, clip.last_time)),
        narrow_timeline=safe(timeline(lanes, clip.last_time, is_narrow=True)),
        people=(_person(item) for item in shown),  # one by one: their pictures are read when drawn
        decisions=[
            {
                "text": decision_text(decision),
                "similarity": f"{decision['similarity']:.3f}",
                "threshold": f"{decision['threshold']:.3f}",
            }
            for decision in clip.decisions[:_MOST_DECISIONS]
        ],
        num_more_decisions=max(0, len(clip.decisions) - _MOST_DECISIONS),
        made_with=f"Fuser {clip.fuser.fingerprint}, embedder {clip.embedder}.",
    )


def _person(item: Explanation) -> dict[str, Any]:
    reference = item.reference or "its own template"
    thumbnails = item.thumbnails()
    colours = WeightColours(item.weights)
    faces = [_face(thumbnail, item, colours) for thumbnail in thumbnails]
    matched, verdict = _verdict(item)
    return {
        "anchor": _anchor(item),
        "label": _label(item),
        "matched": matched,
        "verdict": verdict,
        "why": _why(item, len(thumbnails)),
        "heavy": faces[:_MOST_HEAVY],
        "light": faces[max(_MOST_HEAVY, len(thumbnails) - _MOST_LIGHT) :],
        "dots": safe(dots_chart(item, reference)),
        "growth": safe(growth_chart(item, reference)),
    }


def _face(thumbnail: WeighedThumbnail, item: Explanation, colours: WeightColours) -> dict[str, str]:
    return {
        "data": base64.b64encode(thumbnail.thumbnail.jpeg).decode(),
        "when": time_label(thumbnail.thumbnail.time),
        "colour": colours.of(thumbnail.weight),
        "percent": f"{100 * thumbnail.weight:.2g}",
        "times": f"{thumbnail.weight * len(item.weights):.1f}",
        "similarity": f"{thumbnail.similarity:.2f}",
    }


def _verdict(item: Explanation) -> tuple[str | None, str]:
    """The name that is matched, if one is, and the rest of the sentence."""
    match = item.match
    if match is None:
        return None, "No gallery was given: similarities are those to the fused template itself."
    best = match.best
    if best is None:
        return (
            None,
            "Nobody was in the gallery: similarities are those to the fused template itself.",
        )
    if match.threshold is None:
        why = None if match.result is None else match.result.why_none
        return None, (
            f"Most similar gallery entry: {best.name}, {best.similarity:.3f}; "
            f"{f'no threshold: {why}' if why else 'no threshold is known for this fuser'}."
        )
    rate = f" (false match rate {match.false_match_rate:g})" if match.false_match_rate else ""
    others = ", ".join(f"{other.name} {other.similarity:.3f}" for other in _others(match))
    end = f" {match.threshold:.3f}{rate}.{f' Next: {others}.' if others else ''}"
    if match.is_match:
        return best.name, f", similarity {best.similarity:.3f}, threshold{end}"
    return None, (
        f"No match: the most similar gallery entry is {best.name} with {best.similarity:.3f}, below{end}"
    )


def _others(match: Match) -> list[Candidate]:
    """The three most similar ones beside the best."""
    return [other for other in match.candidates[:4] if other is not match.best][:3]


def _why(item: Explanation, num_thumbnails: int) -> str:
    count = len(item.weights)
    text = (
        f"{count} images; {item.num_carrying_half} of them together carry half of the weight, the heaviest "
        f"{100 * float(item.weights.max()):.2g} % alone."
    )
    if item.reference is not None:
        text += (
            f" Fused {item.fused_similarity:.3f}; plain mean of all images {item.mean_similarity:.3f}; single "
            f"images {float(item.similarities.mean()):.3f} on average, {100 * item.share_beaten:.0f} % of them "
            f"below the fused template."
        )
    if item.screening.falls_apart:
        text += f" Careful: {item.screening}."
    kept = f" Below: the heaviest of {num_thumbnails} kept face crops"
    lightest = ", then the lightest." if num_thumbnails > _MOST_HEAVY else ", from heavy to light."
    shares = " Under each stands its weight, and how many times an equal share that is (2.0x: twice as much)."
    return text + kept + lightest + shares


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
    number = len(clip.people)
    text = f"{number} {'track' if number == 1 else 'tracks'}; somebody may have several"
    if len(shown) < number:
        text += f". The {len(shown)} with the most images are shown"
    if counts.faces_turned:
        text += f". {counts.faces_turned} turned faces were put upright"
    left_out = [
        (counts.images_in_short_tracks, f"in {counts.tracks_too_short} tracks of too few images"),
        (counts.faces_too_small, "too small"),
        (counts.faces_beyond_limit, "beyond the limit per frame"),
        (counts.faces_unusable, "unusable"),
        (counts.faces_untracked, "unsure and untracked"),
    ]
    told = ", ".join(f"{number} {reason}" for number, reason in left_out if number)
    has_gallery = any(item.match is not None for item in shown)
    colours = " Every matched name has a colour; grey is no match." if has_gallery else ""
    return f"{text}. Faces left out: {told or 'none'}.{colours}"


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


def decision_text(decision: dict[str, Any]) -> str:
    """One decision in words."""
    kind, track = decision["kind"], decision["track"]
    if kind == "split":
        return f"{time_label(decision['time'])}: the motion of track {track} jumped to another face: split"
    if kind == "re-entry":
        return f"{time_label(decision['time'])}: a face came in that is track {track}: gone on with"
    return f"tracks {track} and {decision['other_track']}: {kind}"
