"""An archive of many people, on disk or behind a url, to a file of templates, in bounded memory."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING

from probefusion.archives import ArchiveReport, open_archive
from probefusion.archives import fuse_archive as fuse_opened
from probefusion.archives.engines.choose import choose_engine
from probefusion.pipeline.chosen_embedder import stated_fingerprint
from probefusion.zoo import load_fuser

if TYPE_CHECKING:
    import os

    from probefusion.archives.engines.engine import Engine
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
    engine: Engine | None = None,
    keep_states: str | os.PathLike[str] | None = None,
    add_to: str | os.PathLike[str] | None = None,
) -> ArchiveReport:
    """Opens an archive, fuses every template of it and writes them to a file.

    Args:
        archive: As for `probefusion.archives.open_archive`.
        output: As for `probefusion.archives.fusing.fuse_archive`, whose rules hold here.
        fuser: Name or folder of an exact fuser, or a fuser.
        by: Column that says which rows belong together.
        embedder: What made the embeddings, where the archive does not say it: a known name, an ONNX
            file, a fingerprint or an embedder.
        memory: Bytes that a worker takes for states, and for images that are looked at when screening.
        device: "cpu" or "cuda", for a fuser given by name or folder.
        num_threads: Processes of this machine to use, where no engine is given; None for one per core.
        progress: Called with (images done, images in all).
        force: Whether an existing output may be replaced.
        screening: Whether to look if the images of each template are of one person.
        engine: Runs the tasks, see `probefusion.archives.engines`; None for processes of this machine.
        keep_states: Folder for the states, to which more files can be added later.
        add_to: Folder of states to which the archive's files are added.

    Returns:
        What was done. `TemplateSet.load` reads what was written.

    Raises:
        ProbeFusionError: As for `probefusion.archives.open_archive`, `probefusion.zoo.load_fuser` and
            `probefusion.archives.fusing.fuse_archive`.
    """
    # Images would be embedded here first, into a folder of Parquet files, which is then opened.
    rows = open_archive(archive, by=by, embedder=stated_fingerprint(embedder))
    chosen = load_fuser(fuser, num_threads=1, embedder=rows.embedder, device=device)
    with ExitStack() as stack:
        if engine is None and num_threads is not None:
            engine = stack.enter_context(choose_engine("local", num_workers=num_threads))
        return fuse_opened(
            rows,
            chosen,
            output,
            memory=memory,
            progress=progress,
            force=force,
            screening=screening,
            engine=engine,
            keep_states=keep_states,
            add_to=add_to,
        )
