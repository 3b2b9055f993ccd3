"""An archive of many people on disk to a file of templates, in bounded memory."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from probefusion.archives import ArchiveReport, open_archive
from probefusion.archives import fuse_archive as fuse_opened
from probefusion.pipeline.chosen_embedder import stated_fingerprint
from probefusion.zoo import load_fuser

if TYPE_CHECKING:
    from probefusion.embedders import Embedder
    from probefusion.fusion import Fuser

__all__ = ["fuse_archive"]


def fuse_archive(
    archive: str | os.PathLike[str],
    output: str | os.PathLike[str],
    *,
    fuser: str | os.PathLike[str] | Fuser,
    by: str = "template_id",
    embedder: str | os.PathLike[str] | Embedder | None = None,
    memory: int = 150_000_000,
    device: str = "cpu",
    num_threads: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    force: bool = False,
    screening: bool = True,
) -> ArchiveReport:
    """Opens an archive, fuses every template of it and writes them to a file.

    Args:
        archive: As for `probefusion.archives.open_archive`.
        output: As for `probefusion.archives.fuse_archive`, whose rules hold here.
        fuser: Name or folder of an exact fuser, or a fuser.
        by: Column that says which rows belong together.
        embedder: What made the embeddings, where the archive does not say it: a known name, an ONNX
            file, a fingerprint or an embedder.
        memory: Bytes for unfinished states, and as many for screening.
        device: "cpu" or "cuda", for a fuser given by name or folder.
        num_threads: Threads to use; None for one per core.
        progress: Called with (images done, images in all).
        force: Whether an existing output may be replaced.
        screening: Whether to look if the images of each template are of one person.

    Returns:
        What was done. `TemplateSet.load` reads what was written.

    Raises:
        ProbeFusionError: As for `probefusion.archives.open_archive`, `probefusion.zoo.load_fuser` and
            `probefusion.archives.fuse_archive`.
    """
    rows = open_archive(Path(archive), by=by, embedder=stated_fingerprint(embedder))
    chosen = load_fuser(fuser, num_threads=num_threads, embedder=rows.embedder, device=device)
    return fuse_opened(
        rows,
        chosen,
        Path(output),
        memory=memory,
        progress=progress,
        force=force,
        screening=screening,
    )
