"""The models of a pipeline: chosen, loaded when first needed, and once."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from probefusion.errors import (
    ConfigError,
    EmbedderMismatchError,
    MissingFileError,
    ProbeFusionError,
    ShapeError,
    UnknownNameError,
)
from probefusion.files.paths import as_list
from probefusion.fusion import Fuser
from probefusion.pipeline.alignment_check import AlignmentCheck
from probefusion.pipeline.chosen_embedder import is_fingerprint, open_embedder
from probefusion.pipeline.fuser_advice import better_than, how_to_get
from probefusion.pipeline.given_models import check_models
from probefusion.pipeline.image_files import refuse_embeddings
from probefusion.types import EmbeddingSet, FusionState
from probefusion.types.revisions import remedy

if TYPE_CHECKING:
    from probefusion.embedders import CropQuality, Embedder, EmbeddingReport
    from probefusion.faces import Detector

__all__ = ["Models"]

_log = logging.getLogger("probefusion")

_ARCFACE_SIDE = 112
"""Side in pixels of the crops that embedders take whose crops are aligned as ArcFace's."""

_GET_DETECTOR = (
    "Get one with: probefusion models pull yunet_2023mar; then give --detector yunet_2023mar "
    '(detector="yunet_2023mar")'
)


class Models:
    """Embedder, detector and fuser of a pipeline.

    Args:
        embedder: As for `Pipeline`.
        detector: As for `Pipeline`.
        fuser: As for `Pipeline`.
        aligned, preprocessing, norm_output, device, num_threads, chunk_size, ignore_columns, keep_chips: Likewise.
        calibration_file: Beside it may stand what is known about the usability of templates.

    Raises:
        ConfigError, DtypeError: As for `Pipeline`.
    """

    def __init__(
        self,
        *,
        embedder: str | os.PathLike[str] | Embedder | None,
        detector: str | os.PathLike[str] | Detector | None,
        fuser: str | os.PathLike[str] | Fuser,
        aligned: bool,
        preprocessing: str | None,
        norm_output: str | None,
        device: str,
        num_threads: int | None,
        chunk_size: int | None,
        ignore_columns: Sequence[str] = (),
        keep_chips: bool = False,
        calibration_file: Path | None = None,
    ) -> None:
        self.keep_chips = keep_chips
        check_models(embedder, detector, fuser)
        if chunk_size is not None and chunk_size < 1:
            raise ConfigError(f"chunk_size: expected at least 1 image or None, got {chunk_size}.")
        if aligned and detector is not None:
            raise ConfigError(
                "--aligned, --detector: expected one of the two, got both. Aligned crops are not searched "
                "for faces: leave --detector out, or --aligned if these are photos."
            )
        self._described = {"preprocessing": preprocessing, "norm_output": norm_output}
        for name, given in self._described.items():
            if given is not None and not isinstance(embedder, str | os.PathLike | None):
                raise ConfigError(
                    f"{name}: expected None beside a ready embedder. Give the embedder's name or file instead."
                )
        self.aligned, self.calibration_file = aligned, calibration_file
        self._embedder, self._detector, self._fuser = embedder, detector, fuser
        self.num_threads, self.chunk_size, self._device = num_threads, chunk_size, device
        columns = [ignore_columns] if isinstance(ignore_columns, str) else ignore_columns
        self.ignore_columns = tuple(columns)
        self._ready_embedder: Embedder | None = None
        self._ready_detector: Detector | None = None
        self._quality: CropQuality | None = None
        self._alignment = AlignmentCheck()
        self._fusers: dict[tuple[str, str | None], Fuser] = {}

    @property
    def embedder(self) -> Embedder:
        """The embedder; where none was named that of the package, which is noted in the log.

        Raises:
            ProbeFusionError: As for `load_embedder`.
        """
        if self._ready_embedder is None:
            self._ready_embedder = open_embedder(
                self._embedder,
                **self._described,
                num_threads=self.num_threads,
                device=self._device,
            )
        return self._ready_embedder

    @property
    def detector(self) -> Detector:
        """The face detector.

        Raises:
            ConfigError: If none was named.
            ProbeFusionError: As for `load_detector`.
        """
        from probefusion.zoo import load_detector

        if self._ready_detector is None:
            given = self._detector
            if given is None:
                raise ConfigError(
                    f"--detector: finding faces needs a face detector. {_GET_DETECTOR}."
                )
            if isinstance(given, str | os.PathLike):
                self._ready_detector = load_detector(os.fspath(given))
            else:
                self._ready_detector = given
        return self._ready_detector

    def check_can_crop(self) -> None:
        """Refuses images where it is not said whether they are photos or crops.

        Raises:
            ConfigError: If there is neither a detector nor aligned images.
        """
        if not self.aligned and self._detector is None:
            raise ConfigError(
                f"--detector: photos need a face detector. {_GET_DETECTOR}; or give --aligned (aligned=True) if "
                f"the images are aligned 112x112 face crops."
            )

    def embed(
        self,
        paths: Any,
        *,
        kept: bool,
        made_by: str | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> EmbeddingReport:
        """Embeds images of one person; `paths` and `progress` as for `embed_images`.

        Args:
            paths: Images, folders and zip archives.
            kept: As for `judge`.
            made_by: As for `judge`.
            progress: Called with the number of images done and in all.

        Raises:
            ConfigError: If there is neither a detector nor aligned images, or images that are said to be
                aligned are not.
            ProbeFusionError: As for `refuse_embeddings` and `embed_images`.
        """
        from probefusion.embedders import embed_images
        from probefusion.faces import ImageSource

        if not isinstance(paths, str | os.PathLike | ImageSource):
            paths = as_list(paths, "paths", expected="images, folders or zip archives")
        refuse_embeddings(paths)
        self.check_can_crop()
        if self.aligned:
            self.check_aligned(self._alignment.chosen(paths))
        return embed_images(
            paths,
            self.embedder,
            detector=self.crop_detector,
            aligned=self.aligned,
            quality=self.judge(kept=kept, made_by=made_by),
            num_threads=self.num_threads,
            progress=progress,
            keep_chips=self.keep_chips,
        )

    def check_aligned(self, images: Iterable[npt.NDArray[np.uint8]]) -> None:
        """Looks at some images of a person where they are said to be aligned for ArcFace.

        Raises:
            ConfigError: As for `AlignmentCheck`.
        """
        if self.aligned and self.embedder.spec.input_size == _ARCFACE_SIDE:
            self._alignment.look_at(islice(images, self._alignment.num_images))

    @property
    def crop_detector(self) -> Detector | None:
        """What finds the face in an image, or None where images are crops already."""
        return None if self.aligned else self.detector

    def judge(self, *, kept: bool, made_by: str | None = None) -> CropQuality | None:
        """What judges crops for the universal fuser, or None where that is not needed.

        Judging costs as much as a small embedder.

        Args:
            kept: Whether the embeddings are kept and may meet any fuser later; otherwise they are fused
                at once by the fuser of this pipeline.
            made_by: Fingerprint of the fuser of the states or templates that the images join, or None;
                "auto" takes that one, whatever else would fit.
        """
        if not kept and not self._fuser_needs_quality(made_by):
            return None
        if self._quality is None:
            from probefusion.embedders import CropQuality

            self._quality = CropQuality(num_threads=self.num_threads, device=self._device)
        return self._quality

    def state_embedder(self, images: EmbeddingSet) -> EmbeddingSet:
        """A set that carries the embedder that the user named, if one was named.

        Raises:
            EmbedderMismatchError: If the set says that it is of another one.
            ShapeError: If its dimension is another one.
        """
        if self._embedder is None:
            return images
        what = f"the embeddings of {images.origin}" if images.origin else "the embeddings"
        fingerprint, dim = self._stated_embedder(images.embedder, what)
        if dim is not None and images.dim != dim:
            raise ShapeError(
                f"--embedder: {fingerprint} gives {dim} dimensions, {what} have {images.dim}. "
                f"Name the model that made them."
            )
        return images if images.embedder == fingerprint else replace(images, embedder=fingerprint)

    def state_embedder_of(self, state: FusionState) -> FusionState:
        """A saved state that carries the embedder that the user named, if one was named.

        Raises:
            EmbedderMismatchError: If the state says that it is of another one.
        """
        if self._embedder is None:
            return state
        fingerprint, _ = self._stated_embedder(state.embedder, "the images of the state")
        return state if state.embedder == fingerprint else replace(state, embedder=fingerprint)

    def choose_fuser(
        self,
        sets: Sequence[EmbeddingSet] = (),
        states: Sequence[FusionState] = (),
        *,
        made_by: str | None = None,
    ) -> Fuser:
        """The fuser; for "auto" the one that made the states or templates, or that fits all sets.

        Args:
            sets: What is to be fused.
            states: Saved states.
            made_by: Fingerprint of the fuser of templates, or None.

        Raises:
            ConfigError: If the fuser of a state or template is not in the package.
            ProbeFusionError: As for `load_fuser`.
        """
        from probefusion.zoo import suggest_fuser

        embedder = _only(
            {images.embedder for images in sets} | {state.embedder for state in states}
        )
        if self._fuser != "auto":
            return self._load_fuser(self._fuser, embedder)
        if states or made_by is not None:
            what, name = (
                ("template", made_by) if made_by is not None else ("state", states[0].fuser)
            )
            fuser = self.fuser_that_made(name, embedder)
            if fuser is None:
                raise ConfigError(
                    f"--fuser: the {what} was made by {name}, which is not here. {how_to_get(name)}"
                )
            return fuser
        name = _only({suggest_fuser(images) for images in sets}) or "mean"
        if (name, embedder) not in self._fusers:
            _log.info("fuser: %s (choose with --fuser)%s", name, better_than(name, sets))
        return self._load_fuser(name, embedder)

    def fuser_to_screen(self, sets: Sequence[EmbeddingSet]) -> Fuser:
        """The fuser to screen sets with that something else will fuse later; nothing is noted in the log.

        Args:
            sets: The sets; the fuser of this pipeline is taken where it fits them, else one that does.
        """
        from probefusion.zoo import suggest_fuser

        embedder = _only({images.embedder for images in sets})
        if self._fuser != "auto":
            fuser = self._load_fuser(self._fuser, embedder)
            with suppress(ProbeFusionError):
                for images in sets:
                    fuser.check_fits(images)
                return fuser
        name = _only({suggest_fuser(images) for images in sets}) or "mean"
        return self._load_fuser(name, embedder)

    def fuser_that_made(self, fingerprint: str, embedder: str | None = None) -> Fuser | None:
        """The fuser, "exact" being the one for `embedder`; for "auto" the one that a fingerprint names, or None.

        Raises:
            ProbeFusionError: As for `load_fuser`.
        """
        if self._fuser != "auto":
            return self._load_fuser(self._fuser, embedder)
        try:
            return self._load_fuser(fingerprint.split("@")[0], embedder)
        except (UnknownNameError, MissingFileError):
            return None  # another's fuser, or a known one that was not pulled

    def fuser_of_new_images(self, fuser: Fuser | None = None) -> Fuser:
        """The fuser for what the embedder will give, which must fit.

        Args:
            fuser: One that was chosen before, or None.

        Raises:
            ProbeFusionError: If it does not fit, or as for `load_fuser`.
        """
        size = self.embedder.spec.input_size
        noise = np.random.default_rng(0).integers(0, 256, (1, size, size, 3)).astype(np.uint8)
        example = self.embedder.embed_set(
            noise
        )  # in all but its values as any set of this embedder
        judge = self.judge(kept=False, made_by=None if fuser is None else fuser.fingerprint)
        if judge is not None:
            example = replace(example, quality=judge.judge(noise))
        fuser = fuser or self.choose_fuser([example])
        fuser.check_fits(example)
        return fuser

    def _stated_embedder(self, said: str | None, what: str) -> tuple[str, int | None]:
        """Fingerprint and dimension of the embedder that was named, where nothing says otherwise."""
        fingerprint, dim = self._named_embedder()
        if said not in (None, fingerprint):
            raise EmbedderMismatchError(
                f"--embedder: {what} say that they are of {said}, got {fingerprint}. "
                f"{remedy(said, fingerprint, 'Leave --embedder out, or name the model that made them.')}"
            )
        return fingerprint, dim

    def _named_embedder(self) -> tuple[str, int | None]:
        """Fingerprint and, where known, dimension of the embedder that was named; nothing is loaded."""
        from probefusion.zoo import resolve_embedder

        given = self._embedder
        if isinstance(given, str) and is_fingerprint(given):
            return given, None
        if isinstance(given, str | os.PathLike) and self._ready_embedder is None:
            _, spec = resolve_embedder(os.fspath(given), settings=self._described)
            return spec.fingerprint, spec.dim
        return self.embedder.fingerprint, self.embedder.spec.dim

    def _load_fuser(self, fuser: str | os.PathLike[str] | Fuser, embedder: str | None) -> Fuser:
        from probefusion.zoo import load_fuser

        if isinstance(fuser, Fuser):
            return fuser
        key = (os.fspath(fuser), embedder)
        if key not in self._fusers:
            self._fusers[key] = load_fuser(
                fuser, num_threads=self.num_threads, embedder=embedder, device=self._device
            )
        return self._fusers[key]

    def _fuser_needs_quality(self, made_by: str | None) -> bool:
        from probefusion.zoo.fusers import has_fuser_for

        if self._fuser == "auto" and made_by is not None:
            fuser = self.fuser_that_made(made_by, self.embedder.fingerprint)
            return fuser is not None and fuser.needs_quality
        if self._fuser == "auto":
            return not has_fuser_for(self.embedder.fingerprint)
        return self._load_fuser(self._fuser, self.embedder.fingerprint).needs_quality


def _only(names: set[Any]) -> Any:
    """The name, if there is one and no other; else None."""
    return names.pop() if len(names) == 1 else None
