"""`probefusion evaluate`: fusers on a protocol, a report out."""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from probefusion.cli.inputs import load_chosen_embedder, report_skipped
from probefusion.cli.options import (
    add_embedder_option,
    add_output_options,
    number_list,
    positive,
)

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.fusion import Fuser

__all__ = ["add_parser", "run"]

_PROTOCOLS = ("degraded-folder", "ijbb", "ijbc", "ijbs", "tinyface", "ytf")


def add_parser(commands: Any) -> None:
    """Declares the command."""
    command = parser = commands.add_parser(
        "evaluate",
        help="evaluate fusers on a protocol and write a report",
        description="Embeds gallery and probes once, fuses them with every fuser named, and writes "
        "report.json, report.md and report.html. The first fuser is the reference of the others. "
        "degraded-folder works on any folder of aligned crops; ijbb, ijbc, ijbs, tinyface and ytf need "
        "your own licensed copy.",
    )
    parser.add_argument("protocol", choices=_PROTOCOLS)
    parser.add_argument(
        "--data",
        required=True,
        metavar="DIR|ZIP",
        help="folder (or zip) of aligned 112x112 crops, one folder per person; or the benchmark's folder",
    )
    add_embedder_option(parser)
    parser.add_argument(
        "--fuser",
        action="append",
        metavar="NAME|DIR",
        help="may be given several times (default: mean, norm-weighted)",
    )
    parser.add_argument("-o", "--output", required=True, metavar="DIR")
    licensed = parser.add_argument_group("ijbb, ijbc, ijbs, tinyface, ytf")
    licensed.add_argument(
        "--chunks",
        type=number_list,
        default=(),
        metavar="LIST",
        help="fuse this many images at a time too, as 4,8,32,64,128,256 in the official table",
    )
    licensed.add_argument("--images", metavar="DIR", help="face crops of ijbs")
    licensed.add_argument("--detector", metavar="MODEL", help="YuNet, for tinyface and ytf")
    licensed.add_argument(
        "--any-counts", action="store_true", help="accept copies of other than the published size"
    )
    parser = parser.add_argument_group("degraded-folder")
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
    parser = command
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
    from probefusion.embedders import CropQuality, JudgedEmbedder
    from probefusion.fusion.universal import UniversalFuser
    from probefusion.zoo import load_fuser

    if Path(options.output).is_dir():
        check_output(Path(options.output) / "report.json", force=options.force)
    else:
        check_output(options.output, force=options.force)
    names = options.fuser or ["mean", "norm-weighted"]
    embedder: Embedder = load_chosen_embedder(options)
    fusers = [
        load_fuser(name, num_threads=options.threads, embedder=embedder.fingerprint)
        for name in names
    ]
    if any(isinstance(fuser, UniversalFuser) for fuser in fusers):
        embedder = JudgedEmbedder(embedder, CropQuality(num_threads=options.threads))
    evaluate = _degraded_folder if options.protocol == "degraded-folder" else _licensed
    return evaluate(options, fusers, embedder)


def _degraded_folder(options: argparse.Namespace, fusers: list[Fuser], embedder: Embedder) -> int:
    from probefusion.cli.progress import progress_bar
    from probefusion.evaluation.degraded_folder import FolderPlan, check_fusers, evaluate_folder
    from probefusion.evaluation.embed_protocol import embed_protocol
    from probefusion.protocols import DegradedFolderProtocol, read_people
    from probefusion.reports.degraded_folder import report_facts, write_report

    people = read_people(options.data)
    protocol = DegradedFolderProtocol(
        people=people,
        folds=options.folds,
        mix=options.mix,
        set_sizes=options.sizes,
        num_sets=options.num_sets,
        seed=options.seed,
    )
    plan = FolderPlan(set_sizes=options.sizes, num_replicates=options.replicates, seed=options.seed)
    check_fusers(fusers, embedder.fingerprint)
    with progress_bar("embedding", unit="images") as embedding:
        data = embed_protocol(
            protocol,
            embedder,
            num_images=max(options.sizes),
            cache=_cache(options),
            progress=embedding,
        )
    with progress_bar("scoring", unit="fusers x sizes") as scoring:
        assessment = evaluate_folder(data, fusers, plan, progress=scoring)
    facts = {
        "protocol": protocol.definition(),
        "content": data.protocol,
        "embedder": embedder.fingerprint,
        "embedder_form": embedder.own_fingerprint,
        "fusers": [fuser.fingerprint for fuser in fusers],
    }
    title = f"{options.protocol}, mix {options.mix!r}, {embedder.spec.name}"
    write_report(assessment, options.output, title=title, facts=facts, force=options.force)
    _tell(options, report_facts(assessment, facts))
    report_skipped(people.skipped)
    return 3 if people.skipped else 0


def _licensed(options: argparse.Namespace, fusers: list[Fuser], embedder: Embedder) -> int:
    from probefusion.cli.progress import progress_bar
    from probefusion.evaluation.licensed import embed_rows, evaluate_benchmark
    from probefusion.evaluation.scoring import check_fusers
    from probefusion.protocols.licensed import open_benchmark
    from probefusion.reports.licensed import benchmark_report_facts, write_benchmark_report
    from probefusion.zoo import load_detector

    check_fusers(fusers, embedder.fingerprint)
    protocol = open_benchmark(
        options.protocol,
        options.data,
        images=options.images,
        detector=None if options.detector is None else load_detector(options.detector),
        check_counts=not options.any_counts,
    )
    with progress_bar("embedding", unit="images") as embedding:
        rows = embed_rows(protocol, embedder, cache=_cache(options), progress=embedding)
    with progress_bar("scoring", unit="fusers x chunks") as scoring:
        results = evaluate_benchmark(
            protocol, rows, fusers, chunks=(None, *options.chunks), progress=scoring
        )
    faceless = [
        name for name, place in zip(protocol.row_names, rows.position, strict=True) if place < 0
    ]
    facts = {
        "protocol": protocol.name,
        **protocol.facts,
        "images_without_a_face": len(faceless),
        "embedder": embedder.fingerprint,
        "embedder_form": embedder.own_fingerprint,
        "fusers": [fuser.fingerprint for fuser in fusers],
    }
    title = f"{protocol.name}, {embedder.spec.name}"
    write_benchmark_report(results, options.output, title=title, facts=facts, force=options.force)
    _tell(options, benchmark_report_facts(results, facts))
    if faceless:
        print(f"no face found in {len(faceless)} images:", file=sys.stderr)
        for name in faceless:
            print(f"  {name}", file=sys.stderr)
    return 3 if faceless else 0


def _cache(options: argparse.Namespace) -> str:
    return options.cache or f"{options.output}.work"


def _tell(options: argparse.Namespace, content: dict[str, Any]) -> None:
    if options.json:
        print(json.dumps(content, indent=2, allow_nan=False))
    else:
        print(f"report: {Path(options.output) / 'report.html'}")
