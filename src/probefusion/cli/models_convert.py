"""`probefusion models convert`: a checkpoint of others in, an embedder and a fuser out."""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from probefusion.zoo import KnownModel

__all__ = ["add_parser", "run", "show_licence"]


def add_parser(actions: Any) -> None:
    """Declares the command."""
    parser = actions.add_parser(
        "convert",
        help="turn a CAFace, AdaFace, ArcFace, MagFace or CVLface checkpoint into ONNX",
        description="Turns a checkpoint into a folder with embedder.onnx, its description, and, for a "
        "CAFace checkpoint, a fuser folder and the class centres. Nothing in the file is executed.",
    )
    parser.add_argument("checkpoint", metavar="FILE|NAME", help="a checkpoint, or a known model")
    parser.add_argument(
        "-o",
        "--output",
        metavar="DIR",
        help="folder to make; for a known model by default its place in the models folder",
    )
    parser.add_argument("--name", help="name of the embedder (default: that of the file)")
    parser.add_argument(
        "--channel-order",
        choices=("RGB", "BGR"),
        help="order the weights were trained on, for CVLface files without their settings",
    )
    parser.add_argument(
        "--preprocessing",
        choices=("arcface", "magface"),
        help="how the network is fed: (x/255 - .5)/.5, or MagFace's x/255 in BGR; known of files with MagFace's "
        "own keys, to be said of renamed ones",
    )
    parser.add_argument("--licence", default=None, help="licence of the weights, kept with them")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--force", action="store_true", help="replace an earlier conversion")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Converts and tells what was found."""
    from probefusion.errors import ConfigError
    from probefusion.extras import import_extra
    from probefusion.zoo import find_entry, known_models, models_folder, pull_model

    import_extra("torch", extra="train", purpose="converting checkpoints")
    from probefusion.training.convert.conversion import convert_checkpoint

    given, folder = options.checkpoint, options.output
    licence, name, order = options.licence, options.name, options.channel_order
    if given in known_models() and not Path(given).is_file():
        entry = find_entry(given)
        if entry.format != "checkpoint":
            raise ConfigError(f"model {given!r} is no checkpoint: it is used as it is.")
        path = pull_model(given, notice=show_licence)[0].path
        if folder is None:
            folder = models_folder() / entry.name
            folder.parent.mkdir(parents=True, exist_ok=True)
        licence, name = licence or entry.licence, name or entry.name
        order = order or _trained_on(entry.settings)
    else:
        path = Path(given)
    if folder is None:
        raise ConfigError("-o: expected the folder to make, got none. Give -o DIR.")
    report = convert_checkpoint(
        path,
        folder,
        name=name,
        channel_order=order,
        preprocessing=options.preprocessing,
        licence=licence or "unspecified",
        force=options.force,
        progress=lambda step: print(step, file=sys.stderr, flush=True),
    )
    if options.json:
        print(json.dumps({"output": str(folder), **asdict(report)}, indent=2))
        return 0
    keys = ", ".join(f"{count} {what}" for what, count in report.keys.items() if count)
    print(
        f"{report.source}: {report.layout}, {report.network}, fed as {report.preprocessing}; keys: {keys}"
    )
    print(f"embedder: {Path(folder) / 'embedder.onnx'} ({report.embedder}), style from "
          f"{', '.join(report.style_taps)}, deviation {report.deviation:.1e}")  # fmt: skip
    if report.fuser is not None and report.fuser_config is not None:
        weights = "dimension" if report.fuser_config["per_dimension_weights"] else "cluster"
        print(f"fuser: {Path(folder) / 'fuser'} ({report.fuser_config['num_clusters']} clusters, "
              f"{report.fuser_config['depth']} blocks, one weight per {weights})")  # fmt: skip
    if report.num_classes is not None:
        print(f"class centres: {Path(folder) / 'class_centres.npy'} ({report.num_classes})")
    return 0


def _trained_on(settings: Any) -> str | None:
    """The manifest says what the exported network takes; for IR networks that is what they know."""
    order = settings.get("channel_order")
    return None if order is None else str(order)


def show_licence(entry: KnownModel) -> None:
    """Tells on standard error what is about to be fetched, and on which terms."""
    size = "" if entry.size is None else f", {entry.size / 1e6:.1f} MB"
    terms = f"licence: {entry.licence}"
    if entry.non_commercial:
        terms = f"NOT FOR COMMERCIAL USE. {terms}"
    print(f"{entry.name} ({entry.origin}{size}): {terms}", file=sys.stderr)
