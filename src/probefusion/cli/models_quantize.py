"""`probefusion models quantize`: the 8-bit form of an embedder."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.inputs import embedder_settings, report_skipped
from probefusion.cli.options import add_preprocessing_option, positive

if TYPE_CHECKING:
    from probefusion.models.quantize import Quantization

__all__ = ["add_parser", "run"]


def add_parser(actions: Any) -> None:
    """Declares the command."""
    parser = actions.add_parser(
        "quantize",
        help="make the 8-bit form of an embedder, faster on processors",
        description="Writes the 8-bit form of an ONNX face network, calibrated on aligned crops, and its "
        "description beside it. Other crops say whether its embeddings are still those of the original; "
        "if not, nothing is written. They go with the same fusers and may be mixed.",
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
        help="take so many of them, evenly (default 512); one half calibrates, one compares",
    )
    parser.add_argument("-o", "--output", required=True, metavar="FILE.onnx")
    add_preprocessing_option(parser)
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--force", action="store_true", help="replace existing output files")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Quantises and tells how both forms compare; 3 if images were skipped."""
    from probefusion.faces.images import list_images, read_crops
    from probefusion.models import resolve_embedder
    from probefusion.models.quantize import quantize_embedder

    settings = embedder_settings(options)
    sources, skipped = list_images(options.images)
    _, spec = resolve_embedder(options.model, settings=settings)
    crops, unread = read_crops(sources, count=options.num_images, size=spec.input_size)
    result = quantize_embedder(
        options.model,
        options.output,
        crops,
        settings=settings,
        num_threads=options.threads,
        force=options.force,
    )
    if options.json:
        print(json.dumps({"output": options.output, **asdict(result)}, indent=2))
    else:
        _print(options.output, result)
    skipped += unread
    report_skipped(skipped)
    return 3 if skipped else 0


def _print(output: str, result: Quantization) -> None:
    sizes = f"{result.num_bytes / 1e6:.1f} MB (original {result.num_bytes_before / 1e6:.1f})"
    print(f"{output}: {sizes}, {result.times_faster:.2f} times as fast as the original here")
    style = "" if result.style_deviation is None else f", style {result.style_deviation:.1%} off"
    print(
        f"on {result.num_compared} images it was not calibrated with: cosine to the original "
        f"{result.median_cosine:.4f} (lowest percentile {result.low_cosine:.4f}), length "
        f"{result.length_ratio:.3f} +- {result.length_spread:.3f}{style}"
    )
    print(f"stands for {result.embedder}: use it with --embedder {output} and the same fusers")
