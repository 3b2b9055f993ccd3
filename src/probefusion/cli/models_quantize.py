"""`probefusion models quantize`: the 8-bit form of an embedder."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.options import add_preprocessing_option, add_trust_option, positive
from probefusion.cli.pipeline_options import embedder_settings, report_skipped

if TYPE_CHECKING:
    from probefusion.zoo.quantize import Quantization

__all__ = ["add_parser", "run"]


def add_parser(actions: Any) -> None:
    """Declares the command."""
    parser = actions.add_parser(
        "quantize",
        help="make the 8-bit form of an embedder, faster on processors",
        description="Writes the 8-bit form of an ONNX face network, calibrated on aligned crops, and its "
        "description beside it. Other crops, as given and degraded, say whether its embeddings are still "
        "those of the original; if not, nothing is written. They go with the same fusers and may be mixed.",
    )
    parser.add_argument("model", metavar="MODEL", help="ONNX file, or a known model's name")
    parser.add_argument(
        "--images",
        required=True,
        action="append",
        metavar="DIR|ZIP",
        help="aligned crops, good and bad, as they will come; may be given again",
    )
    parser.add_argument(
        "--num-images",
        type=positive,
        default=512,
        metavar="N",
        help="take so many of them, evenly (default 512): one half calibrates, one compares",
    )
    parser.add_argument(
        "--weight-bits",
        type=int,
        choices=(7, 8),
        default=7,
        help="8 is closer to the original, for processors with VNNI only (default 7)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE.onnx")
    add_preprocessing_option(parser)
    parser.add_argument(
        "--threads",
        type=positive,
        metavar="N",
        help="threads to compare and time with; calibrating takes all cores",
    )
    add_trust_option(parser)
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--force", action="store_true", help="replace existing output files")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Quantises and tells how both forms compare; 3 if images were skipped."""
    from probefusion.faces.images import list_images, read_crops
    from probefusion.pipeline.alignment_check import check_data_aligned
    from probefusion.zoo import resolve_embedder
    from probefusion.zoo.quantize import check_targets, quantize_embedder

    settings = embedder_settings(options)
    path, spec = resolve_embedder(options.model, settings=settings)
    check_targets(options.output, path, force=options.force)
    sources, skipped = list_images(options.images)
    crops, unread = read_crops(sources, count=options.num_images, size=spec.input_size)
    skipped += unread
    report_skipped(skipped)
    check_data_aligned(
        list(crops),
        lambda crop: crop,
        name="--images",
        input_size=spec.input_size,
        is_trusted=options.trust_alignment,
    )
    result = quantize_embedder(
        options.model,
        options.output,
        crops,
        weight_bits=options.weight_bits,
        settings=settings,
        num_threads=options.threads,
        force=options.force,
    )
    if options.json:
        facts = {"output": options.output, **asdict(result)}
        print(json.dumps({**facts, "skipped": [vars(image) for image in skipped]}, indent=2))
    else:
        _print(options.output, result)
    if result.times_faster < 1:
        print("warning: it is slower than the original here; keep the original", file=sys.stderr)
    return 3 if skipped else 0


def _print(output: str, result: Quantization) -> None:
    sizes = f"{result.num_bytes / 1e6:.1f} MB (original {result.num_bytes_before / 1e6:.1f})"
    print(f"{output}: {sizes}, {result.times_faster:.2f} times as fast as the original here")
    style = "" if result.style_error is None else f", style off by {result.style_error:.2f} spreads"
    print(
        f"on {result.num_compared} images it was not calibrated with, half of them degraded: cosine to the "
        f"original {result.median_cosine:.4f} (lowest percentile {result.low_cosine:.4f}), length "
        f"{result.length_ratio:.3f} +- {result.length_spread:.3f}{style}"
    )
    print(f"stands for {result.embedder}: use it with --embedder {output} and the same fusers")
