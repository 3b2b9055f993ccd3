"""`probefusion calibrate`: thresholds for a fuser from embedded people it was not trained on."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any

from probefusion.cli.inputs import load_chosen_embedder, report_skipped
from probefusion.cli.options import (
    add_embedder_option,
    add_output_options,
    number_list,
    positive,
)

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "calibrate",
        help="store decision thresholds with a fuser",
        description="Measures similarities of different people on the degraded-folder protocol and "
        "stores thresholds at false match rates 1e-2 to 1e-5, per set size, in the fuser's card. "
        "Rates that the comparisons cannot resolve are left out. Use people the fuser has not seen.",
    )
    parser.add_argument("fuser", metavar="FUSER_DIR")
    parser.add_argument("--data", required=True, metavar="DIR|ZIP")
    add_embedder_option(parser)
    parser.add_argument("--mix", choices=("hard", "mixed", "clean"), default="hard")
    parser.add_argument("--folds", type=number_list, default=(3,), metavar="LIST")
    parser.add_argument("--sizes", type=number_list, default=(1, 2, 4, 8, 16, 32), metavar="LIST")
    parser.add_argument("--num-sets", type=positive, default=4, metavar="N", help="per person")
    parser.add_argument("--cache", metavar="DIR", help="where embeddings are kept")
    parser.add_argument("--threads", type=positive, metavar="N")
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Calibrates and rewrites the card; 3 if images of the data were skipped."""
    from dataclasses import asdict

    from probefusion.cli.progress import progress_bar
    from probefusion.errors import EmbedderMismatchError, InvalidInputError, OutputExistsError
    from probefusion.evaluation.embed_protocol import embed_protocol
    from probefusion.evaluation.sweep import calibrate
    from probefusion.fusion.folder import with_thresholds
    from probefusion.fusion.learned import open_fuser
    from probefusion.protocols import DegradedFolderProtocol, read_people

    fuser = open_fuser(options.fuser, num_threads=options.threads)
    if fuser.card.thresholds and not options.force:
        raise OutputExistsError(
            f"{options.fuser}: carries {len(fuser.card.thresholds)} thresholds. Use --force to replace them."
        )
    people = read_people(options.data)
    protocol = DegradedFolderProtocol(
        people=people,
        folds=options.folds,
        mix=options.mix,
        set_sizes=options.sizes,
        num_sets=options.num_sets,
    )
    embedder = load_chosen_embedder(options)
    if fuser.embedder not in (None, embedder.fingerprint):
        raise EmbedderMismatchError(
            f"--embedder: fuser {fuser.name!r} was trained for {fuser.embedder}, got "
            f"{embedder.fingerprint}. Calibrate with that model: --embedder "
            f"{fuser.embedder.partition('@')[0]} (its name or its file)"
        )
    seen = set(options.folds) & set(fuser.card.training.get("train_folds", ()))
    if seen:
        print(
            f"warning: the fuser was trained on folds {sorted(seen)} of its own data; if these are the "
            f"same people, the thresholds will be too low",
            file=sys.stderr,
        )
    with progress_bar("embedding", unit="images") as progress:
        data = embed_protocol(
            protocol,
            embedder,
            num_images=max(options.sizes),
            cache=options.cache,
            progress=progress,
        )
    thresholds = calibrate(
        data,
        fuser,
        set_sizes=options.sizes,
        false_match_rates=(1e-2, 1e-3, 1e-4, 1e-5),
        source=f"{data.protocol}, {len(protocol.probe_subjects)} people, {embedder.own_fingerprint}",
    )
    if not thresholds:
        raise InvalidInputError(
            f"--data: {data.gallery.num_images} people and {len(data.probe_subjects)} probe sets resolve "
            f"no false match rate down from 0.01. Give more people or more --num-sets; the card is kept."
        )
    with_thresholds(options.fuser, thresholds)
    if options.json:
        print(json.dumps([asdict(threshold) for threshold in thresholds], indent=2))
    else:
        for found in thresholds:
            print(
                f"N={found.num_images}: similarity {found.similarity:.4f} at FMR "
                f"{found.false_match_rate:g} ({found.num_non_mated} comparisons)"
            )
    report_skipped(people.skipped)
    return 3 if people.skipped else 0
