"""An embedder that kills its own process once, in the middle of a chunk."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

from probefusion.zoo import load_embedder

__all__ = ["KillingEmbedder"]


class KillingEmbedder:
    """Embeds as the network in a file does; the process that is first to embed a third batch dies.

    Args:
        path: The network.
        marker: File that says that one has died.
    """

    def __init__(self, path: Path, marker: Path) -> None:
        self._path, self._marker, self._batches = path, marker, 0
        self._embedder = load_embedder(path, num_threads=1)
        self.spec = self._embedder.spec
        self.fingerprint = self._embedder.fingerprint
        self.own_fingerprint = self._embedder.own_fingerprint
        self.norms_known = self._embedder.norms_known

    def __reduce__(self) -> tuple[Any, ...]:
        return KillingEmbedder, (self._path, self._marker)

    def embed(self, crops: Any) -> Any:
        """The network's embeddings, or the end."""
        self._batches += 1
        if self._batches == 3 and not self._marker.exists():
            self._marker.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return self._embedder.embed(crops)
