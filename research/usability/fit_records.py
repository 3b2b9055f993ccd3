r"""Fits the usability records that the package and the fuser folders carry.

    python -m research.usability.draw_sets --images fiw112.zip --mix clean --folds 1 --set-size 8 ... -o WORK/fiw-clean
    python -m research.usability.draw_sets --images fiw112.zip --mix hard --folds 0 ... -o WORK/fiw-hard
    python -m research.usability.draw_sets --images fiw112.zip --mix mixed --folds 2 ... -o WORK/fiw-mixed
    python -m research.usability.fit_records --sets WORK/fiw-clean WORK/fiw-hard WORK/fiw-mixed --non-faces WORK/drawn \
        --embedder compact_128d --fuser exact --fuser mean

Writes each record to its place (`probefusion.zoo.usability.usability_path`). The people are those of FIW, whom no
fuser and no embedder of ours has seen. Members of one family are not compared with each other. A fuser that knows
nothing but embeddings needs faces of several sources (`--unrelated-sets`): else its looks tell cameras apart, not
faces.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from probefusion.embedders import CropQuality
from probefusion.evaluation.probe_data import ProbeData
from probefusion.screening.fit_usability import LabelledSets, fit_usability
from probefusion.screening.non_faces import KINDS, draw_non_faces
from probefusion.screening.usability_record import write_usability
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_embedder, load_fuser
from probefusion.zoo.usability import usability_path
from research.usability.draw_sets import embed_crops

__all__ = ["drawn_non_faces", "labelled_sets", "main"]

NUM_OF_A_KIND = 300
SEED = 1


def labelled_sets(data: ProbeData, *, is_of_families: bool) -> LabelledSets:
    """Probe data as sets to fit with; a family is the name up to the first `_`."""
    groups = None
    if is_of_families:
        groups = np.array([name.partition("_")[0] for name in data.gallery_subjects.tolist()])
    return LabelledSets(
        probes=data.probes,
        subjects=data.probe_subjects,
        gallery=data.gallery,
        gallery_subjects=data.gallery_subjects,
        name=f"{data.protocol}, {len(data.probe_subjects)} sets of {data.set_size}",
        groups=groups,
    )


def drawn_non_faces(embedder: str, cache: Path) -> EmbeddingSet:
    """Pictures of every kind that can be drawn, embedded once."""
    network = load_embedder(embedder, num_threads=1)
    path = Path(f"{cache}.{network.fingerprint.partition('@')[0]}.npz")
    if not path.exists():
        rng = np.random.default_rng(SEED)
        crops = np.concatenate([draw_non_faces(kind, NUM_OF_A_KIND, rng) for kind in KINDS])
        embed_crops(crops, [network], CropQuality(num_threads=1))[0].save(path)
    return EmbeddingSet.load(path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sets", nargs="+", required=True)
    parser.add_argument("--non-faces", type=Path, required=True)
    parser.add_argument("--embedder", required=True)
    parser.add_argument("--fuser", action="append", required=True)
    parser.add_argument("--unrelated", action="store_true", help="names are not those of families")
    parser.add_argument(
        "--unrelated-sets", nargs="+", default=[], help="more sets, whose names are not of families"
    )
    options = parser.parse_args(arguments)
    others = drawn_non_faces(options.embedder, options.non_faces)
    name = str(others.embedder).partition("@")[0]
    sets = [
        labelled_sets(ProbeData.load(f"{path}.{name}.npz"), is_of_families=not options.unrelated)
        for path in options.sets
    ]
    sets += [
        labelled_sets(ProbeData.load(f"{path}.{name}.npz"), is_of_families=False)
        for path in options.unrelated_sets
    ]
    for given in options.fuser:
        fuser = load_fuser(given, embedder=others.embedder, num_threads=1)
        record = fit_usability(fuser, sets, others)
        path = usability_path(fuser, record.embedder)
        path.parent.mkdir(exist_ok=True)
        write_usability(record, path, force=True)
        print(
            f"{path}: level {record.level:.3f}, least likeness {record.least_likeness:.2f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
