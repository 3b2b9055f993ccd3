"""Fuses an archive that is larger than memory, by tasks that any engine runs, and goes on where it stopped."""

from __future__ import annotations

from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace

from probefusion.archives.engines.engine import Engine
from probefusion.archives.engines.local import LocalEngine
from probefusion.archives.files.file_digest import file_stamp
from probefusion.archives.files.storage import Place
from probefusion.archives.fusing.archive_run import ArchiveRun, Progress, StatesOfRun
from probefusion.archives.fusing.finishing import finish
from probefusion.archives.fusing.outputs import check_apart, checked_output, own_work
from probefusion.archives.fusing.planning import settings_for
from probefusion.archives.manifest import (
    Manifest,
    PlannedFile,
    RunSettings,
    begin,
    chunk_borders,
    forget,
    interrupted,
)
from probefusion.archives.rows.archive import Archive, ArchiveFile
from probefusion.archives.states.state_commits import (
    changing,
    check_free,
    check_unchanged,
    present_hash,
)
from probefusion.archives.states.states import StoredStates, open_states
from probefusion.errors import (
    ConfigError,
    EmptySetError,
    MissingFileError,
    UnsupportedOperationError,
)
from probefusion.fusion import Fuser

__all__ = ["ArchiveReport", "fuse_archive"]

_FEW_IMAGES = 100_000
"""So many are fused in this process: starting others would take longer. An engine of this machine that is given is
used for fewer too, unless they are added to states."""


@dataclass(frozen=True, kw_only=True)
class ArchiveReport:
    """What was fused.

    Args:
        num_images: Images that are in the templates.
        num_templates: Templates written.
        resumed_at: Rows that an earlier, interrupted run had read.
        fuser: Fingerprint of the fuser.
        engine: Name of the engine.
        num_screened: Templates of which it can be told whether their images are of one person.
        num_not_screened: Templates that were not looked at, as it was not wanted.
        several_people: Ids of templates that fall apart, as if of several people, each with the share of the weight
            of the lighter part.
        not_usable: Ids of templates that are not usable.
        failed_files: Files that could not be read: name and reason of each.
        num_passed_over: Files that were in the states already.
    """

    num_images: int
    num_templates: int
    resumed_at: int
    fuser: str
    engine: str = "local"
    num_screened: int = 0
    num_not_screened: int = 0
    several_people: tuple[tuple[int | str, float], ...] = ()
    not_usable: tuple[int | str, ...] = ()
    failed_files: tuple[tuple[str, str], ...] = ()
    num_passed_over: int = 0


def fuse_archive(
    archive: Archive,
    fuser: Fuser,
    output: Place,
    *,
    memory: int = 150_000_000,
    progress: Progress | None = None,
    force: bool = False,
    screening: bool = True,
    engine: Engine | None = None,
    keep_states: Place | None = None,
    add_to: Place | None = None,
) -> ArchiveReport:
    """Fuses every template of an archive and writes them to a file.

    Ranges of rows are mapped to partial results, the partial results of a person added up, and the templates
    written: as a `TemplateSet`, which `TemplateSet.load` reads, with ids of the type that they have in the archive,
    in the order of their first rows. Engine, number of workers and interruptions change no bit of it. Files are taken
    in the order of their names, and sums are added in that order.

    What was done goes to the folder `OUTPUT.work`; a killed run, given again, goes on from there. The folder is removed
    at the end, unless files could not be read: the rest is fused, and a run given again tries them again.

    Args:
        archive: What to fuse.
        fuser: An exact fuser; its answer does not depend on the order of the rows.
        output: `.parquet` or `.npz`, a path or a url; templates in the order of their first row.
        memory: Bytes that a worker takes for states, and for images that are looked at when screening.
        progress: Called with (images done, images in all).
        force: Whether an existing output, or existing states, may be replaced.
        screening: Whether to look if the images of each template are of one person; up to 16 of each are looked at.
        engine: Runs the tasks; None for processes of this machine, one per core. Where there is little to do, as
            few images that are added, this process does it.
        keep_states: Folder for the states, to which more files can be added later.
        add_to: Folder of states to which the archive's files are added; those that were are passed over. The output
            then holds the templates of all files, bit for bit as if the new ones had come behind the old ones in one
            run.

    Returns:
        What was done.

    Raises:
        UnsupportedOperationError: If the fuser is not exact.
        OutputExistsError: If the output exists and `force` is False.
        EmptySetError: If the archive holds no rows.
        FileFormatError: If none of its files can be read.
        MismatchError: If `OUTPUT.work` belongs to another archive or fuser, or the archive's embedder
            is not the fuser's, or not known where the fuser was made for one, or stored states are of others, or hold
            all of the files already, or are changed by another command meanwhile, or another run has the same output.
        MissingNormsError: If the fuser weighs by length and the rows of a file are of length 1.
        InvalidInputError: If a row is not valid; the message names its file and it.
        StorageError: If a store cannot be reached.
        WorkerError: If workers died again and again.
    """
    if not fuser.is_exact:
        raise UnsupportedOperationError(
            f"fuser {fuser.name!r}: its templates depend on how images are split into batches, which in "
            f"an archive is an accident. Use an exact fuser."
        )
    if keep_states is not None and add_to is not None:
        raise ConfigError(
            "keep_states and add_to: expected one of them; states that are added to are kept anyway."
        )
    place = checked_output(archive, output, force=force)
    work = place + ".work"
    folder = keep_states if add_to is None else add_to
    check_apart(folder, work, what="states")
    if keep_states is not None:
        check_free(keep_states, force=force)
    with own_work(work, place):
        present = None if folder is None else present_hash(folder)
        found = interrupted(work)
        stored, passed = None, 0
        if add_to is not None:
            stored = open_states(add_to)
            if found is not None and stored.holds(found.files):  # killed when it had done all
                if {file.name for file in archive.files} <= {file.name for file in found.files}:
                    report = _written_again(stored, add_to, place, force=force)
                    forget(work)
                    return replace(report, resumed_at=archive.num_images)
                forget(work, is_kept=True)
                found = None
            new = stored.new_files(archive, add_to)
            passed = len(archive.files) - len(new)
            archive = replace(archive, files=new)
        if archive.num_images == 0:
            raise EmptySetError(
                f"archive {archive.name} holds no rows: expected at least one image."
            )
        like = stored or found
        settings = settings_for(
            archive,
            fuser,
            memory=memory,
            screening=screening,
            like=None if like is None else like.settings,
        )
        if stored is not None and add_to is not None:
            stored.check_adds(settings, add_to)
        if memory < settings.state_width * 8:
            raise ConfigError(
                f"memory: expected at least {settings.state_width * 8} bytes, one state, got {memory}."
            )
        manifest = Manifest(
            format_version=2,
            settings=settings,
            files=tuple(_planned(file, settings) for file in archive.files),
            added_to=None if stored is None else stored.identity,
            keeps_states=folder is not None,
        )
        begin(work, manifest, found, frozenset(file.name for file in archive.failed_files))
        is_layer = False
        if stored is not None and add_to is not None:
            try:
                is_layer = stored.takes_layer(add_to, archive.num_images)
            except MissingFileError:
                check_unchanged(add_to, present)
                raise
        states = StatesOfRun(folder=folder, stored=stored, present=present, is_layer=is_layer)
        run = ArchiveRun(archive, fuser, manifest, work, states, progress)
        small = archive.num_images <= _FEW_IMAGES
        with ExitStack() as stack:
            if engine is None or (small and stored is not None and isinstance(engine, LocalEngine)):
                engine = stack.enter_context(LocalEngine(1 if small else None))
            finished = run.fuse(engine, place, memory, force=force)
        return ArchiveReport(
            **asdict(finished),
            resumed_at=run.resumed_at,
            fuser=fuser.fingerprint,
            engine=engine.name,
            failed_files=tuple((file.name, file.reason) for file in run.failed),
            num_passed_over=passed,
        )


def _written_again(
    stored: StoredStates, folder: Place, output: str, *, force: bool
) -> ArchiveReport:
    """Writes the templates of states as they are."""
    with changing(folder):
        finished = finish(stored.buckets(folder), stored.settings, output, force=force)
    return ArchiveReport(**asdict(finished), resumed_at=0, fuser=stored.settings.fuser)


def _planned(file: ArchiveFile, settings: RunSettings) -> PlannedFile:
    return PlannedFile(
        name=file.name,
        size=file.size,
        tag=file.tag,
        num_rows=file.num_rows,
        borders=chunk_borders(file, settings.chunk_rows),
        stamp=file_stamp(file.place),
    )
