"""`Hits`: what one search of an index found."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from probefusion.types import FloatArray

__all__ = ["Hits"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Hits:
    """What one query found, best first; equal similarities by id.

    Args:
        ids: K ids of templates, each once; () if nothing was found.
        similarities: (K,) float32, falling; read-only. Each is the float32 number next to the inner product
            of the two vectors, whatever kernel, batch or order of rows found it.

    Iterating gives pairs of id and similarity.

    Example:
        >>> import numpy as np
        >>> hits = Hits(ids=("ann", "bob"), similarities=np.array([0.75, 0.25], np.float32))
        >>> hits.best, len(hits), list(hits)
        ('ann', 2, [('ann', 0.75), ('bob', 0.25)])
    """

    ids: tuple[str, ...]
    similarities: FloatArray

    def __len__(self) -> int:
        """K, the number of templates found."""
        return len(self.ids)

    def __iter__(self) -> Iterator[tuple[str, float]]:
        return iter(zip(self.ids, self.similarities.tolist(), strict=True))

    @property
    def best(self) -> str | None:
        """The id of the most similar template, or None if nothing was found."""
        return self.ids[0] if self.ids else None

    @classmethod
    def ranked(
        cls, ids: list[str], similarities: npt.NDArray[np.float32], top_k: int | None
    ) -> Hits:
        """Puts what was found in its order and keeps the first `top_k` (None: all).

        Args:
            ids: In any order.
            similarities: (K,) float32, in the same one.
            top_k: How many to keep.
        """
        order = np.argsort(-similarities, kind="stable")
        falling = similarities[order]
        if (falling[1:] == falling[:-1]).any():
            keys = [(-value, ids[place]) for place, value in enumerate(similarities.tolist())]
            order = np.array(sorted(range(len(ids)), key=keys.__getitem__), dtype=np.intp)
        kept = similarities[order[:top_k]]
        kept.flags.writeable = False
        return cls(ids=tuple(ids[place] for place in order[:top_k].tolist()), similarities=kept)
