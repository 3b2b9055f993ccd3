r"""A quick look at many candidates for the embedder inside, by the fusers that need no training: mean and universal.

    python -m research.compact_embedder.glance --images lfw112.zip --films imfdb112.zip --leave-out NAME --work WORK \
        compact_128d A.onnx state.pt -o REPORT.json

Candidates are names, ONNX files and states of relearn.py. Single pairs of fold 3 (accuracy, clean and with one image
degraded), degraded-folder/v1 on fold 3 (four sets, TAR at FAR 1e-4) and films (media-folder/v1, all faces, TAR at FAR
1e-3). The crops and their quality are drawn once and kept in WORK; REPORT.json keeps all candidates that it has seen.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from probefusion.degradations.degrade import degrade
from probefusion.embedders import CropQuality
from probefusion.embedders.embedder import OnnxEmbedder
from probefusion.embedders.quality import JudgedEmbedder
from probefusion.embedders.spec import EmbedderSpec
from probefusion.evaluation.media_results import MEDIUM
from probefusion.evaluation.probe_data import ProbeData
from probefusion.evaluation.scoring import pool_scores, score_probes
from probefusion.faces.images import read_crop
from probefusion.files import sha256_of
from probefusion.metrics import ComparisonScores, compare_over_people
from probefusion.protocols import DegradedFolderProtocol, read_people
from probefusion.protocols.degraded_folder import fold_of, render
from probefusion.types import EmbeddingSet, FloatArray
from probefusion.zoo import load_embedder, load_fuser
from research.compact_embedder.export import (
    MAP_NAMES,
    export_compact_embedder,
    read_compact_embedder,
)
from research.compact_embedder.ship import rates
from research.compact_embedder.verification_pairs import VerificationPairs, draw_pairs
from research.real_faces.film_scores import Column, Films

FUSERS = ("mean", "universal")
SIZES = (1, 4, 16)
FOLD, NUM_SETS = 3, 4
RATES = {"hard": 1e-4, "clean": 1e-4, "films": 1e-3}
COLUMNS: tuple[Column, ...] = (*(("all", size) for size in (*SIZES, 32)), ("all", MEDIUM))

Mix = Literal["hard", "clean"]
Crops = npt.NDArray[np.uint8]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("candidates", nargs="+", metavar="MODEL|STATE")
    parser.add_argument("--images", required=True, metavar="DIR|ZIP", help="lfw112")
    parser.add_argument("--films", required=True, type=Path, metavar="DIR|ZIP")
    parser.add_argument("--leave-out", action="append", default=[], metavar="PERSON")
    parser.add_argument(
        "--film-folds", nargs="+", type=int, metavar="FOLD", help="actors of these folds alone"
    )
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="JSON")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    rows = json.loads(options.output.read_text()) if options.output.exists() else {}
    for text in options.candidates:
        rows[text] = _looked_at(options, _opened(text, options.work))
        options.output.write_text(json.dumps(rows, indent=1) + "\n")
        print(f"{text}: {json.dumps(rows[text])}", flush=True)
    print("\n".join(table(rows)))


def _left_out(options: argparse.Namespace) -> tuple[str, ...]:
    """Actors of `--leave-out` and of other folds than those asked for."""
    if options.film_folds is None:
        return tuple(options.leave_out)
    names = read_people(options.films).images
    return (*options.leave_out, *(n for n in names if fold_of(n) not in options.film_folds))


def _opened(text: str, work: Path) -> Any:
    """The embedder of a name, a file, or a state, which is exported into WORK."""
    if not text.endswith(".pt"):
        return load_embedder(text, num_threads=1)
    path = work / f"{Path(text).stem}.onnx"
    network = read_compact_embedder(text).network
    export_compact_embedder(network, path, force=True)
    spec = EmbedderSpec(
        name="compact_128d", sha256=sha256_of(path), dim=network.config.dim, style_taps=MAP_NAMES
    )
    return OnnxEmbedder(path, spec, num_threads=1)


def _looked_at(options: argparse.Namespace, embedder: Any) -> dict[str, Any]:
    pairs = _pairs(options)
    found = rates(pairs.pairs, embedder.embed(pairs.clean)[0], embedder.embed(pairs.poor)[0])
    row: dict[str, Any] = {"pairs": found}
    mixes: tuple[Mix, ...] = ("hard", "clean")
    probes = {mix: _Probes(options.images, mix, options.work).by(embedder) for mix in mixes}
    quality = _KeptQuality(options.work / "films-quality.npz")
    films = Films(
        options.films,
        JudgedEmbedder(embedder, quality),
        leave_out=_left_out(options),
        cache=options.work / "films",
    )
    quality.keep()
    for name in FUSERS:
        fuser = load_fuser(name, embedder=embedder.fingerprint)
        for mix, data in probes.items():
            for size, scored in score_probes(data, fuser, SIZES).items():
                row[f"{mix}, {name}, {size}"] = _tar(pool_scores([scored]), mix)
        for column, scores in films.scores(fuser, COLUMNS).items():
            row[f"films, {name}, {column[1]}"] = _tar(scores.whole, "films")
    return row


def _tar(scores: ComparisonScores, kind: str) -> float:
    """As side_by_side.py counts it: on films every person weighs the same."""
    (found,) = compare_over_people(
        scores, scores, RATES[kind], num_replicates=100, average_per_person=kind == "films"
    )
    return round(found.first, 4)


@dataclass(frozen=True, kw_only=True, eq=False)
class _Pairs:
    """Pairs of single images, their crops as they are and degraded."""

    pairs: VerificationPairs
    clean: Crops
    poor: Crops


def _pairs(options: argparse.Namespace) -> _Pairs:
    people = read_people(options.images)
    unseen = {name: files for name, files in people.images.items() if fold_of(name) == FOLD}
    pairs = draw_pairs(unseen, num_folds=10)
    clean = np.stack([read_crop(people.read(name), source=name) for name in pairs.images])
    rng = np.random.default_rng(11)
    severities = rng.random(len(clean))
    poor = [degrade(c, float(s), rng) for c, s in zip(clean, severities, strict=True)]
    return _Pairs(pairs=pairs, clean=clean, poor=np.stack(poor))


class _Probes:
    """Crops of one mix of degraded-folder, drawn once."""

    def __init__(self, images: str, mix: Mix, work: Path) -> None:
        self._protocol = DegradedFolderProtocol(
            people=read_people(images), folds=(FOLD,), mix=mix, num_sets=NUM_SETS
        )
        self._sets = list(self._protocol.probe_sets(SIZES[-1]))
        self._work, self._mix = work, mix

    def _read(self, source: str) -> Crops:
        return read_crop(self._protocol.people.read(source), source=source)

    @cached_property
    def _drawn(self) -> tuple[Crops, Crops, npt.NDArray[np.int64]]:
        """Gallery crops, different probe crops, and which of them each place of each set holds."""
        images = [image for probe_set in self._sets for image in probe_set.images]
        keys = [replace(image, seed=0) if image.severity == 0 else image for image in images]
        different = list(dict.fromkeys(keys))
        place = {image: index for index, image in enumerate(different)}
        path = self._work / f"{self._mix}.npy"
        if not path.exists():
            np.save(path, np.stack([render(image, self._read) for image in different]))
        gallery = np.stack([self._read(entry.source) for entry in self._protocol.gallery])
        return gallery, np.load(path, mmap_mode="r"), np.array([place[key] for key in keys])

    def by(self, embedder: Any) -> ProbeData:
        """Gallery and probes as an embedder sees them, with the quality of each crop."""
        gallery, probes, places = self._drawn
        return ProbeData(
            gallery=self._embedded(embedder, gallery, "gallery"),
            gallery_subjects=np.array([entry.subject_id for entry in self._protocol.gallery]),
            probes=self._embedded(embedder, probes, "probes")[places],
            probe_subjects=np.array([probe_set.subject_id for probe_set in self._sets]),
            severities=np.array(
                [[image.severity for image in one.images] for one in self._sets], np.float32
            ),
            protocol=f"degraded-folder/v1/{self._mix}",
        )

    def _embedded(self, embedder: Any, crops: Crops, part: str) -> EmbeddingSet:
        path = self._work / f"{self._mix}-{part}-quality.npy"
        if not path.exists():
            np.save(path, CropQuality(num_threads=1).judge(crops))
        images: EmbeddingSet = embedder.embed_set(np.asarray(crops))
        return replace(images, quality=np.load(path))


class _KeptQuality(CropQuality):
    """Judges each crop once; what it found is kept in a file by the hash of the pixels."""

    def __init__(self, path: Path) -> None:
        super().__init__(num_threads=1)
        self._path = path
        self._found: dict[bytes, float] = {}
        if path.exists():
            with np.load(path) as kept:
                self._found = dict(
                    zip([bytes(key) for key in kept["keys"]], kept["values"].tolist(), strict=True)
                )

    def judge(self, crops: Crops) -> FloatArray:
        """As `CropQuality.judge`."""
        keys = [hashlib.sha256(crop.tobytes()).digest() for crop in crops]
        new = [index for index, key in enumerate(keys) if key not in self._found]
        if new:
            judged = super().judge(crops[new]).tolist()
            self._found.update(zip([keys[index] for index in new], judged, strict=True))
        return np.array([self._found[key] for key in keys], np.float32)

    def keep(self) -> None:
        """Writes the file."""
        keys = np.array([np.frombuffer(key, np.uint8) for key in self._found])
        np.savez(self._path, keys=keys, values=np.array(list(self._found.values()), np.float32))


def table(rows: dict[str, dict[str, Any]]) -> list[str]:
    """A line for each candidate."""
    columns = [key for key in next(iter(rows.values())) if key != "pairs"]
    lines = ["| candidate | pairs clean | degraded | " + " | ".join(columns) + " |"]
    lines += ["|---|---|---|" + "---|" * len(columns)]
    for name, row in rows.items():
        found = row["pairs"]
        cells = [f"{found['accuracy_clean']:.4f}", f"{found['accuracy_degraded']:.4f}"]
        cells += [f"{row[key]:.3f}" if key in row else "" for key in columns]
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return lines


if __name__ == "__main__":
    main()
