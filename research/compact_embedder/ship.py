"""Writes the embedder of the package from a state of research/compact_embedder/distill.py: network, card, pages.

    python -m research.compact_embedder.ship WORK/state.pt --images lfw112.zip \
        --teacher mobilefacenet_128d.onnx -o src/probefusion/zoo/weights/NAME.rN

Exports, measures the exported file on fold 3, which it was not trained on, beside its teacher, and
writes compact_128d.onnx, embedder.json and MODEL_CARD.md, and the blocks about it in the pages. Its 8-bit
form, where there is to be one, is quantised and told by research/compact_embedder/eight_bits.py after that.
"""

from __future__ import annotations

import argparse
import datetime
import json
import math
import platform
import subprocess
import time
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx

from probefusion.degradations.degrade import degrade
from probefusion.embedders.embedder import OnnxEmbedder
from probefusion.embedders.spec import EmbedderSpec
from probefusion.faces.images import read_crop
from probefusion.files import replace_file, sha256_of
from probefusion.files.hashed_json import hashed_json
from probefusion.metrics import tar_at_far
from probefusion.protocols import read_people
from probefusion.protocols.degraded_folder import fold_of
from probefusion.zoo import DEFAULT_EMBEDDER, find_by_sha256, load_embedder
from probefusion.zoo.bundled import CARD_NAME
from research.compact_embedder.export import (
    MAP_NAMES,
    export_compact_embedder,
    read_compact_embedder,
)
from research.compact_embedder.pages import model_card, refresh_pages
from research.compact_embedder.verification_pairs import (
    VerificationPairs,
    draw_pairs,
    pair_accuracy,
)

REPOSITORY = Path(__file__).resolve().parent.parent
TEST_FOLD = 3
LEARNED_FOLDS = (0, 1, 2)
NUM_FOLDS = 10
BAD = 0.5
"""Severity from which a degraded copy's embedding is expected to be shorter."""

NORM_SAYS_QUALITY, NORM_SAYS_NOTHING = 0.85, 0.75
"""As in `probefusion models inspect`."""

DATA = {"fiw112": "Families in the Wild", "imfdb112_dev": "IMFDB"}
"""Usual names of data sets that a package's embedder learned from beside LFW."""
INTENDED = [
    "trying out this package without fetching anything",
    "tests, teaching and research on the fusion of templates",
    "aligned crops of 112x112 pixels of consenting people or of research data",
]
FORBIDDEN = [
    "access control",
    "policing",
    "surveillance of people",
    "identifying anybody, or deciding about anybody, without a human who checks and answers for it",
    "inferring age, sex, origin, feelings or anything else about a person",
    "any commercial use",
]
NOT_MEASURED = [
    "error rates of groups of people (age, sex, skin tone)",
    "children",
    "real surveillance images",
    "twins, disguise and attacks",
    "the LFW, IJB and other official protocols",
]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "state", metavar="STATE", help="state.pt of research/compact_embedder/distill.py"
    )
    parser.add_argument(
        "--images", required=True, metavar="DIR|ZIP", help="LFW: learned from, and judged on"
    )
    parser.add_argument(
        "--more-images",
        action="append",
        default=[],
        metavar="DIR|ZIP[=FOLDS]",
        help="other data that it learned from, and of which folds of people (films.zip=0,1; default: all but 3)",
    )
    parser.add_argument(
        "--leave-out",
        action="append",
        default=[],
        metavar="PERSON",
        help="whom it did not learn from",
    )
    parser.add_argument(
        "--start", type=Path, metavar="FOLDER", help="embedder that the training began with"
    )
    parser.add_argument("--teacher", required=True, metavar="ONNX")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("--stand-in", action="store_true", help="say that training is unfinished")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--keep-pages", action="store_true", help="leave the pages as they are")
    options = parser.parse_args()
    network, steps, stages = read_compact_embedder(options.state)
    options.output.mkdir(parents=True, exist_ok=True)
    path = options.output / f"{DEFAULT_EMBEDDER}.onnx"
    export_compact_embedder(network, path, force=True)
    spec = EmbedderSpec(
        name=DEFAULT_EMBEDDER,
        sha256=sha256_of(path),
        dim=network.config.dim,
        style_taps=MAP_NAMES,
    )
    pupil = OnnxEmbedder(path, spec, num_threads=options.threads)
    teacher = load_embedder(options.teacher, num_threads=options.threads)
    measured = measure(read_people(options.images), pupil, teacher)
    learned = {**training_facts(options), "steps": steps, "stages": stages}
    settings = {
        "dim": spec.dim,
        "input_size": spec.input_size,
        "channel_order": spec.channel_order,
        "mean": list(spec.mean),
        "std": list(spec.std),
        "style_taps": list(spec.style_taps),
        "norm_is_quality": norm_is_quality(measured["norm_falls"]),
    }
    pairs = f"{measured['num_pairs']} pairs of LFW, fold {TEST_FOLD}"
    card = {
        "format_version": 1,
        "name": DEFAULT_EMBEDDER,
        "folder": options.output.name,
        "file": path.name,
        "sha256": spec.sha256,
        "fingerprint": spec.fingerprint,
        "size": path.stat().st_size,
        "licence": licence(learned),
        "non_commercial": True,
        "stand_in": options.stand_in,
        "origin": "made with probefusion, part of the package",
        "settings": settings,
        "parameters": sum(part.numel() for part in network.parameters()),
        "network": asdict(network.config),
        "training": learned,
        "accuracy": [
            {
                "benchmark": pairs,
                "value": measured["compact"]["accuracy_clean"],
                "source": "research/compact_embedder/ship.py",
            }
        ],
        "measured": measured,
        "speed": speed(path, spec, options.teacher),
        "intended_uses": INTENDED,
        "forbidden_uses": FORBIDDEN,
        "not_measured": NOT_MEASURED,
    }
    write(options.output / CARD_NAME, hashed_json(card, indent=2).decode())
    card = json.loads((options.output / CARD_NAME).read_text())
    write(options.output / "MODEL_CARD.md", model_card(card))
    changed = [] if options.keep_pages else refresh_pages(card, REPOSITORY)
    print(json.dumps({**measured, "speed": card["speed"]}, indent=2))
    print(f"{options.output}: {spec.fingerprint}; pages changed: {', '.join(changed) or 'none'}")


def licence(learned: dict[str, Any]) -> str:
    """Which use the images allow that it learned from."""
    more = [DATA.get(data["data"], data["data"]) for data in learned.get("more_data", [])]
    images = " and ".join(filter(None, [", ".join(["LFW", *more[:-1]]), *more[-1:]]))
    return f"research use only: trained on images of {images}, see LICENSE-WEIGHTS.md"


def norm_is_quality(falls: float) -> bool | None:
    if NORM_SAYS_NOTHING <= falls < NORM_SAYS_QUALITY:
        return None
    return falls >= NORM_SAYS_QUALITY


def write(path: Path, text: str) -> None:
    with replace_file(path, force=True) as stream:
        stream.write(text.encode())


def measure(people: Any, pupil: OnnxEmbedder, teacher: OnnxEmbedder) -> dict[str, Any]:
    """Accuracy of both on pairs of unseen people, clean and with one degraded image."""
    unseen = {name: files for name, files in people.images.items() if fold_of(name) == TEST_FOLD}
    pairs = draw_pairs(unseen, num_folds=NUM_FOLDS)
    clean = np.stack([read_crop(people.read(name), source=name) for name in pairs.images])
    rng = np.random.default_rng(11)
    severities = rng.random(len(clean))
    poor = np.stack(
        [
            degrade(crop, float(severity), rng)
            for crop, severity in zip(clean, severities, strict=True)
        ]
    )
    found = {
        name: (embedder.embed(clean)[0], embedder.embed(poor)[0])
        for name, embedder in (("compact", pupil), ("teacher", teacher))
    }
    norms = [np.linalg.norm(part, axis=1)[severities >= BAD] for part in found["compact"]]
    cosines = (unit(found["compact"][0]) * unit(found["teacher"][0])).sum(axis=1)
    owners = {file: name for name, files in unseen.items() for file in files}
    used = {owners[name] for name in pairs.images}
    return {
        "fold": TEST_FOLD,
        "num_folds": NUM_FOLDS,
        "num_pairs": len(pairs.mated),
        "num_images": len(clean),
        "num_people": len(used),
        **{name: rates(pairs, *parts) for name, parts in found.items()},
        "cosine_to_teacher": round(float(cosines.mean()), 4),
        "norm_falls": round(float((norms[1] < norms[0]).mean()), 4),
    }


def rates(pairs: VerificationPairs, clean: Any, poor: Any) -> dict[str, float]:
    """Accuracies over folds and TAR at FAR."""
    mixed = replace(pairs, pairs=pairs.pairs + np.array([0, len(clean)]))
    on_clean = pair_accuracy(pairs, clean)
    on_mixed = pair_accuracy(mixed, np.concatenate([clean, poor]))
    one, other = unit(clean)[pairs.pairs.T]
    similarities = (one * other).sum(axis=1)
    (point,) = tar_at_far(similarities[pairs.mated], similarities[~pairs.mated], [0.01])
    return {
        "accuracy_clean": round(on_clean.mean, 4),
        "accuracy_clean_error": round(on_clean.standard_error, 4),
        "accuracy_degraded": round(on_mixed.mean, 4),
        "accuracy_degraded_error": round(on_mixed.standard_error, 4),
        "tar_at_far_0.01": round(point.tar, 4),
    }


def unit(embeddings: Any) -> Any:
    return embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)


def training_facts(options: argparse.Namespace) -> dict[str, Any]:
    """What it was trained on and by whom it was taught."""
    seen = learned_from(options.images)
    entry = find_by_sha256(sha256_of(options.teacher))
    weights = onnx.load(options.teacher).graph.initializer
    more = [more_facts(text, options.leave_out) for text in options.more_images]
    started = {}
    if options.start:
        card = json.loads((options.start / CARD_NAME).read_text())
        started = {"start": {key: card[key] for key in ("folder", "fingerprint", "training")}}
    return {
        "data": "lfw112, folds 0, 1 and 2 of degraded-folder/v1",
        "num_people": len(seen),
        "num_images": _num_images(seen),
        **({"more_data": more} if more else {}),
        **started,
        "teacher": {
            "name": Path(options.teacher).stem if entry is None else entry.name,
            "sha256": sha256_of(options.teacher),
            "size": Path(options.teacher).stat().st_size,
            "parameters": sum(math.prod(part.dims) for part in weights if len(part.dims) > 0),
            "licence": "unknown" if entry is None else entry.licence,
        },
    }


def more_facts(text: str, leave_out: Sequence[str]) -> dict[str, Any]:
    """Name, folds and numbers of other data, which is given as PLACE or PLACE=FOLDS."""
    place, _, chosen = text.partition("=")
    folds = tuple(map(int, chosen.split(","))) if chosen else LEARNED_FOLDS
    found = learned_from(place, folds, leave_out)
    left_out = sorted(set(leave_out) & set(read_people(place).images))
    return {
        "data": Path(place).stem,
        **({"folds": list(folds)} if folds != LEARNED_FOLDS else {}),
        "num_people": len(found),
        "num_images": _num_images(found),
        **({"left_out": left_out} if left_out else {}),
    }


def learned_from(
    place: str, folds: Sequence[int] = LEARNED_FOLDS, leave_out: Sequence[str] = ()
) -> dict[str, tuple[str, ...]]:
    """Images of the people of a data set who are of these folds."""
    people = read_people(place).images
    return {
        name: tuple(files)
        for name, files in people.items()
        if fold_of(name) in folds and name not in leave_out
    }


def _num_images(people: dict[str, tuple[str, ...]]) -> int:
    return sum(len(files) for files in people.values())


def speed(path: Path, spec: EmbedderSpec, teacher_path: str) -> dict[str, Any]:
    """Images a second on one thread, of pupil and teacher in turns, style included."""
    pupil = OnnxEmbedder(path, spec, num_threads=1)
    teacher = load_embedder(teacher_path, num_threads=1)
    crops = np.random.default_rng(0).integers(0, 256, (32, 112, 112, 3)).astype(np.uint8)
    seconds: dict[str, list[float]] = {"pupil": [], "teacher": []}
    for _ in range(7):
        for name, embedder in (("pupil", pupil), ("teacher", teacher)):
            started = time.perf_counter()
            embedder.embed(crops)
            seconds[name].append(time.perf_counter() - started)
    own, other = (float(np.median(seconds[name])) for name in ("pupil", "teacher"))
    return {
        "images_per_second": round(len(crops) / own, 1),
        "ratio": round(other / own, 2),
        "threads": 1,
        "batch": len(crops),
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": machine(),
        "commit": commit(),
    }


def commit() -> str:
    """The commit that is measured."""
    command = ["git", "rev-parse", "--short", "HEAD"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY, check=False)
    return done.stdout.strip() or "unknown"


def machine() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


if __name__ == "__main__":
    main()
