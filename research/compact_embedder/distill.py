"""Trains the embedder inside the package; stops and goes on at any time.

    python -m research.compact_embedder.distill --images lfw112.zip --teacher mobilefacenet_128d.onnx \
        --work WORK --steps 3000

Writes WORK/state.pt every so often, WORK/log.jsonl with the learning curve (accuracy of single clean
images of unseen people beside the teacher's). Run the same command again to go on; more steps lengthen
the training. research/compact_embedder/ship.py makes the package's files of the state.
"""

from __future__ import annotations

import argparse
import functools
import json
import time
from pathlib import Path
from typing import Any, get_args

import numpy as np
import torch

from probefusion.faces.images import read_crop
from probefusion.protocols import read_people
from probefusion.protocols.degraded_folder import fold_of
from probefusion.zoo.embedders import load_embedder, resolve_embedder
from research.compact_embedder import DistillationSettings, Distiller, PoorTarget, Teacher
from research.compact_embedder.verification_pairs import draw_pairs, pair_accuracy

DEV_FOLD = 3
MAPS = ("/features/features.11/Add_output_0", "/conv2/conv2.2/Clip_output_0")
MAP_CHANNELS = (128, 512)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", required=True, metavar="DIR|ZIP")
    parser.add_argument("--teacher", required=True, metavar="ONNX")
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("--steps", type=int, default=DistillationSettings.steps)
    parser.add_argument(
        "--poor-share",
        type=float,
        default=DistillationSettings.poor_share,
        help="share of the faces of a step that are seen degraded too",
    )
    parser.add_argument(
        "--poor-target",
        choices=get_args(PoorTarget),
        default=DistillationSettings.poor_target,
        help="whose embedding by the teacher a degraded face is to have: the face's before, or its own",
    )
    parser.add_argument("--every", type=int, default=100, help="steps between evaluations")
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    options.work.mkdir(parents=True, exist_ok=True)
    people = read_people(options.images)
    seen = {name: images for name, images in people.images.items() if fold_of(name) != DEV_FOLD}
    unseen = {name: images for name, images in people.images.items() if fold_of(name) == DEV_FOLD}
    pairs = draw_pairs(unseen)
    dev = np.stack([read_crop(people.read(name), source=name) for name in pairs.images])
    images, centres = prepare(options, people, seen)
    path, spec = resolve_embedder(options.teacher)
    teacher_accuracy = pair_accuracy(pairs, load_embedder(path, num_threads=1).embed(dev)[0])
    print(f"teacher on {len(pairs.mated)} pairs: {teacher_accuracy.mean:.4f}", flush=True)
    distiller = Distiller(
        images,
        functools.partial(Teacher, path, spec, MAPS, num_threads=1),
        centres,
        DistillationSettings(
            steps=options.steps, poor_share=options.poor_share, poor_target=options.poor_target
        ),
        map_channels=MAP_CHANNELS,
    )
    state = options.work / "state.pt"
    if state.exists():
        distiller.resume(state)
    recent: list[dict[str, float]] = []
    started = time.monotonic()

    def on_step(step: int, parts: dict[str, float]) -> None:
        recent.append(parts)
        if step % options.every and step != options.steps:
            return
        accuracy = pair_accuracy(pairs, embed(distiller, dev))
        means = {name: float(np.mean([part[name] for part in recent])) for name in parts}
        line: dict[str, Any] = {
            "step": step,
            "seconds": round(time.monotonic() - started),
            **{name: round(value, 4) for name, value in means.items()},
            "accuracy": round(accuracy.mean, 4),
            "teacher": round(teacher_accuracy.mean, 4),
        }
        recent.clear()
        with (options.work / "log.jsonl").open("a") as log:
            log.write(json.dumps(line) + "\n")
        print(line, flush=True)
        distiller.save(state)

    distiller.run(on_step)


def prepare(options: argparse.Namespace, people: Any, seen: dict[str, Any]) -> tuple[Path, Any]:
    """Training crops on disk and the unit centre of each training person, made once."""
    crops_path, centres_path = options.work / "crops.npy", options.work / "centres.npy"
    if not centres_path.exists():
        names = [name for images in seen.values() for name in images]
        crops = np.stack([read_crop(people.read(name), source=name) for name in names])
        np.save(crops_path, crops)
        embeddings = load_embedder(options.teacher, num_threads=1).embed(crops)[0]
        unit = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
        starts = np.cumsum([0, *(len(images) for images in seen.values())])[:-1]
        centres = np.add.reduceat(unit, starts, axis=0)
        centres /= np.linalg.norm(centres, axis=1, keepdims=True)
        np.save(centres_path, centres.astype(np.float32))
    return crops_path, np.load(centres_path)


def embed(distiller: Distiller, crops: Any) -> Any:
    """(N, D) embeddings by the pupil as it is."""
    network = distiller.network
    was_training = network.training
    network.eval()
    found = []
    with torch.no_grad():
        for start in range(0, len(crops), 128):
            part = torch.from_numpy(crops[start : start + 128]).permute(0, 3, 1, 2).float()
            found.append(network(part.div_(127.5).sub_(1.0)).numpy())
    network.train(was_training)
    return np.concatenate(found)


if __name__ == "__main__":
    main()
