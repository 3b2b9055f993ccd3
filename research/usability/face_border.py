r"""Sets the border of faces of usability records that know nothing of a set but its embeddings.

    python -m research.usability.face_border --embedder compact_128d --fuser mean --fuser universal [--write]

A record calls a set "no faces" where a linear score of its looks is below a border, which the fit lays halfway between
nearly all drawn pictures and nearly all faces. Without style the two overlap, and faces of other cameras lie below.
Then the border is lowered to where a given share of the drawn pictures would pass: of the kinds that records are
fitted with and of kinds that no record has seen, alone, as copies and mixed. Those that end as not usable by their
prediction need no border.
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.embedders import CropQuality
from probefusion.fusion import Fuser
from probefusion.screening.non_faces import KINDS, draw_non_faces
from probefusion.screening.usability import StateFacts, predict_states
from probefusion.screening.usability_record import (
    UsabilityRecord,
    read_usability,
    write_usability,
)
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_embedder, load_fuser
from probefusion.zoo.usability import usability_path
from research.usability.draw_sets import embed_crops
from research.usability.unseen_kinds import TEST_KINDS, draw_test_kind

__all__ = ["lowered_border", "passing_scores"]

NUM_OF_A_KIND, COPIES, MIXED = 60, 8, (4, 16)
SEED = 11
_NO_BORDER = -1e6

Floats = npt.NDArray[np.float64]


def passing_scores(
    fuser: Fuser, record: UsabilityRecord, pictures: EmbeddingSet, rng: np.random.Generator
) -> Floats:
    """Scores of sets of pictures, alone, as copies and mixed; minus infinity where the prediction is enough.

    Args:
        fuser: The fuser.
        record: Its record.
        pictures: (N, D) of pictures that show no face.
        rng: Of the mixtures.

    Returns:
        (4 N,) scores of the looks.
    """
    without = replace(record, least_likeness=_NO_BORDER)
    alone = np.arange(len(pictures))
    sets = [alone[:, None], np.repeat(alone[:, None], COPIES, axis=1)]
    sets += [rng.integers(0, len(pictures), (len(pictures), size)) for size in MIXED]
    found = []
    for rows in sets:
        counts = np.full(len(rows), rows.shape[1])
        borders = np.arange(len(rows) + 1) * rows.shape[1]
        states = fuser.encode_many(pictures[rows.ravel()], borders)
        scores = StateFacts.of(states, counts).looks @ np.asarray(record.likeness)
        is_open = predict_states(states, counts, without)[:, 2] >= record.level
        found.append(np.where(is_open, scores + record.likeness_offset, -np.inf))
    return np.concatenate(found)


def lowered_border(fitted: float, scores: Floats, share: float) -> float:
    """The border that a share of the scores pass, at most the fitted one."""
    return min(fitted, round(float(np.quantile(scores, 1 - share, method="higher")), 3))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embedder", required=True)
    parser.add_argument("--fuser", action="append", required=True)
    parser.add_argument(
        "--share", type=float, default=0.02, help="of the drawn pictures that may pass"
    )
    parser.add_argument("--write", action="store_true", help="write the records anew")
    options = parser.parse_args()
    embedder = load_embedder(options.embedder, num_threads=1)
    rng = np.random.default_rng(SEED)
    crops = {kind: draw_non_faces(kind, NUM_OF_A_KIND, rng) for kind in KINDS}
    crops |= {kind: draw_test_kind(kind, NUM_OF_A_KIND, rng) for kind in TEST_KINDS}
    judge = CropQuality(num_threads=1)
    pictures = {kind: embed_crops(made, [embedder], judge)[0] for kind, made in crops.items()}
    for name in options.fuser:
        fuser = load_fuser(name, embedder=embedder.fingerprint, num_threads=1)
        _set_border(fuser, usability_path(fuser, embedder.fingerprint), pictures, options)


def _set_border(
    fuser: Fuser, path: Path, pictures: dict[str, EmbeddingSet], options: argparse.Namespace
) -> None:
    record = read_usability(path)
    by_kind = {
        kind: passing_scores(fuser, record, images, np.random.default_rng(SEED))
        for kind, images in pictures.items()
    }
    border = lowered_border(
        record.least_likeness, np.concatenate(list(by_kind.values())), options.share
    )
    print(f"{fuser.fingerprint}: fitted {record.least_likeness:.3f}, lowered to {border}")
    for kind, scores in by_kind.items():
        passed = (float((scores >= level).mean()) for level in (record.least_likeness, border))
        print(f"  {kind}: {', then '.join(f'{share:.3f}' for share in passed)} pass")
    if options.write and border < record.least_likeness:
        told = (
            f"lowered from {record.least_likeness:.3f}: {options.share} of the drawn pictures pass"
        )
        lowered = replace(
            record, least_likeness=border, fitted_on={**record.fitted_on, "least_likeness": told}
        )
        write_usability(lowered, path, force=True)


if __name__ == "__main__":
    main()
