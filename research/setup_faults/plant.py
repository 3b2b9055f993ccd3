"""Plants every fault that `probefusion doctor` looks for into real crops, and counts what it finds and invents.

    python -m research.setup_faults.plant --data faces.zip --embedder compact_128d --output table.md

Faults of images are judged without the embedder, so they are planted once for each data set; those of settings are
planted for each embedder on the crops as they are; those of networks and stores on seven images.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx

from probefusion.embedders import CropQuality, EmbedderSpec, OnnxEmbedder, inspect_embedder
from probefusion.embedders.face_views import FaceViews
from probefusion.embedders.feeding_faults import check_feeding
from probefusion.embedders.guess import SCALINGS, mean_and_std
from probefusion.embedders.network_faults import check_network
from probefusion.embedders.onnx_graph import read_model
from probefusion.pipeline import Finding, diagnose
from probefusion.pipeline.crops_to_examine import read_images_to_examine
from probefusion.pipeline.doctor import image_findings
from probefusion.protocols.degraded_folder import fold_of, read_people
from probefusion.reports.embedder_findings import feeding_findings
from probefusion.screening.crop_faults import check_crops
from probefusion.types import EmbeddingSet
from probefusion.zoo import resolve_embedder
from research.setup_faults.planted_images import IMAGE_FAULTS
from research.setup_faults.planted_networks import NETWORK_FAULTS

_FEW = 7
_KINDS = ("images", "settings", "networks", "stores")
_HALF = "(x/255 - .5)/.5"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One planted fault: where, which check should find it ("" for none), and what was said."""

    data: str
    embedder: str
    fault: str
    expected: str
    findings: Sequence[Finding]

    @property
    def said(self) -> str:
        """The answer of the check that should find it."""
        return next((one.status for one in self.findings if one.check == self.expected), "")

    @property
    def invented(self) -> list[str]:
        """Faults that were not planted."""
        return [one.check for one in self.findings
                if one.status == "fault" and one.check != self.expected]  # fmt: skip


def draw(
    path: str, folds: Sequence[int], num_people: int, seed: int = 0
) -> tuple[np.ndarray, list[str]]:
    """Two crops each of some people of a folder or archive: (N, 112, 112, 3), and whose they are."""
    people = read_people(path)
    names = [name for name, images in people.images.items()
             if len(images) > 1 and fold_of(name) in folds]  # fmt: skip
    chosen = np.random.default_rng(seed).permutation(names)[:num_people]
    crops, whose = [], []
    for name in chosen:
        for source in (people.images[name][0], people.images[name][-1]):
            data = np.frombuffer(people.read(source), np.uint8)
            crops.append(cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1])
            whose.append(str(name))
    return np.stack(crops), whose


def write(folder: Path, crops: Any, whose: Sequence[str]) -> list[str]:
    """Writes crops as PNG into a folder for each person; gives their names."""
    names = []
    for place, (crop, name) in enumerate(zip(crops, whose, strict=True)):
        names.append(f"{name}/{place:03d}.png")
        (folder / name).mkdir(parents=True, exist_ok=True)
        cv2.imwrite(str(folder / names[-1]), np.ascontiguousarray(np.asarray(crop)[..., ::-1]))
    return names


def plant_images(data: str, crops: np.ndarray, whose: Sequence[str]) -> Iterator[Row]:
    """The crops as they are, and with each fault of images; no embedder is needed."""
    quality = CropQuality()
    for fault, (expected, plant) in {"none": ("", np.asarray), **IMAGE_FAULTS}.items():
        with tempfile.TemporaryDirectory() as folder:
            write(Path(folder), plant(crops), whose)
            examined = read_images_to_examine(folder, None)
            found = image_findings(examined, check_crops(examined.crops, quality), None)
        yield Row(data=data, embedder="any", fault=fault, expected=expected, findings=found)


def wrong_settings(
    spec: EmbedderSpec, *, normalises_itself: bool = False
) -> Iterator[tuple[str, str, EmbedderSpec]]:
    """The right settings, and wrong ones with the check that should find them.

    Any scaling of the settings is the second one for a network that scales pixels itself.
    """
    yield "none", "", spec
    order = "BGR" if spec.channel_order == "RGB" else "RGB"
    yield (
        "channels exchanged",
        "channel-order",
        replace(spec, channel_order=order, mean=spec.mean[::-1], std=spec.std[::-1]),
    )
    is_raw = max(spec.std) < 0.05
    wrong = (_HALF, "x/255") if is_raw else ("x, 0 to 255", "x/255")
    for scaling in wrong:
        mean, std = mean_and_std(scaling, spec.channel_order)
        check = "normalised-twice" if normalises_itself else "scaling"
        yield f"fed {scaling}", check, replace(spec, mean=mean, std=std)
    (mean, std), (again_mean, again_std) = SCALINGS[_HALF], (spec.mean, spec.std)
    if is_raw:
        again_mean, again_std = mean, std
    both = np.add(mean, np.multiply(std, again_mean)), np.multiply(std, again_std)
    yield "scaled twice", "normalised-twice", replace(spec, mean=tuple(both[0]), std=tuple(both[1]))


def plant_settings(
    data: str, crops: np.ndarray, whose: Sequence[str], embedder: str
) -> Iterator[Row]:
    """The settings as they are, and with each fault."""
    path, spec = resolve_embedder(embedder)
    facts = inspect_embedder(path, search_taps=False)
    views = FaceViews(path, facts, crops, dim=spec.dim, num_threads=None)
    fed = OnnxEmbedder(path, spec).prepare(crops[:4])
    ran = check_network(path, facts, fed, norm_output=spec.norm_output)
    for fault, expected, wrong in wrong_settings(spec, normalises_itself=ran.normalises_itself):
        check = check_feeding(views, wrong, people=whose)
        findings = feeding_findings(check, is_grey=False, network=ran)
        yield Row(data=data, embedder=spec.name, fault=fault, expected=expected, findings=findings)


def plant_networks(data: str, crops: np.ndarray, embedder: str) -> Iterator[Row]:
    """The network with each fault, on a few images."""
    path, spec = resolve_embedder(embedder)
    whose = [f"person-{place}" for place in range(_FEW)]
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder) / "images", crops[:_FEW], whose)
        for fault, (expected, plant) in NETWORK_FAULTS.items():
            model, _ = read_model(path)
            plant(model)
            changed = Path(folder) / "changed.onnx"
            onnx.save(model, str(changed))
            described = replace(spec, sha256="0" * 64, style_taps=())
            (Path(folder) / "changed.json").write_text(_sidecar(described), encoding="utf-8")
            no_length = "" if expected == "norm-output" else None
            found = diagnose(Path(folder) / "images", changed, norm_output=no_length)
            yield Row(
                data=data,
                embedder=spec.name,
                fault=fault,
                expected=expected,
                findings=found.findings,
            )


def _sidecar(spec: EmbedderSpec) -> str:
    import json

    return json.dumps(
        {
            "name": "changed",
            "dim": spec.dim,
            "channel_order": spec.channel_order,
            "mean": spec.mean,
            "std": spec.std,
            "style_taps": [],
        }
    )


def plant_stores(data: str, crops: np.ndarray, embedder: str, other: str) -> Iterator[Row]:
    """Stores of the images as they are, mirrored, in another order, and of another embedder."""
    path, spec = resolve_embedder(embedder)
    few = crops[:_FEW]
    network = OnnxEmbedder(path, spec)
    mirrored = few.copy()
    mirrored[::3] = few[::3, :, ::-1]
    rows = {
        "none": ("", network.embed(few)[0]),
        "store of mirror images": ("mirrored", network.embed(few[:, :, ::-1].copy())[0]),
        "a third of the store mirrored": ("mirrored", network.embed(mirrored)[0]),
        "store in another order": ("store", np.roll(network.embed(few)[0], 1, axis=0)),
        "store of another embedder": (
            "store",
            OnnxEmbedder(*resolve_embedder(other)).embed(few)[0],
        ),
    }
    with tempfile.TemporaryDirectory() as folder:
        names = write(Path(folder) / "images", few, [f"person-{place}" for place in range(_FEW)])
        for fault, (expected, embeddings) in rows.items():
            store = Path(folder) / "store.npz"
            EmbeddingSet(embeddings=embeddings, sources=np.array(names)).save(store, force=True)
            found = diagnose(Path(folder) / "images", embedder, store=store)
            kept = [one for one in found.findings if expected != "mirrored" or one.check != "store"]
            yield Row(data=data, embedder=spec.name, fault=fault, expected=expected, findings=kept)


def table(rows: Sequence[Row]) -> str:
    """A line for each fault: where it was found, not told, missed, and what was invented."""
    lines = [
        "| planted | cases | found | cannot be told | missed | invented |",
        "|---|---|---|---|---|---|",
    ]
    for fault in dict.fromkeys((row.fault, row.expected) for row in rows):
        these = [row for row in rows if (row.fault, row.expected) == fault]
        counts = [
            sum(row.said == said for row in these) for said in ("fault", "cannot be told", "fine")
        ]
        told = ["-"] * 3 if not fault[1] else [str(count) for count in counts]
        invented = sum(len(row.invented) for row in these)
        lines.append(f"| {fault[0]} | {len(these)} | {' | '.join(told)} | {invented} |")
    return "\n".join(lines)


def main() -> None:
    """Plants, prints and writes the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", action="append", required=True, metavar="DIR|ZIP[:FOLDS]")
    parser.add_argument("--embedder", action="append", required=True, metavar="MODEL")
    parser.add_argument("--people", type=int, default=25, help="two crops of each (default 25)")
    parser.add_argument("--only", choices=("right", *_KINDS))
    parser.add_argument("--seed", type=int, default=0, help="of the choice of people (default 0)")
    parser.add_argument("--output", metavar="TABLE.md")
    options = parser.parse_args()
    rows: list[Row] = []
    for entry in options.data:
        path, _, folds = entry.partition(":")
        taken = tuple(map(int, folds.split(","))) if folds else (0, 1, 2, 3)
        crops, whose = draw(path, taken, options.people, options.seed)
        name = Path(path).stem
        for row in _plant_all(name, crops, whose, options.embedder, options.only):
            rows.append(row)
            wrong = f" INVENTED {row.invented}" if row.invented else ""
            print(
                f"{row.data} {row.embedder} {row.fault}: {row.expected} {row.said}{wrong}",
                flush=True,
            )
            if wrong or (row.expected and row.said != "fault"):
                for finding in row.findings:
                    if finding.check == row.expected or finding.check in row.invented:
                        print(
                            f"    {finding.check}: {finding.status}: {finding.evidence}", flush=True
                        )
    print(table(rows))
    if options.output:
        Path(options.output).write_text(table(rows) + "\n", encoding="utf-8")


def _plant_all(
    data: str, crops: np.ndarray, whose: Sequence[str], embedders: Sequence[str], only: str | None
) -> Iterator[Row]:
    if only == "right":
        yield next(plant_images(data, crops, whose))
        for embedder in embedders:
            yield next(plant_settings(data, crops, whose, embedder))
        return
    if only in (None, "images"):
        yield from plant_images(data, crops, whose)
    for place, embedder in enumerate(embedders):
        other = embedders[place - 1]
        if only in (None, "settings"):
            yield from plant_settings(data, crops, whose, embedder)
        if only in (None, "networks"):
            yield from plant_networks(data, crops, embedder)
        if only in (None, "stores") and other != embedder:
            yield from plant_stores(data, crops, embedder, other)


if __name__ == "__main__":
    main()
