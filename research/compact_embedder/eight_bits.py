"""Writes into the card of the package's embedder what its 8-bit form is, which lies beside it.

    probefusion models quantize compact_128d --images lfw112.zip --images imfdb112_dev.zip --threads 1 \
        -o FOLDER/compact_128d-int8.onnx
    python -m research.compact_embedder.eight_bits FOLDER --images lfw112.zip

Measures both files on fold 3, as research/compact_embedder/ship.py does, and their speed, and writes
embedder.json and MODEL_CARD.md anew. To be run after each run of ship.py, whose card knows of no such file.
"""

from __future__ import annotations

import argparse
import datetime
import json
import time
from pathlib import Path
from typing import Any

import numpy as np

from probefusion.embedders.embedder import OnnxEmbedder
from probefusion.errors import ConfigError
from probefusion.files.hashed_json import hashed_json
from probefusion.protocols import read_people
from probefusion.zoo import load_embedder
from probefusion.zoo.bundled import CARD_NAME
from research.compact_embedder.pages import model_card
from research.compact_embedder.ship import commit, machine, measure, write

ROUNDS, BATCH = 15, 64
"""Times that each form embeds so many images to be timed, in turns."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path, metavar="FOLDER", help="of the embedder and its card")
    parser.add_argument("--images", required=True, metavar="DIR|ZIP", help="LFW")
    options = parser.parse_args()
    place = options.folder / CARD_NAME
    card = json.loads(place.read_text(encoding="utf-8"))
    original = load_embedder(options.folder / card["file"], num_threads=1)
    path = options.folder / f"{card['name']}-int8.onnx"
    small = load_embedder(path, num_threads=1)
    found = form_facts(read_people(options.images), original, small)
    card["eight_bits"] = {"file": path.name, "size": path.stat().st_size, **found}
    write(place, hashed_json(card, indent=2).decode())
    card = json.loads(place.read_text(encoding="utf-8"))
    write(options.folder / "MODEL_CARD.md", model_card(card))
    print(json.dumps(card["eight_bits"], indent=2))


def form_facts(people: Any, original: OnnxEmbedder, small: OnnxEmbedder) -> dict[str, Any]:
    """What the card says of the 8-bit form.

    Raises:
        ConfigError: If it stands for another embedder.
    """
    if small.fingerprint != original.fingerprint or small.spec == original.spec:
        raise ConfigError(
            f"{small.spec.name}: expected an 8-bit form of {original.fingerprint}, got one of {small.fingerprint}. "
            f"Quantise that embedder."
        )
    found = measure(people, small, original)
    rates = found["compact"]
    return {
        "name": small.spec.name,
        "sha256": small.spec.sha256,
        "fingerprint": small.own_fingerprint,
        "accuracy": [
            {
                "benchmark": f"{found['num_pairs']} pairs of LFW, fold {found['fold']}",
                "value": rates["accuracy_clean"],
                "source": "research/compact_embedder/eight_bits.py",
            }
        ],
        "measured": rates,
        "cosine": found["cosine_to_teacher"],
        "speed": speed(original, small),
    }


def speed(original: OnnxEmbedder, small: OnnxEmbedder) -> dict[str, Any]:
    """Images a second of processor time on one thread, of both forms in turns, style included."""
    crops = np.random.default_rng(0).integers(0, 256, (BATCH, 112, 112, 3)).astype(np.uint8)
    seconds: dict[OnnxEmbedder, list[float]] = {original: [], small: []}
    for _ in range(ROUNDS):
        for embedder, kept in seconds.items():
            started = time.process_time()
            embedder.embed(crops)
            kept.append(time.process_time() - started)
    rates = [BATCH / float(np.median(kept)) for kept in seconds.values()]
    return {
        "images_per_second": round(rates[1]),
        "images_per_second_of_original": round(rates[0]),
        "ratio": round(rates[1] / rates[0], 2),
        "threads": 1,
        "batch": BATCH,
        "date": datetime.datetime.now(datetime.timezone.utc).date().isoformat(),
        "machine": machine(),
        "commit": commit(),
    }


if __name__ == "__main__":
    main()
