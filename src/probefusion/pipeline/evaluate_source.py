"""Where the fusers and embeddings of an evaluation come from, the same for all protocols."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from probefusion.pipeline.chosen_embedder import open_embedder
from probefusion.pipeline.evaluate_checks import WITHOUT_LENGTHS, usual_fusers

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.fusion import Fuser
    from probefusion.pipeline.evaluate_attributes import AttributesAsked

__all__ = ["EvaluationSource"]

StrPath = str | Path
Progress = Callable[[int, int], None]


class EvaluationSource:
    """Where fusers and embeddings come from, the same for all protocols."""

    def __init__(
        self,
        *,
        fusers: Sequence[StrPath | Fuser] | None,
        embedder: StrPath | Embedder | None,
        preprocessing: str | None,
        norm_output: str | None,
        device: str,
        num_threads: int | None,
        cache: StrPath | None,
        trust_alignment: bool,
        on_embed: Progress | None,
        on_score: Progress | None,
        attributes: AttributesAsked,
    ) -> None:
        if isinstance(fusers, str | os.PathLike):
            fusers = (fusers,)
        self._fusers = fusers
        self.left_out: tuple[str, ...] = ()
        self._num_threads = num_threads
        self._device = device
        self.embedder = embedder
        self.described = {"preprocessing": preprocessing, "norm_output": norm_output}
        self.cache, self.trust_alignment = cache, trust_alignment
        self.on_embed, self.on_score = on_embed, on_score
        self.attributes = attributes

    def load_fusers(self, embedder: str | None, *, norms_known: bool) -> list[Fuser]:
        """The fusers, none of which was made for another embedder; the usual ones where none was named."""
        from probefusion.evaluation.scoring import check_fusers
        from probefusion.zoo import load_fuser

        chosen = self._fusers
        if chosen is None:
            chosen = usual_fusers(norms_known)
            self.left_out = () if norms_known else (WITHOUT_LENGTHS,)
        fusers = [
            load_fuser(fuser, num_threads=self._num_threads, embedder=embedder, device=self._device)
            for fuser in chosen
        ]
        check_fusers(fusers, embedder)
        return fusers

    def open(self) -> tuple[Embedder, list[Fuser]]:
        """The embedder, which judges crops too where a fuser needs that, and the fusers."""
        from probefusion.embedders import CropQuality, JudgedEmbedder
        from probefusion.evaluation.scoring import check_fusers

        embedder = open_embedder(
            self.embedder,
            **self.described,
            num_threads=self._num_threads,
            device=self._device,
        )
        fusers = self.load_fusers(embedder.fingerprint, norms_known=embedder.norms_known)
        check_fusers(fusers, embedder.fingerprint, norms_known=embedder.norms_known)
        if any(fuser.needs_quality for fuser in fusers):
            judge = CropQuality(num_threads=self._num_threads, device=self._device)
            embedder = JudgedEmbedder(embedder, judge)
        return embedder, fusers
