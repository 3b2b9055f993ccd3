"""One run over the files of an archive: an engine maps and reduces, and a run given again goes on where it stopped."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import accumulate
from typing import Any

from probefusion.archives.engines.engine import Engine
from probefusion.archives.engines.local import LocalEngine
from probefusion.archives.files.file_digest import file_digest
from probefusion.archives.files.storage import (
    Place,
    absolute_place,
    is_url,
    join,
    list_files,
)
from probefusion.archives.fusing.finishing import Finished, finish
from probefusion.archives.fusing.mapping import MapWork
from probefusion.archives.fusing.reducing import ReduceTask, ReduceWork, Source
from probefusion.archives.manifest import Manifest, MapTask, forget, tasks_of, write
from probefusion.archives.rows.archive import Archive, FailedFile
from probefusion.archives.states.state_commits import (
    changing,
    check_unchanged,
    commit,
    drop_generation,
    present_hash,
)
from probefusion.archives.states.states import FusedFile, StoredStates, bucket_place
from probefusion.errors import FileFormatError, MismatchError, ProbeFusionError, StorageError
from probefusion.files.hashed_json import json_hash
from probefusion.files.reading import in_one_line
from probefusion.fusion import Fuser
from probefusion.zoo import usability_or_why

__all__ = ["ArchiveRun", "Progress", "StatesOfRun"]

Progress = Callable[[int, int], None]


@dataclass(frozen=True, kw_only=True)
class StatesOfRun:
    """What becomes of the states of a run.

    Args:
        folder: Where they are kept; None if they are not.
        stored: Those that files are added to, in that folder; None without.
        present: What `present_hash` gave of the folder when the run began.
        is_layer: Whether the records of this run become one more layer over those that are stored.
    """

    folder: Place | None = None
    stored: StoredStates | None = None
    present: str | None = None
    is_layer: bool = False


class ArchiveRun:
    """One run over the files of an archive."""

    def __init__(
        self,
        archive: Archive,
        fuser: Fuser,
        manifest: Manifest,
        work: str,
        states: StatesOfRun,
        progress: Progress | None,
    ) -> None:
        self.archive, self.fuser, self.manifest, self.work = archive, fuser, manifest, work
        self.states, self.progress = states, progress
        self.failed = list(archive.failed_files)
        self.resumed_at = 0
        self._mapped = self._reduced = 0

    def fuse(self, engine: Engine, output: str, memory: int, *, force: bool) -> Finished:
        """Maps, reduces, finishes.

        Raises:
            MismatchError: If the states were changed by another command meanwhile.
        """
        folder, present = self.states.folder, self.states.present
        generation = ""
        usability_or_why(self.fuser, self.manifest.settings.embedder)  # a damaged one is told first
        try:
            tasks = list(
                tasks_of(
                    self.manifest,
                    [file.place for file in self.archive.files],
                    join(self.work, "partials"),
                )
            )
            sources = self._map(engine, tasks)
            generation = self._generation(sources)
            buckets = self._reduce(engine, sources, memory, generation)
            if isinstance(engine, LocalEngine):
                engine.close()  # its workers hold memory; others would be started if tasks came
            with changing(folder):
                if folder is not None:
                    check_unchanged(folder, present)
                drafts = None if is_url(self.work) else self.work
                finished = finish(
                    buckets, self.manifest.settings, output, force=force, drafts=drafts
                )
                if folder is not None:
                    commit(folder, self._stored(generation), present=present)
        except (ProbeFusionError, OSError) as error:
            self._after_change(generation, error)
            raise
        if not self.failed or self.states.stored is not None:
            forget(self.work)
        return finished

    def _after_change(self, generation: str, error: Exception) -> None:
        """Says so if another command changed the states; what this one has made of those before goes.

        Raises:
            MismatchError: If one did.
        """
        folder, present = self.states.folder, self.states.present
        if folder is None or isinstance(error, StorageError) or present_hash(folder) == present:
            return
        if generation:
            drop_generation(folder, generation)
        if not isinstance(error, MismatchError):
            check_unchanged(folder, present)

    def _offsets(self) -> list[int]:
        """Number of the first row of each file among all rows."""
        stored = self.states.stored
        before = 0 if stored is None else stored.num_rows
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

    def _generation(self, sources: tuple[Source, ...]) -> str:
        """Name of the folder of the buckets; another one for whatever goes into them."""
        key: dict[str, Any] = {
            "settings": asdict(self.manifest.settings),
            "sources": [(source.place.rpartition("/")[2], source.offset) for source in sources],
            "added_to": self.manifest.added_to,
            "keeps_states": self.states.folder is not None,
            "present": self.states.present,  # no run takes what states name for its own
            "is_layer": self.states.is_layer,
        }
        return hashlib.sha256(json_hash(key).encode()).hexdigest()[:20]

    def _reduce(
        self, engine: Engine, sources: tuple[Source, ...], memory: int, generation: str
    ) -> list[tuple[str, ...]]:
        """Adds up all buckets that were not added up before; gives the files of each."""
        settings, states = self.manifest.settings, self.states
        home = join(self.work if states.folder is None else states.folder, generation)
        before: list[tuple[str, ...]] = [()] * settings.num_buckets
        if states.stored is not None and states.folder is not None:
            before = states.stored.buckets(states.folder)
        tasks = [
            ReduceTask(
                bucket=bucket,
                stored=before[bucket],
                output=bucket_place(home, bucket),
                is_layer=states.is_layer,
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
            keeps_states=states.folder is not None,
            usability=usability_or_why(self.fuser, settings.embedder)[0],
        )
        total = self.archive.num_images
        for count, _ in enumerate(engine.run(work, left), start=1 + len(tasks) - len(left)):
            self._reduced = total * count // len(tasks)
            self._tell()
        self._reduced = self._mapped = total
        self._tell()
        return [(*task.stored, task.output) if task.is_layer else (task.output,) for task in tasks]

    def _tell(self) -> None:
        """An image counts half when it was read, and half when its bucket is added up."""
        if self.progress is not None:
            self.progress((self._mapped + self._reduced) // 2, self.archive.num_images)

    def _stored(self, generation: str) -> StoredStates:
        """What the states are from now on."""
        gone = {file.name for file in self.failed}
        stored = self.states.stored
        offsets = self._offsets()
        new = tuple(
            FusedFile(
                file=replace(file, stamp=""),
                offset=offset,
                digest=file_digest(found.place),
                place=absolute_place(found.place),
            )
            for file, found, offset in zip(
                self.manifest.files, self.archive.files, offsets[:-1], strict=True
            )
            if file.name not in gone
        )
        is_layer = stored is not None and self.states.is_layer
        return StoredStates(
            format_version=2,
            settings=self.manifest.settings,
            generation=stored.generation if stored is not None and is_layer else generation,
            num_rows=offsets[-1],
            files=new if stored is None else (*stored.files, *new),
            revision=0 if stored is None else stored.revision,
            layers=(*stored.layers, generation) if stored is not None and is_layer else (),
        )


def _names_in(folder: str) -> set[str]:
    return {file.name for file in list_files(folder, suffixes=(".arrow",), missing_ok=True)}


def _num_rows(task: MapTask) -> int:
    return task.borders[-1] - task.borders[0]
