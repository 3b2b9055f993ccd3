"""`probefusion fuse`: embeddings or images of one person in, a template out."""

from __future__ import annotations

import argparse
import json
from typing import Any

from probefusion.cli.inputs import choose_fuser, load_images, report_skipped
from probefusion.cli.options import add_embedding_options, add_fuser_option, add_output_options

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "fuse",
        help="fuse all images of one person into one template",
        description="Fuses embedding files, images, folders or saved states of one person into one "
        "template. Several embedding files and states are merged in the order given.",
    )
    parser.add_argument(
        "paths",
        nargs="+",
        metavar="INPUT",
        help=".npy, .npz, .csv, .h5, .parquet embeddings, images, folders, .safetensors states",
    )
    parser.add_argument("-o", "--output", metavar="TEMPLATE.npz", help="where to save the template")
    parser.add_argument(
        "--state", metavar="FILE.safetensors", help="also save the state, to add images later"
    )
    add_fuser_option(parser)
    add_embedding_options(parser)
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Fuses and saves; 3 if images were skipped."""
    from probefusion.checks import check_output
    from probefusion.errors import ConfigError, UnknownNameError
    from probefusion.fusion import FusionState, load_fuser

    if options.output is None and options.state is None and not options.json:
        raise ConfigError(
            "output: expected at least one of -o TEMPLATE.npz, --state FILE, --json; got none."
        )
    if options.output is not None and options.output == options.state:
        raise ConfigError(f"-o, --state: expected two files, got {options.output} for both.")
    for output in (options.output, options.state):
        if output is not None:
            check_output(output, force=options.force)
    stored = [path for path in options.paths if path.lower().endswith(".safetensors")]
    states = [FusionState.load(path) for path in stored]
    loaded = load_images([path for path in options.paths if path not in stored], options)
    if options.fuser == "auto" and states:
        try:
            fuser = load_fuser(states[0].fuser.split("@")[0], num_threads=options.threads)
        except UnknownNameError as error:
            raise ConfigError(
                f"--fuser: the state was made by {states[0].fuser}, which is not in the package. "
                f"Give its folder: --fuser DIR"
            ) from error
    elif loaded.sets:
        fuser = choose_fuser(options, loaded.sets)
    else:
        fuser = load_fuser(options.fuser, num_threads=options.threads)
    if len(loaded.sets) == 1 and not states and options.state is None:
        template = fuser.fuse(loaded.sets[0], chunk_size=options.chunk)
    else:
        for images in loaded.sets:
            states += [fuser.encode(part) for part in images.chunks(options.chunk or len(images))]
        state = states[0]
        for other in states[1:]:
            state = state + other
        template = fuser.finish(state)
        if options.state is not None:
            state.save(options.state, force=options.force)
    if options.output is not None:
        template.save(options.output, force=options.force)
    if options.json:
        sources = None if template.weights is None else loaded.sets[0].sources
        facts = {
            "output": options.output,
            "state": options.state,
            "num_images": template.num_images,
            "dim": template.dim,
            "fuser": template.fuser,
            "embedder": template.embedder,
            "template": [float(value) for value in template.vector],
            "weights": None
            if template.weights is None
            else [float(value) for value in template.weights],
            "sources": None if sources is None else sources.tolist(),
            "skipped": [{"source": i.source, "reason": i.reason} for i in loaded.skipped],
        }
        print(json.dumps(facts, indent=2))
    else:
        print(
            f"{options.output or options.state}: {template.num_images} images fused by "
            f"{template.fuser}, {template.dim} dimensions"
        )
    report_skipped(loaded.skipped)
    return 3 if loaded.skipped else 0
