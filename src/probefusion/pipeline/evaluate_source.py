"""Where the fusers and embeddings of an evaluation come from, the same for all protocols."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probefusion.errors import MissingStyleError, ShapeError
from probefusion.pipeline.chosen_embedder import open_embedder

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.fusion import Fuser
    from probefusion.types import EmbeddingSet

__all__ = ["EvaluationSource", "check_fits"]

StrPath = str | Path
Progress = Callable[[int, int], None]


class EvaluationSource:
    """Where fusers and embeddings come from, the same for all protocols."""

    def __init__(
        self,
        *,
        fusers: Sequence[StrPath | Fuser],
        embedder: StrPath | Embedder | None,
        preprocessing: str | None,
        device: str,
        num_threads: int | None,
        cache: StrPath | None,
        on_embed: Progress | None,
        on_score: Progress | None,
    ) -> None:
        if isinstance(fusers, str | os.PathLike):
            fusers = (fusers,)
        self._fusers = fusers
        self._num_threads = num_threads
        self._device = device
        self.embedder, self.preprocessing = embedder, preprocessing
        self.cache = cache
        self.on_embed, self.on_score = on_embed, on_score

    def load_fusers(self, embedder: str | None) -> list[Fuser]:
        """The fusers, none of which was made for another embedder."""
        from probefusion.evaluation.scoring import check_fusers
        from probefusion.zoo import load_fuser

        fusers = [
            load_fuser(fuser, num_threads=self._num_threads, embedder=embedder, device=self._device)
            for fuser in self._fusers
        ]
        check_fusers(fusers, embedder)
        return fusers

    def open(self) -> tuple[Embedder, list[Fuser]]:
        """The embedder, which judges crops too where a fuser needs that, and the fusers."""
        from probefusion.embedders import CropQuality, JudgedEmbedder

        embedder = open_embedder(
            self.embedder,
            preprocessing=self.preprocessing,
            num_threads=self._num_threads,
            device=self._device,
        )
        fusers = self.load_fusers(embedder.fingerprint)
        if any(fuser.needs_quality for fuser in fusers):
            judge = CropQuality(num_threads=self._num_threads, device=self._device)
            embedder = JudgedEmbedder(embedder, judge)
        return embedder, fusers


def check_fits(fusers: Sequence[Fuser], images: EmbeddingSet) -> None:
    """Refuses embeddings that a fuser cannot take, before anything is scored.

    Raises:
        MissingStyleError: If a fuser needs style and the embeddings come without.
        ShapeError: If the embeddings have another length than a fuser takes.
    """
    for fuser in fusers:
        try:
            fuser.check_fits(images)
        except MissingStyleError as error:
            raise MissingStyleError(
                f"{error} Embeddings made elsewhere can bring it as style (R, C, 2) in an .npz; without "
                f"it take 'exact-embedding', which looks at embedding and length alone."
            ) from error
        except ShapeError as error:
            if fuser.dim is not None and images.dim == 2 * fuser.dim:
                raise ShapeError(
                    f"{error} Rows of twice the length hold image and mirror image, as InsightFace's "
                    f"helper saves them: give --flipped (flipped=True), and they are added."
                ) from error
            raise
