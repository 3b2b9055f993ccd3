"""Memory and time of a training whose variants are larger than the memory it is given.

    python benchmarks/train_large.py --work DIR [--images 10000 120000] [--ceiling-mb 1000] [--json FILE]

Made-up embeddings in the shape of a 512-d embedder with 96 style channels and 20 variants an image, about 32 KB an
image, go through the code that keeps variants and the training loop, with early stopping, batches of 128 people
and the exact fuser. A child process makes the store, another trains; both may hold so many MB of data (RLIMIT_DATA:
heap and private memory, not the files they read). No image is decoded and no embedder runs: what they take does not
depend on the number of images.
"""

from __future__ import annotations

import argparse
import json
import platform
import resource
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

DIM, CHANNELS, VARIANTS = 512, 96, 20
IMAGES_OF_PERSON = 5


class MadeUpEmbedder:
    """Gives embeddings around a direction that the image's first pixels name."""

    fingerprint = own_fingerprint = "made-up@1"

    def embed(self, crops):
        person = int.from_bytes(crops[-2].tobytes()[:4], "little")
        rng = np.random.default_rng(int.from_bytes(crops[-2].tobytes()[:8], "little"))
        centre = np.random.default_rng(person).standard_normal(DIM, np.float32)
        embeddings = centre + rng.standard_normal((len(crops), DIM), np.float32)
        return embeddings, rng.standard_normal((len(crops), CHANNELS, 2), np.float32)


def read_image(name: str):
    person, image = (int(part) for part in name.split("/"))
    pixels = np.zeros((4, 4, 3), np.uint8)
    pixels.reshape(-1)[:8] = np.array([person, image], np.uint32).view(np.uint8)
    return pixels


def draw_variants(image, rng):
    return np.broadcast_to(image, (VARIANTS, *image.shape))


def make(folder: Path, num_images: int) -> dict:
    from probefusion.training.extraction import extract_variants

    people = {
        f"{person:07d}": [f"{person}/{image}" for image in range(IMAGES_OF_PERSON)]
        for person in range(num_images // IMAGES_OF_PERSON)
    }
    extract_variants(people, read_image, MadeUpEmbedder(), draw_variants, folder, recipe="made up")
    return {"store_mb": round(sum(path.stat().st_size for path in folder.iterdir()) / 1e6)}


def train(folder: Path, steps: int) -> dict:
    import torch

    from probefusion.training.config import TrainingConfig
    from probefusion.training.loop import train_network
    from probefusion.training.variant_store import VariantStore

    torch.set_num_threads(1)
    base = _peak_mb()
    started = time.perf_counter()
    store = VariantStore.open(folder)
    opened = time.perf_counter()
    result = train_network(store, TrainingConfig(steps=steps, check_every=steps))
    ended = time.perf_counter()
    return {
        "base_mb": base,
        "open_s": round(opened - started, 2),
        "step_ms": round(1e3 * (ended - opened) / steps),
        "loss": round(float(result.centre_losses[-5:].mean()), 4),
    }


def _peak_mb() -> int:
    return round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3)


def _child(options: argparse.Namespace, stage: str, num_images: int) -> dict:
    command = [sys.executable, __file__, "--work", str(options.work), "--stage", stage]
    command += ["--images", str(num_images), "--ceiling-mb", str(options.ceiling_mb)]
    command += ["--steps", str(options.steps)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=Path)
    parser.add_argument("--images", nargs="+", type=int, default=[10_000, 120_000])
    parser.add_argument("--ceiling-mb", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--stage", choices=("make", "train"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.stage is not None:
        ceiling = options.ceiling_mb * 1_000_000
        resource.setrlimit(resource.RLIMIT_DATA, (ceiling, ceiling))
        folder = options.work / f"variants-{options.images[0]}"
        started = time.perf_counter()
        is_make = options.stage == "make"
        facts = make(folder, options.images[0]) if is_make else train(folder, options.steps)
        facts |= {"peak_mb": _peak_mb(), "seconds": round(time.perf_counter() - started, 1)}
        print(json.dumps(facts))
        return
    rows = []
    for num_images in options.images:
        shutil.rmtree(options.work / f"variants-{num_images}", ignore_errors=True)
        row = {"images": num_images, "make": _child(options, "make", num_images)}
        row["train"] = _child(options, "train", num_images)
        rows.append(row)
        print(json.dumps(row), flush=True)
    if options.json is not None:
        facts = {"machine": platform.platform(), "ceiling_mb": options.ceiling_mb, "rows": rows}
        options.json.write_text(json.dumps(facts, indent=2) + "\n")


if __name__ == "__main__":
    main()
