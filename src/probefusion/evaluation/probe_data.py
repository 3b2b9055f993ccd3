"""Embedded gallery and probe images of many people: what an evaluation starts from."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from probefusion.errors import InvalidInputError, ShapeError
from probefusion.files import read_npz, write_npz
from probefusion.types import EmbeddingSet

__all__ = ["ProbeData"]

_KIND = "probe_data"
_ARRAYS = frozenset(
    {
        "gallery_embeddings",
        "gallery_subjects",
        "probe_embeddings",
        "probe_subjects",
        "severities",
        "protocol",
    }
)

_OPTIONAL_ARRAYS = frozenset(
    {"gallery_style", "probe_style", "gallery_quality", "probe_quality", "embedder"}
)


@dataclass(frozen=True, kw_only=True, eq=False)
class ProbeData:
    """One gallery image per subject, and probe sets of equal size.

    Args:
        gallery: G images, one per subject.
        gallery_subjects: (G,) subject ids, all different.
        probes: P x K images, probe set after probe set; a smaller set is the first images of one.
        probe_subjects: (P,) subject id of each probe set; each is in the gallery.
        severities: (P, K) float32, how badly each probe image is degraded, in [0, 1].
        protocol: Name and content hash of the protocol they come from.

    Raises:
        ShapeError: If the numbers do not fit.
        InvalidInputError: If a gallery subject stands twice, or a probe subject is missing there.
    """

    gallery: EmbeddingSet
    gallery_subjects: npt.NDArray[np.str_]
    probes: EmbeddingSet
    probe_subjects: npt.NDArray[np.str_]
    severities: npt.NDArray[np.float32]
    protocol: str

    def __post_init__(self) -> None:
        if len(self.gallery_subjects) != self.gallery.num_images:
            raise ShapeError(
                f"gallery_subjects: expected {self.gallery.num_images}, one per gallery image, got "
                f"{len(self.gallery_subjects)}."
            )
        num_sets = len(self.probe_subjects)
        if num_sets == 0 or self.severities.shape != (num_sets, self.probes.num_images // num_sets):
            raise ShapeError(
                f"severities: expected (P, K) with P = {num_sets} probe sets and P x K = "
                f"{self.probes.num_images} images, got {self.severities.shape}."
            )
        if len(np.unique(self.gallery_subjects)) != len(self.gallery_subjects):
            raise InvalidInputError("gallery_subjects: expected each subject once, got duplicates.")
        missing = np.setdiff1d(self.probe_subjects, self.gallery_subjects)
        if len(missing):
            raise InvalidInputError(
                f"probe_subjects: {missing[0]!r} is not in the gallery ({len(missing)} such)."
            )

    @property
    def set_size(self) -> int:
        """K, images in each probe set."""
        return int(self.severities.shape[1])

    def probe_sets(
        self, num_images: int, *, max_blocks: int = 1
    ) -> tuple[EmbeddingSet, npt.NDArray[np.str_]]:
        """Probe sets of a given size: the first images of each stored one, as the protocol says.

        Args:
            num_images: Images per set, at most K.
            max_blocks: Use up to this many consecutive, disjoint blocks of each stored set, not
                the first alone; a departure from the protocol that lowers the variance.

        Returns:
            All images, set after set (each `num_images` long), and the subject of each set.

        Raises:
            InvalidInputError: If `num_images` is not in 1..K.
        """
        size = self.set_size
        if not 1 <= num_images <= size:
            raise InvalidInputError(f"num_images: expected 1 to {size}, got {num_images}.")
        blocks = min(max_blocks, size // num_images)
        used = blocks * num_images
        starts = np.arange(len(self.probe_subjects)) * size
        rows = (starts[:, None] + np.arange(used)).ravel()
        return self.probes[rows], np.repeat(self.probe_subjects, blocks)

    def save(self, path: str | Path, *, force: bool = False) -> None:
        """Writes everything as `.npz`, embeddings and style in half precision.

        Raises:
            OutputExistsError: If the file exists and `force` is False.
        """
        arrays: dict[str, object] = {
            "gallery_subjects": self.gallery_subjects,
            "probe_subjects": self.probe_subjects,
            "severities": self.severities.astype(np.float16),
            "protocol": self.protocol,
            "embedder": self.gallery.embedder,
        }
        for name, images in (("gallery", self.gallery), ("probe", self.probes)):
            arrays[f"{name}_embeddings"] = images.embeddings.astype(np.float16)
            if images.style is not None:
                arrays[f"{name}_style"] = images.style.astype(np.float16)
            if images.quality is not None:
                arrays[f"{name}_quality"] = images.quality.astype(np.float16)
        write_npz(path, kind=_KIND, version=1, arrays=arrays, force=force)

    @staticmethod
    def load(path: str | Path) -> ProbeData:
        """Reads what `save` wrote.

        Raises:
            MissingFileError: If the file does not exist.
            FileFormatError: If it is no such file.
        """
        arrays = read_npz(
            path,
            kind=_KIND,
            version=1,
            required=_ARRAYS,
            optional=_OPTIONAL_ARRAYS,
        )
        embedder = str(arrays["embedder"]) if "embedder" in arrays else None
        sets = {
            name: EmbeddingSet(
                embeddings=arrays[f"{name}_embeddings"],
                style=arrays.get(f"{name}_style"),
                quality=arrays.get(f"{name}_quality"),
                embedder=embedder,
                origin=f"{Path(path).name} ({name})",
            )
            for name in ("gallery", "probe")
        }
        return ProbeData(
            gallery=sets["gallery"],
            gallery_subjects=arrays["gallery_subjects"],
            probes=sets["probe"],
            probe_subjects=arrays["probe_subjects"],
            severities=arrays["severities"].astype(np.float32),
            protocol=str(arrays["protocol"]),
        )
