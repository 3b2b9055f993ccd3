"""Whom a video is searched for: stills to be read, a gallery that is open, or the address of one."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from probefusion.errors import ConfigError, DtypeError
from probefusion.pipeline.chosen_models import Models

if TYPE_CHECKING:
    from probefusion.fusion import Fuser
    from probefusion.gallery import Gallery, Stills
    from probefusion.video.known_people import KnownPeople

__all__ = ["GallerySource", "gallery_address", "known_people"]

GallerySource: TypeAlias = "Stills | Gallery | str | Path | Sequence[str | Path] | None"
"""Stills or a gallery, the address of a gallery, or paths of stills."""

_SUFFIXES = (".db", ".sqlite", ".sqlite3")
_SERVERS = ("postgresql://", "postgres://")
_SQLITE = b"SQLite format 3\x00"


def gallery_address(given: str | Path | Sequence[str | Path]) -> str | None:
    """The address of a `Gallery`, or None if these are paths of stills.

    An address is a URL `postgresql://...`, a path that ends in .db, .sqlite or .sqlite3, or an SQLite file of any name.

    Args:
        given: One address, or paths.

    Raises:
        ConfigError: If an address stands among others.
        DtypeError: If it is none of these.
    """
    if not isinstance(given, str | os.PathLike | Sequence):
        raise DtypeError(
            f"gallery: expected a Gallery, its address, stills or their paths; got {type(given).__name__}."
        )
    paths = [given] if isinstance(given, str | os.PathLike) else list(given)
    found = [os.fspath(path) for path in paths if _is_address(path)]
    if not found:
        return None
    if len(paths) > 1:
        raise ConfigError(
            f"gallery: expected one gallery, or stills alone; got {len(paths)} paths with a gallery among them. Enroll "
            f"the stills in the gallery: probefusion enroll GALLERY NAME IMAGES."
        )
    return found[0]


@contextmanager
def known_people(
    models: Models, gallery: GallerySource, fuser: Fuser | None = None
) -> Iterator[tuple[KnownPeople | None, Fuser]]:
    """Whom to look for, and the fuser of the video; a gallery that is opened here is closed at the end.

    Args:
        models: The models of the pipeline. If they leave the choice of the fuser open, it is the gallery's.
        gallery: Whom to look for.
        fuser: A fuser that was chosen before, or None.

    Raises:
        MissingFileError: If there is no gallery at the address.
        ProbeFusionError: If the gallery or a still cannot be read, or the fuser does not fit.
    """
    from probefusion.gallery import Stills
    from probefusion.gallery.gallery import Gallery
    from probefusion.pipeline.screened_stills import screened_stills

    if gallery is None or isinstance(gallery, Stills):
        yield gallery, models.fuser_of_new_images(fuser)
        return
    if isinstance(gallery, Gallery):
        yield gallery, _fuser_for(models, gallery, fuser)
        return
    address = gallery_address(gallery)
    if address is None:
        yield screened_stills(models, gallery, "tell"), models.fuser_of_new_images(fuser)
        return
    with Gallery(address, create=False) as opened:
        yield opened, _fuser_for(models, opened, fuser)


def _fuser_for(models: Models, gallery: Gallery, fuser: Fuser | None) -> Fuser:
    if fuser is None:
        embedder = models.embedder.fingerprint
        made_by = gallery.made_by(embedder)
        fuser = None if made_by is None else models.fuser_that_made(made_by, embedder)
    return models.fuser_of_new_images(fuser)


def _is_address(path: str | Path) -> bool:
    text = os.fspath(path)
    if text.startswith(_SERVERS) or text.lower().endswith(_SUFFIXES):
        return True
    if not Path(text).is_file():
        return False
    with Path(text).open("rb") as stream:
        return stream.read(len(_SQLITE)) == _SQLITE
