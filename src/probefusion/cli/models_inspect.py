"""`probefusion models inspect`: what an unknown face network is and wants."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from probefusion.cli.options import add_preprocessing_option, positive
from probefusion.cli.pipeline_options import embedder_settings, report_skipped

if TYPE_CHECKING:
    from probefusion.zoo.inspect import ModelInspection

__all__ = ["add_parser", "run"]


def add_parser(actions: Any) -> None:
    """Declares the command."""
    parser = actions.add_parser(
        "inspect",
        help="find out what an unknown ONNX face network is, and keep it by name",
        description="Finds input size, batch, dimension and style taps of an ONNX face network. With a "
        "few aligned faces of different people it also guesses channel order and scaling, and says how "
        "sure it is.",
    )
    parser.add_argument("model", metavar="MODEL.onnx")
    parser.add_argument(
        "--faces",
        metavar="DIR|ZIP",
        help="aligned 112x112 crops of at least 8 people, for the guess",
    )
    add_preprocessing_option(parser)
    parser.add_argument(
        "--dim", type=positive, metavar="D", help="where several outputs could be it"
    )
    parser.add_argument("--threads", type=positive, metavar="N", help="threads to use")
    parser.add_argument("--save", metavar="NAME", help="keep it under this name, with its settings")
    parser.add_argument("--licence", default="unknown", help="licence of the weights, kept with it")
    parser.add_argument("--json", action="store_true", help="print the result as JSON")
    parser.add_argument("--force", action="store_true", help="replace an entry of your own")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Inspects, tells, and stores if asked to; 3 if faces were skipped."""
    from probefusion.zoo.inspect import gather_faces, inspect_model, save_inspection

    crops, skipped = gather_faces(options.faces) if options.faces else (None, [])
    inspection = inspect_model(
        options.model,
        crops=crops,
        dim=options.dim,
        norm_output=options.norm_output,
        num_threads=options.threads,
    )
    entry = None
    if options.save is not None:
        settings: dict[str, Any] = dict(embedder_settings(options))
        if options.dim is not None:
            settings["dim"] = options.dim
        entry = save_inspection(
            inspection,
            options.save,
            settings=settings,
            licence=options.licence,
            force=options.force,
        )
    if options.json:
        print(json.dumps(_facts(inspection, options.save), indent=2))
    else:
        _print(inspection)
        if entry is not None:
            print(f"kept as {entry.name!r}: use it with --embedder {entry.name}")
    report_skipped(skipped)
    return 3 if skipped else 0


def _facts(inspection: ModelInspection, saved: str | None) -> dict[str, Any]:
    guess = inspection.guess
    return {
        "path": str(inspection.path),
        **asdict(inspection.facts),
        "tap_shapes": {name: list(shape) for name, shape in inspection.tap_shapes.items()},
        "network": {**asdict(inspection.network), "doubts": list(inspection.network.doubts)},
        "form_of": inspection.form_of,
        "known_as": None if inspection.known is None else inspection.known.name,
        "guess": None
        if guess is None
        else {
            **guess.best.settings,
            "scaling": guess.best.scaling,
            "confidence": guess.confidence,
            "scaling_agreement": guess.scaling_agreement,
            "order_agreement": guess.order_agreement,
            "num_faces": guess.num_faces,
            "num_people": guess.num_people,
            "gain_elsewhere": guess.gain_elsewhere,
            "doubts": list(guess.doubts),
            "near_equals": [asdict(feeding) for feeding in guess.near_equals],
            "norm_is_quality": guess.norm_is_quality,
            "norm_falls": guess.norm_falls,
            "tried": [asdict(feeding) for feeding in guess.feedings],
        },
        "saved_as": saved,
    }


def _print(inspection: ModelInspection) -> None:
    facts, guess = inspection.facts, inspection.guess
    size = f"{facts.input_size} pixels" if facts.input_size else "any size (112 is taken)"
    layout = "(N, H, W, 3)" if facts.channels_last else "(N, 3, H, W)"
    batch = "any" if facts.fixed_batch is None else f"{facts.fixed_batch} (freed when it is run)"
    dims = " or ".join(map(str, facts.dims)) or "none that could be an embedding"
    print(f"{inspection.path}: sha256 {facts.sha256}")
    if inspection.known is not None:
        known = inspection.known
        print(f"known as: {known.name}, {known.kind} ({known.licence})")
    if inspection.form_of is not None:
        print(f"8-bit form of {inspection.form_of}; its description is the .json file made with it")
    print(f"input: {facts.input_name} {layout}, {size}; batch: {batch}; opset {facts.opset}")
    print(f"embedding: {dims}; outputs: {facts.outputs}")
    _print_norm(inspection)
    for doubt in inspection.network.doubts:
        print(f"fault: {doubt}; export it again after model.eval()")
    if inspection.tap_shapes:
        taps = ", ".join(f"{name} {shape}" for name, shape in inspection.tap_shapes.items())
        print(f"style taps: {taps}")
    else:
        print("style taps: none found (no maps at a quarter and an eighth of the input size)")
    if guess is None:
        print("channel order and scaling: not tried; give aligned faces with --faces DIR")
        return
    best = guess.best
    print(f"channel order and scaling: {best.channel_order}, {best.scaling} ({guess.confidence}: of "
          f"1000 resamples of {guess.num_faces} faces of {guess.num_people} people "
          f"{guess.scaling_agreement:.1%} prefer this scaling, {guess.order_agreement:.1%} this order)")  # fmt: skip
    for doubt in guess.doubts:
        print(f"unsure because {doubt}")
    if guess.near_equals:
        names = "; ".join(f"{other.channel_order} {other.scaling}" for other in guess.near_equals)
        print(f"as good within a trifle: {names}")
    for feeding in guess.feedings:
        print(f"  {feeding.channel_order} {feeding.scaling}: gap {feeding.gap:.3f}")
    if guess.norm_falls is None:
        print("norm: the network gives unit vectors; their lengths are lost")
    else:
        tells = {
            True: "tells quality",
            False: "is no sign of quality",
            None: "is not a clear sign",
        }[guess.norm_is_quality]
        print(f"norm: {tells} (shorter for {guess.norm_falls:.1%} of degraded copies)")


def _print_norm(inspection: ModelInspection) -> None:
    facts = inspection.facts
    if facts.norm_output is not None:
        print(
            f"norm output: {facts.norm_output}, the length of the embedding, which is multiplied in"
        )
    elif facts.norm_candidates:
        names = ", ".join(facts.norm_candidates)
        print(
            f"norm output: perhaps {names} (one number an image; the embedding is of length 1). If it is the "
            f"length, say so: --norm-output {facts.norm_candidates[0]}"
        )
