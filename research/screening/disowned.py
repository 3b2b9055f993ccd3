"""Images that two networks agree to find unlike the person they are filed under: likely labelled wrongly.

    python -m research.screening.disowned FIRST.npz SECOND.npz -o DISOWNED.txt

Both files hold embeddings of the same crops by two networks, with sources PERSON/FILE and quality. An image's cosine
to its person's robust template is compared with what images of its quality have; both networks must find it 1.5
spreads below. The networks should be others than the one that is judged, or what it finds hard would be taken away.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.types import EmbeddingSet

__all__ = ["main", "strangeness"]

LIMIT = 1.5
_TRIMMED = 0.2
_ROUNDS = 5

Rows = npt.NDArray[np.float64]


def strangeness(images: EmbeddingSet, owners: npt.NDArray[np.str_]) -> Rows:
    """(N,) by how many spreads each image is less like its person's template than images of its quality are."""
    units = images.embeddings.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    if images.quality is None:
        raise SystemExit("images: expected a quality, got none.")
    weights = np.exp(images.quality.astype(np.float64))
    cosines = np.empty(len(units))
    for owner in np.unique(owners):
        rows = owners == owner
        cosines[rows] = units[rows] @ _robust(units[rows], weights[rows])
    terms = np.stack([np.ones_like(weights), weights, weights**2], axis=1)
    residuals = cosines - terms @ np.linalg.lstsq(terms, cosines, rcond=None)[0]
    below: Rows = -residuals / residuals.std()
    return below


def _robust(units: Rows, weights: Rows) -> Rows:
    """The weighted mean direction without the fifth that is least like it."""
    template = weights @ units
    for _ in range(_ROUNDS):
        cosines = units @ (template / np.linalg.norm(template))
        template = (weights * (cosines > np.quantile(cosines, _TRIMMED))) @ units
    direction: Rows = template / np.linalg.norm(template)
    return direction


def main(arguments: Sequence[str] | None = None) -> None:
    """Writes the sources, a line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs=2, type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args(arguments)
    first, second = (EmbeddingSet.load(path) for path in options.files)
    if first.sources is None or second.sources is None or len(first) != len(second):
        raise SystemExit("files: expected the same images in both, with sources PERSON/FILE.")
    owners = np.array([Path(str(name)).parent.name for name in first.sources])
    below = [strangeness(images, owners) > LIMIT for images in (first, second)]
    names = first.sources[below[0] & below[1]]
    options.output.write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
    print(f"{len(names)} of {len(first)} images")


if __name__ == "__main__":
    main()
