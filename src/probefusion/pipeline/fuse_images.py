"""Images of many people to a file of templates: embedded first, into rows that are then fused."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from probefusion.archives import ArchiveReport
from probefusion.archives.files.storage import (
    Place,
    exists,
    is_url,
    list_files,
    remove_folder,
    shown_place,
)
from probefusion.archives.fusing.outputs import check_apart
from probefusion.archives.images.manifest import MANIFEST
from probefusion.errors import ConfigError, OutputExistsError, UnsupportedOperationError
from probefusion.files import check_output_file
from probefusion.files.reading import in_one_line
from probefusion.pipeline.chosen_embedder import stated_fingerprint
from probefusion.pipeline.embed_archive import EmbeddedArchive, embed_archive
from probefusion.pipeline.fuse_archive import fuse_archive
from probefusion.types.template_files import check_template_path
from probefusion.zoo import DEFAULT_EMBEDDER, load_fuser

if TYPE_CHECKING:
    from probefusion.archives.engines.engine import Engine
    from probefusion.embedders import Embedder
    from probefusion.fusion import Fuser

__all__ = ["FusedImages", "fuse_images"]

_OWN = re.compile(rf"chunk-[0-9]+\.parquet|{re.escape(MANIFEST)}")
"""What `embed_archive` writes."""


@dataclass(frozen=True, kw_only=True)
class FusedImages:
    """What became of the images of an archive.

    Args:
        embedded: Images embedded, and those that were not.
        fused: What was fused.
        rows: Folder or url of the rows; None where they were not kept.
    """

    embedded: EmbeddedArchive
    fused: ArchiveReport
    rows: str | None = field(default=None)


def fuse_images(
    source: Place,
    output: Place,
    *,
    engine: Engine | None = None,
    fuser: str | os.PathLike[str] | Fuser,
    embedder: str | os.PathLike[str] | Embedder | None = None,
    rows: Place | None = None,
    device: str = "cpu",
    force: bool = False,
    embedding: dict[str, Any] | None = None,
    embedding_progress: Callable[[int, int | None], None] | None = None,
    **fusing: Any,
) -> FusedImages:
    """Embeds the images of many people and fuses those of each, as `embed_archive` and then `fuse_archive` do.

    Either of them goes on where it was stopped when this is called again.

    Args:
        source: As for `probefusion.pipeline.embed_archive.embed_archive`.
        output: As for `probefusion.pipeline.fuse_archive.fuse_archive`.
        engine: As for `embed_archive`.
        fuser: Name or folder of an exact fuser, or a fuser; where it needs the quality of crops, they are judged.
        embedder: As for `Pipeline`.
        rows: Folder or url for the rows, which stay there; None takes `OUTPUT.rows`, which goes when all is done.
        device: Where embedder and fuser run, "cpu" or "cuda".
        force: Whether an existing output is replaced, and rows are begun anew; where images are added to states
            (`add_to`), only the first.
        embedding: Further arguments of `embed_archive`, as `{"detector": "yunet_2023mar"}` or `{"aligned": True}`.
        embedding_progress: Called with (images embedded, images in all or None).
        fusing: Further arguments of `fuse_archive`.

    Returns:
        What was embedded and fused.

    Raises:
        OutputExistsError: If the output exists; no image is embedded then.
        ConfigError: If images are added to states, and their rows are not kept.
        UnsupportedOperationError: If the fuser is not exact.
        ProbeFusionError: As for `embed_archive` and `fuse_archive`.
    """
    given = dict(embedding or {})
    _check_output(output, force=force)
    adds = fusing.get("add_to") is not None
    if rows is None and adds:
        raise ConfigError(
            "--add-to with images: expected --rows (rows=), a folder that keeps what was embedded, so that only new "
            "images are added. Give the folder that the states were made of, or a new one if the source holds new "
            "images only."
        )
    if rows is not None and str(rows).rstrip("/") == str(output).rstrip("/"):
        raise ConfigError("--rows (rows=): expected another place than the output.")
    if rows is not None:
        check_apart(rows, f"{os.fspath(output)}.work", what="rows")
    made_by = stated_fingerprint(
        DEFAULT_EMBEDDER if embedder is None else embedder,
        preprocessing=given.get("preprocessing"),
        norm_output=given.get("norm_output"),
    )
    chosen = load_fuser(fuser, num_threads=1, embedder=made_by, device=device)
    if not chosen.is_exact:
        raise UnsupportedOperationError(
            f"fuser {chosen.name!r}: its templates depend on how images are split into batches, which in an archive "
            f"is an accident. Use an exact fuser."
        )
    given["quality"] = bool(given.get("quality")) or chosen.needs_quality
    place = os.fspath(f"{os.fspath(output)}.rows" if rows is None else rows)
    if rows is None:
        _check_own(place)
    embedded = embed_archive(
        source,
        place,
        engine=engine,
        embedder=embedder,
        device=device,
        force=force and not adds,
        progress=embedding_progress,
        **given,
    )
    fused = fuse_archive(place, output, fuser=chosen, engine=engine, force=force, **fusing)
    if rows is not None:
        return FusedImages(embedded=embedded, fused=fused, rows=place)
    remove_folder(place)
    return FusedImages(embedded=embedded, fused=fused)


def _check_own(rows: str) -> None:
    """Refuses a folder for rows that is removed at the end and holds other files.

    Raises:
        OutputExistsError: If it does.
    """
    foreign = [
        file.name for file in list_files(rows, missing_ok=True) if not _OWN.fullmatch(file.name)
    ]
    if foreign:
        raise OutputExistsError(
            f"folder {shown_place(rows)!r}: would be removed with all it holds when its rows are fused, and holds "
            f"other files, as {in_one_line(foreign[0])}. Move them, or choose a folder for the rows that stays: --rows."
        )


def _check_output(output: Place, *, force: bool) -> None:
    """Refuses an output before hours of work.

    Raises:
        OutputExistsError: If it exists.
        ProbeFusionError: As for `check_output_file` and `check_template_path`.
    """
    if not is_url(output):
        check_template_path(check_output_file(os.fspath(output), force=force))
        return
    check_template_path(os.fspath(output).rpartition("/")[2])
    if not force and exists(output):
        raise OutputExistsError(
            f"output {in_one_line(shown_place(output))} exists. Replace it with --force."
        )
