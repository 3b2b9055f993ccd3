"""Made-up people for galleries: embeddings that are like a person, and like nobody else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from probefusion.types import EmbeddingSet

EMBEDDER = "made_up_64d@000000000000"


@dataclass(frozen=True, kw_only=True)
class MadeUp:
    """People whose images scatter around a direction of their own."""

    seed: int = 0
    dim: int = 64
    spread: float = 0.05
    embedder: str | None = EMBEDDER
    channels: int = 0

    def images(self, who: int, visit: int, count: int = 3) -> EmbeddingSet:
        """Images of person `who` at one visit."""
        centre = np.random.default_rng([self.seed, who]).standard_normal(self.dim)
        rng = np.random.default_rng([self.seed, who, visit])
        rows = centre / np.linalg.norm(centre) + self.spread * rng.standard_normal(
            (count, self.dim)
        )
        lengths = rng.uniform(10, 30, (count, 1))
        style = rng.uniform(0.5, 2, (count, self.channels, 2)) if self.channels else None
        return EmbeddingSet(
            embeddings=rows / np.linalg.norm(rows, axis=1, keepdims=True) * lengths,
            style=style,
            sources=np.array([f"{who}/{visit}/{row}.jpg" for row in range(count)]),
            embedder=self.embedder,
        )


def stored_bits(gallery) -> dict[str, tuple[int, bytes]]:
    """Number of images and the bits of the template of everybody who is shown, by name."""
    found = {}
    with gallery.store.reading(gallery.collection) as reader:
        (model,) = [row for row in reader.models() if row.status == "serving"]
        for person in reader.people():
            row = reader.vector(model.id, person.id)
            if row is None or row.vector is None:
                found[person.name] = (0, b"")
                continue
            key = gallery._sealer.key(person.key_id)
            vector = gallery._sealer.open_vector(row.vector, person.id, model.id, key)
            found[person.name] = (row.num_images, vector.tobytes())
    return found
