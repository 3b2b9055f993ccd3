r"""What do poor images do to a gallery? Every rule that makes something of several images, on one protocol.

    python -m research.smear degraded --images lfw112.zip --work WORK -o research/reports/smear/degraded-compact
    python -m research.smear media --images imfdb112.zip --media-from '^(?P<medium>.+?)__' --leave-out HrithikRoshan \
        --work WORK -o research/reports/smear/films-compact

WORK keeps the embeddings; a run that was stopped goes on from there. Numbers of draws, seeds and rules are fixed.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from tempfile import TemporaryDirectory

from probefusion.embedders import CropQuality, Embedder, JudgedEmbedder
from probefusion.metrics import thresholds_at_far
from probefusion.protocols import read_people
from probefusion.protocols.degraded_folder import fold_of
from probefusion.protocols.media_images import MediaImages, open_face_table, read_media_images
from probefusion.zoo import DEFAULT_EMBEDDER, load_embedder, load_fuser
from research.smear.degraded_photos import FOLD, embed_degraded
from research.smear.gallery_agreement import compare_with_gallery
from research.smear.media_photos import embed_media_images
from research.smear.open_searches import SmearPlan, compare_rules, measure_rules, pooled_searches
from research.smear.smear_report import content_of, write_report
from research.smear.smear_sets import SmearSets, SmearSize
from research.smear.template_rules import FusedRule, MaximumRule, TemplateRule, TrimmedRule

DEGRADED_DRAWS = 6
MEDIA_DRAWS = 20
SIZES = ("8/1", "8/4", "16/1", "16/4", "16/8")
FUSERS = ("exact", "exact-fast", "universal", "norm-weighted", "mean")


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m research.smear", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    degraded = commands.add_parser("degraded", help="photos of LFW people of fold 3, degraded")
    degraded.set_defaults(run=measure_degraded)
    media = commands.add_parser("media", help="real images: films, clips")
    media.set_defaults(run=measure_media)
    gallery = commands.add_parser("gallery", help="degraded photos in a real gallery")
    gallery.set_defaults(run=compare_gallery)
    gallery.add_argument("--fuser", default="exact")
    gallery.add_argument("--size", default="8/4", metavar="N/M")
    for command in (degraded, media, gallery):
        command.add_argument("--images", required=True, metavar="DIR|ZIP")
        command.add_argument("--embedder", default=DEFAULT_EMBEDDER, metavar="MODEL")
        command.add_argument("--work", required=True, type=Path, metavar="DIR")
    for command in (degraded, media):
        command.add_argument("-o", "--output", required=True, type=Path, metavar="DIR")
    media.add_argument("--media-from", metavar="REGEX", help="with a group `medium`")
    media.add_argument("--leave-out", action="append", default=[], metavar="PERSON")
    media.add_argument("--fold-3-only", action="store_true", help="for people who stand in LFW too")
    media.add_argument("--faces", metavar="CSV", help="table of the widths of faces")
    media.add_argument("--below-px", type=float, help="only faces that are less wide")
    media.add_argument("--sizes", nargs="+", default=list(SIZES), metavar="N/M")
    options = parser.parse_args()
    options.run(options)


def measure_degraded(options: argparse.Namespace) -> None:
    """Photos that are degraded on both sides, in both layouts."""
    embedder = judged_embedder(options.embedder)
    layouts = embed_degraded(
        read_people(options.images),
        embedder,
        num_draws=DEGRADED_DRAWS,
        cache=options.work,
        progress=told("degraded"),
    )
    report(list(layouts.values()), embedder, SIZES, options.output)


def measure_media(options: argparse.Namespace) -> None:
    """Images of films or clips as they are."""
    embedder = judged_embedder(options.embedder)
    images = read_media_images(options.images, media_from=options.media_from)
    source = Path(options.images).name
    if options.below_px is not None:
        images = narrow_faces(images, options)
        source += f", faces below {options.below_px:g} pixels"
    subjects = set(images.people.images) - set(options.leave_out)
    if options.fold_3_only:
        subjects = {name for name in subjects if fold_of(name) == FOLD}
        source += ", people of fold 3"
    sizes = [SmearSize.parse(text) for text in options.sizes]
    sets = embed_media_images(
        images,
        embedder,
        subjects=subjects,
        largest=SmearSize(
            num_enrolled=max(size.num_enrolled for size in sizes),
            num_probe=max(size.num_probe for size in sizes),
        ),
        num_draws=MEDIA_DRAWS,
        cache=options.work,
        source=source,
        progress=told("media"),
    )
    report([sets], embedder, options.sizes, options.output)


def compare_gallery(options: argparse.Namespace) -> None:
    """Photos apart, the first draw: a real gallery beside the arrays, at the threshold for FPIR .01."""
    embedder = judged_embedder(options.embedder)
    layouts = embed_degraded(
        read_people(options.images), embedder, num_draws=DEGRADED_DRAWS, cache=options.work
    )
    sets, size = layouts["apart"], SmearSize.parse(options.size)
    fuser = load_fuser(options.fuser, embedder=embedder.fingerprint, num_threads=1)
    searches = pooled_searches(sets, FusedRule(name=fuser.name, fuser=fuser), size)
    (point,) = thresholds_at_far(searches.non_mated, 0.01)
    with TemporaryDirectory() as folder:
        found = compare_with_gallery(
            sets, fuser, size, threshold=point.threshold, folder=Path(folder)
        )
    for name, value in asdict(found).items():
        print(f"{name}: {value}")


def narrow_faces(images: MediaImages, options: argparse.Namespace) -> MediaImages:
    """The images whose face is known to be less wide than asked for."""
    images = images.with_faces(open_face_table(options.faces, options.images))
    wide = [
        name
        for names in images.people.images.values()
        for name, width in zip(names, images.widths(names), strict=True)
        if not width < options.below_px
    ]
    return images.without(wide, "the face is not narrow")


def judged_embedder(model: str) -> JudgedEmbedder:
    """The embedder, whose sets carry the quality that the universal fuser asks for."""
    return JudgedEmbedder(load_embedder(model, num_threads=1), CropQuality(num_threads=1))


def rules_for(embedder: Embedder) -> list[TemplateRule]:
    """All rules, the reference first."""
    fused = [
        FusedRule(name=name, fuser=load_fuser(name, embedder=embedder.fingerprint, num_threads=1))
        for name in FUSERS
    ]
    return [
        *fused,
        TrimmedRule(),
        TrimmedRule(name="trimmed mean, unit length", is_unit=True),
        MaximumRule(),
        MaximumRule(name="maximum over samples, mean over the probe", over_probe="mean"),
    ]


def report(
    layouts: list[SmearSets], embedder: Embedder, sizes: tuple[str, ...] | list[str], folder: Path
) -> None:
    """Measures all rules and writes the report."""
    plan = SmearPlan(sizes=tuple(SmearSize.parse(text) for text in sizes))
    rules = rules_for(embedder)
    facts: dict[str, object] = {
        "fusers": {
            rule.name: rule.fuser.fingerprint for rule in rules if isinstance(rule, FusedRule)
        }
    }
    parts = []
    for sets in layouts:
        points = measure_rules(sets, rules, plan, progress=lambda name: print(name, flush=True))
        parts.append(content_of(sets, points, compare_rules(points, plan), plan, facts))
    print(write_report(folder, parts))


def told(what: str) -> Callable[[int], None]:
    """Prints how many images are done, now and then."""

    def tell(done: int) -> None:
        if done % 512 == 0:
            print(f"{what}: {done} images", flush=True)

    return tell


if __name__ == "__main__":
    main()
