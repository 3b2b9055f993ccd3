"""Fuses an archive that is larger than memory, by tasks that any engine runs, and goes on where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any

from probefusion.archives.archive import Archive, FailedFile
from probefusion.archives.engines.engine import Engine
from probefusion.archives.engines.local import LocalEngine
from probefusion.archives.file_digest import file_digest
from probefusion.archives.finishing import finish
from probefusion.archives.manifest import (
    Manifest,
    MapTask,
    PlannedFile,
    begin,
    chunk_borders,
    tasks_of,
    write,
)
from probefusion.archives.mapping import MapWork
from probefusion.archives.outputs import check_apart, checked_output
from probefusion.archives.planning import settings_for
from probefusion.archives.reducing import ReduceTask, ReduceWork, Source
from probefusion.archives.states import (
    FusedFile,
    StoredStates,
    bucket_place,
    check_free,
    check_unchanged,
    commit,
    open_states,
    present_hash,
)
from probefusion.archives.storage import (
    Place,
    absolute_place,
    join,
    list_files,
    remove_folder,
)
from probefusion.errors import (
    ConfigError,
    EmptySetError,
    FileFormatError,
    UnsupportedOperationError,
)
from probefusion.files.hashed_json import json_hash
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser

__all__ = ["ArchiveReport", "fuse_archive"]

_FEW_IMAGES = 100_000
"""So many are fused in this process: starting others would take longer. An engine of this machine that is given is
used for fewer too, unless they are added to states."""

Progress = Callable[[int, int], None]


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
        failed_files: Files that could not be read: name and reason of each.
    """

    num_images: int
    num_templates: int
    resumed_at: int
    fuser: str
    engine: str = "local"
    num_screened: int = 0
    num_not_screened: int = 0
    several_people: tuple[tuple[int | str, float], ...] = ()
    failed_files: tuple[tuple[str, str], ...] = ()


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
        add_to: Folder of states to which the archive's files are added; they must be new. The output then holds the
            templates of all files, bit for bit as if the new ones had come behind the old ones in one run.

    Returns:
        What was done.

    Raises:
        UnsupportedOperationError: If the fuser is not exact.
        OutputExistsError: If the output exists and `force` is False.
        EmptySetError: If the archive holds no rows.
        FileFormatError: If none of its files can be read.
        MismatchError: If `OUTPUT.work` belongs to another archive or fuser, or the archive's embedder
            is not the fuser's, or not known where the fuser was made for one, or stored states are of others, or hold
            one of the files already, or are changed by another run meanwhile.
        MissingNormsError: If the fuser weighs by length and the first rows are all of length 1.
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
    states_folder = keep_states if add_to is None else add_to
    check_apart(states_folder, place + ".work", what="states")
    if keep_states is not None:
        check_free(keep_states, force=force)
    if archive.num_images == 0:
        raise EmptySetError(f"archive {archive.name} holds no rows: expected at least one image.")
    present = None if states_folder is None else present_hash(states_folder)
    stored = None if add_to is None else open_states(add_to)
    settings = settings_for(archive, fuser, memory=memory, screening=screening)
    if stored is not None and add_to is not None:
        stored.check_adds(archive, settings, add_to)
        settings = replace(
            settings,
            num_buckets=stored.settings.num_buckets,
            norms_known=stored.settings.norms_known,
            row_bytes=stored.settings.row_bytes,
            rows_up_to=stored.settings.rows_up_to,
            chunk_rows=stored.settings.chunk_rows,
        )
    if memory < settings.state_width * 8:
        raise ConfigError(
            f"memory: expected at least {settings.state_width * 8} bytes, one state, got {memory}."
        )
    work = place + ".work"
    planned = tuple(
        PlannedFile(
            name=file.name,
            size=file.size,
            tag=file.tag,
            num_rows=file.num_rows,
            borders=chunk_borders(file, settings.chunk_rows),
        )
        for file in archive.files
    )
    manifest = Manifest(
        format_version=1,
        settings=settings,
        files=planned,
        added_to=None if stored is None else stored.identity,
        keeps_states=states_folder is not None,
    )
    manifest = begin(work, manifest, frozenset(file.name for file in archive.failed_files))
    run = _Run(archive, fuser, manifest, work, stored, add_to, progress, present)
    small = archive.num_images <= _FEW_IMAGES
    if engine is None or (small and stored is not None and isinstance(engine, LocalEngine)):
        with LocalEngine(1 if small else None) as own:
            return run.fuse(own, place, memory, states_folder, force=force)
    return run.fuse(engine, place, memory, states_folder, force=force)


class _Run:
    """One run over the files of an archive."""

    def __init__(
        self,
        archive: Archive,
        fuser: Fuser,
        manifest: Manifest,
        work: str,
        stored: StoredStates | None,
        add_to: Place | None,
        progress: Progress | None,
        present: str | None,
    ) -> None:
        self.archive, self.fuser, self.manifest, self.work = archive, fuser, manifest, work
        self.stored, self.add_to = stored, add_to
        self.progress, self.present = progress, present
        self.failed = list(archive.failed_files)
        self.resumed_at = 0
        self._mapped = self._reduced = 0

    def fuse(
        self, engine: Engine, output: str, memory: int, folder: Place | None, *, force: bool
    ) -> ArchiveReport:
        """Maps, reduces, finishes."""
        settings = self.manifest.settings
        places = [file.place for file in self.archive.files]
        tasks = list(tasks_of(self.manifest, places, join(self.work, "partials")))
        sources = self._map(engine, tasks)
        buckets, generation = self._reduce(engine, sources, memory, folder)
        if folder is not None:
            check_unchanged(folder, self.present)
        finished = finish(buckets, settings, output, force=force)
        if folder is not None:
            commit(folder, self._states(generation), present=self.present)
        if not self.failed or self.stored is not None:
            remove_folder(self.work)
        return ArchiveReport(
            **asdict(finished),
            resumed_at=self.resumed_at,
            fuser=self.fuser.fingerprint,
            engine=engine.name,
            failed_files=tuple((file.name, file.reason) for file in self.failed),
        )

    def _offsets(self) -> list[int]:
        """Number of the first row of each file among all rows."""
        before = 0 if self.stored is None else self.stored.num_rows
        return list(accumulate((file.num_rows for file in self.manifest.files), initial=before))

    def _map(self, engine: Engine, tasks: Sequence[MapTask]) -> tuple[Source, ...]:
        """Runs the tasks that were not done before; gives what came of the files that can be read."""
        done = _names_in(join(self.work, "partials"))
        left = [task for task in tasks if task.output.rpartition("/")[2] not in done]
        self.resumed_at = self._mapped = sum(map(_num_rows, tasks)) - sum(map(_num_rows, left))
        self._tell()
        work = MapWork(
            reader=self.archive.reader, fuser=self.fuser, settings=self.manifest.settings
        )
        failures: dict[int, str] = {}
        for number, mapped in engine.run(work, left):
            if mapped.failure is not None:
                failures.setdefault(left[number].file, mapped.failure)
            self._mapped += _num_rows(left[number])
            self._tell()
        files = self.manifest.files
        self.failed += [
            FailedFile(name=files[number].name, reason=failures[number])
            for number in sorted(failures)
        ]
        if failures:  # once they are mended they may be other files
            sound = tuple(file for number, file in enumerate(files) if number not in failures)
            write(self.work, replace(self.manifest, files=sound))
        if len(failures) == len(files):
            first = failures[min(failures)]
            raise FileFormatError(
                f"{in_one_line(self.archive.name)}: none of its files can be read; the first, "
                f"{in_one_line(files[0].name)}: {first}"
            )
        offsets = self._offsets()
        return tuple(
            Source(place=task.output, offset=offsets[task.file])
            for task in tasks
            if task.file not in failures
        )

    def _reduce(
        self, engine: Engine, sources: tuple[Source, ...], memory: int, folder: Place | None
    ) -> tuple[list[str], str]:
        """Adds up all buckets that were not added up before; gives their places and the name of their folder."""
        settings = self.manifest.settings
        key: dict[str, Any] = {
            "settings": asdict(settings),
            "sources": [(source.place.rpartition("/")[2], source.offset) for source in sources],
            "added_to": self.manifest.added_to,
            "keeps_states": folder is not None,
            "present": self.present,  # buckets that a folder of states names are not taken for ones of this run
        }
        generation = hashlib.sha256(json_hash(key).encode()).hexdigest()[:20]
        home = join(self.work if folder is None else folder, generation)
        before: list[str] = []
        if self.stored is not None and self.add_to is not None:
            before = self.stored.buckets(self.add_to)
        tasks = [
            ReduceTask(
                bucket=bucket,
                stored=before[bucket] if before else None,
                output=bucket_place(home, bucket),
            )
            for bucket in range(settings.num_buckets)
        ]
        done = _names_in(home)
        left = [task for task in tasks if task.output.rpartition("/")[2] not in done]
        work = ReduceWork(
            fuser=self.fuser,
            settings=settings,
            sources=sources,
            memory=memory,
            keeps_states=folder is not None,
        )
        total = self.archive.num_images
        for count, _ in enumerate(engine.run(work, left), start=1 + len(tasks) - len(left)):
            self._reduced = total * count // len(tasks)
            self._tell()
        self._reduced = self._mapped = total
        self._tell()
        return [task.output for task in tasks], generation

    def _tell(self) -> None:
        """An image counts half when it was read, and half when its bucket is added up."""
        if self.progress is not None:
            self.progress((self._mapped + self._reduced) // 2, self.archive.num_images)

    def _states(self, generation: str) -> StoredStates:
        gone = {file.name for file in self.failed}
        old = () if self.stored is None else self.stored.files
        offsets = self._offsets()
        new = tuple(
            FusedFile(
                file=file,
                offset=offset,
                digest=file_digest(found.place),
                place=absolute_place(found.place),
            )
            for file, found, offset in zip(
                self.manifest.files, self.archive.files, offsets[:-1], strict=True
            )
            if file.name not in gone
        )
        return StoredStates(
            format_version=1,
            settings=self.manifest.settings,
            generation=generation,
            num_rows=offsets[-1],
            files=(*old, *new),
            revision=0 if self.stored is None else self.stored.revision,
        )


def _names_in(folder: str) -> set[str]:
    return {file.name for file in list_files(folder, suffixes=(".arrow",), missing_ok=True)}


def _num_rows(task: MapTask) -> int:
    return task.borders[-1] - task.borders[0]
