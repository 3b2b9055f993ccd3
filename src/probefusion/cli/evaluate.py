"""`probefusion evaluate`: fusers on a protocol, a report out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

from probefusion.cli.inputs import embedder_settings, report_skipped
from probefusion.cli.options import (
    add_output_options,
    add_preprocessing_option,
    number_list,
    positive,
)

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "evaluate",
        help="evaluate fusers on a protocol and write a report",
        description="Embeds gallery and probes once, fuses them with every fuser named, and writes "
        "report.json, report.md and report.html. The first fuser is the reference of the others.",
    )
    parser.add_argument("protocol", choices=("degraded-folder",))
    parser.add_argument(
        "--data", required=True, metavar="DIR|ZIP", help="aligned 112x112 crops, folder per person"
    )
    parser.add_argument("--embedder", required=True, metavar="MODEL", help="ONNX model, or a name")
    add_preprocessing_option(parser)
    parser.add_argument(
        "--fuser",
        action="append",
        metavar="NAME|DIR",
        help="may be given several times (default: mean, norm-weighted)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="DIR")
    parser.add_argument("--mix", choices=("hard", "mixed", "clean"), default="hard")
    parser.add_argument(
        "--folds",
        type=number_list,
        default=(3,),
        metavar="LIST",
        help="people to test on (default 3)",
    )
    parser.add_argument(
        "--sizes", type=number_list, default=(1, 2, 4, 8, 16, 32, 64), metavar="LIST"
    )
    parser.add_argument("--num-sets", type=positive, default=4, metavar="N", help="per person")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--replicates", type=positive, default=1000, metavar="N")
    parser.add_argument(
        "--cache",
        metavar="DIR",
        help="where embeddings are kept (default: OUTPUT.work); an interrupted run goes on from there",
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    add_output_options(parser)
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Evaluates and writes the report; 3 if images of the data were skipped."""
    from probefusion.checks import check_output
    from probefusion.cli.progress import progress_bar
    from probefusion.evaluation.assessment import AssessmentPlan, assess, check_fusers
    from probefusion.evaluation.embed_protocol import embed_protocol
    from probefusion.evaluation.report import report_facts, write_report
    from probefusion.fusion import load_fuser
    from probefusion.models import load_embedder
    from probefusion.protocols import DegradedFolderProtocol, read_people

    if Path(options.output).is_dir():
        check_output(Path(options.output) / "report.json", force=options.force)
    else:
        check_output(options.output, force=options.force)
    people = read_people(options.data)
    protocol = DegradedFolderProtocol(
        people=people,
        folds=options.folds,
        mix=options.mix,
        set_sizes=options.sizes,
        num_sets=options.num_sets,
        seed=options.seed,
    )
    names = options.fuser or ["mean", "norm-weighted"]
    fusers = [load_fuser(name, num_threads=options.threads) for name in names]
    embedder = load_embedder(
        options.embedder, settings=embedder_settings(options), num_threads=options.threads
    )
    plan = AssessmentPlan(
        set_sizes=options.sizes, num_replicates=options.replicates, seed=options.seed
    )
    check_fusers(fusers, embedder.fingerprint)
    with progress_bar("embedding", unit="images") as embedding:
        data = embed_protocol(
            protocol,
            embedder,
            num_images=max(options.sizes),
            cache=options.cache or f"{options.output}.work",
            progress=embedding,
        )
    with progress_bar("scoring", unit="fusers x sizes") as scoring:
        assessment = assess(data, fusers, plan, progress=scoring)
    facts = {
        "protocol": protocol.definition(),
        "content": data.protocol,
        "embedder": embedder.fingerprint,
        "fusers": [fuser.fingerprint for fuser in fusers],
    }
    title = f"{options.protocol}, mix {options.mix!r}, {embedder.spec.name}"
    write_report(assessment, options.output, title=title, facts=facts, force=options.force)
    if options.json:
        print(json.dumps(report_facts(assessment, facts), indent=2, allow_nan=False))
    else:
        print(f"report: {Path(options.output) / 'report.html'}")
    report_skipped(people.skipped)
    sys.stderr.flush()
    return 3 if people.skipped else 0
