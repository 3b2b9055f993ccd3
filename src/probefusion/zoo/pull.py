"""Getting known models onto this machine, and checking those that are there."""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

from probefusion.errors import DownloadError, FileFormatError, IntegrityError
from probefusion.files import replace_file, sha256_of
from probefusion.files.reading import open_zip
from probefusion.zoo.bundled import is_bundled
from probefusion.zoo.cache import (
    REINSTALL,
    expected_sha256,
    find_entry,
    pin,
    places_of,
    search_file,
)
from probefusion.zoo.download import Patience, Progress, download_file
from probefusion.zoo.fuser_folders import find_wrong_file, folder_sha256
from probefusion.zoo.manifest import KnownModel, known_models, models_folder

__all__ = ["Pulled", "Verified", "is_offline", "pull_model", "verify_models"]

_MAX_MEMBER = 4 << 30
"""Bytes at which unpacking a file of unknown size stops."""


@dataclass(frozen=True, kw_only=True)
class Pulled:
    """A model that is on this machine now.

    Args:
        entry: What it is.
        path: Where it lies.
        sha256: Its hash; for a fuser folder that of its card.
        source: The address or cache it came from.
        is_new: Whether it was fetched by this call.
        is_verified: Whether the hash was known before; otherwise it is recorded now.
    """

    entry: KnownModel
    path: Path
    sha256: str
    source: str
    is_new: bool
    is_verified: bool


@dataclass(frozen=True, kw_only=True)
class Verified:
    """What became of checking one file.

    Args:
        name: The model.
        path: Its file, or None if it is not here.
        state: `"ok"`, `"wrong hash"`, `"recorded now"` (no hash was known) or `"missing"`.
        expected: The hash it must have, or None.
        found: The hash it has, or None.
    """

    name: str
    path: Path | None
    state: str
    expected: str | None
    found: str | None


def is_offline() -> bool:
    """Whether PROBEFUSION_OFFLINE forbids the network."""
    return os.environ.get("PROBEFUSION_OFFLINE", "") not in ("", "0")


def pull_model(
    name: str,
    *,
    mirrors: Sequence[str] = (),
    offline: bool | None = None,
    force: bool = False,
    progress: Progress | None = None,
    notice: Callable[[KnownModel], None] | None = None,
    patience: Patience | None = None,
) -> tuple[Pulled, ...]:
    """Makes sure that a model is on this machine and is the right one.

    A copy in the models folder, in InsightFace's or in Hugging Face's cache is used if its hash is
    right. Otherwise it is fetched: from the mirrors, the manifest's addresses, then out of a pack.

    Args:
        name: A name of the manifest; a pack's name gets all its parts.
        mirrors: Addresses of folders that hold the files under their names; those in the environment
            variable PROBEFUSION_MIRROR (separated by spaces) come after these.
        offline: Whether the network must not be used; None follows PROBEFUSION_OFFLINE.
        force: Fetch again, even if it is here.
        progress: Called with the bytes fetched and expected in all.
        notice: Called with the entry before anything is fetched, to show its licence.
        patience: Time limits, see `download_file`.

    Returns:
        The model, or the parts of the pack.

    Raises:
        UnknownNameError: If the manifest has no such name.
        DownloadError: If it cannot be fetched; says what to do.
        IntegrityError: If only wrong files are to be had.
        FileFormatError: If a pack is not the archive it should be.
    """
    entry = find_entry(name)
    getter = _Getter(
        mirrors, is_offline() if offline is None else offline, progress, patience, force
    )
    wanted = [entry]
    if entry.kind == "pack":
        models = known_models().values()
        wanted = [part for part in models if any(m.pack == name for m in part.packs)]
    results = []
    for part in wanted:
        here = None if force and not is_bundled(part.file) else _usable(part)
        if here is None:
            if notice is not None:
                notice(part)
            here = getter.get_from_pack(part, entry) if entry.kind == "pack" else getter.get(part)
        results.append(here)
    getter.clean()
    return tuple(results)


def verify_models(names: Iterable[str] | None = None) -> tuple[Verified, ...]:
    """Compares the files that are here with their hashes.

    Args:
        names: Names of the manifest; None takes every model of which a file is here. Packs are
            checked by their parts.

    Raises:
        UnknownNameError: If the manifest has no such name.
    """
    models = known_models()
    if names is None:
        entries = [entry for entry in models.values() if search_file(entry) is not None]
    else:
        entries = []
        for name in names:
            entry = find_entry(name)
            parts = [part for part in models.values() if any(m.pack == name for m in part.packs)]
            entries += parts if entry.kind == "pack" else [entry]
    return tuple(_verify(entry) for entry in entries)


def _verify(entry: KnownModel) -> Verified:
    place = search_file(entry)
    expected = expected_sha256(entry)
    if place is not None and entry.files:
        wrong = find_wrong_file(entry, place.path)
        if wrong is not None:
            path, expected, found = wrong
            return Verified(
                name=entry.name, path=path, state="wrong hash", expected=expected, found=found
            )
        sha256 = folder_sha256(place.path)
        return Verified(name=entry.name, path=place.path, state="ok", expected=sha256, found=sha256)
    if place is None:
        return Verified(name=entry.name, path=None, state="missing", expected=expected, found=None)
    found = sha256_of(place.path)
    state = "ok" if found == expected else "wrong hash"
    if expected is None:
        pin(entry, found)
        state = "recorded now"
    return Verified(name=entry.name, path=place.path, state=state, expected=expected, found=found)


def _usable(entry: KnownModel) -> Pulled | None:
    """A copy of the model with the right hash, from any cache; None if there is none."""
    if entry.files:
        for place in places_of(entry):
            if find_wrong_file(entry, place.path) is None:
                return _pulled_folder(entry, place.path, source=place.place, is_new=False)
        return None
    expected = expected_sha256(entry)
    for place in places_of(entry):
        if not place.path.is_file():
            continue
        found = sha256_of(place.path)
        if expected is None:
            pin(entry, found)
        elif found != expected:
            continue
        return Pulled(
            entry=entry,
            path=place.path,
            sha256=found,
            source=place.place,
            is_new=False,
            is_verified=expected is not None,
        )
    return None


def _pulled_folder(entry: KnownModel, path: Path, *, source: str, is_new: bool) -> Pulled:
    return Pulled(
        entry=entry,
        path=path,
        sha256=folder_sha256(path),
        source=source,
        is_new=is_new,
        is_verified=True,
    )


class _Getter:
    """Fetches models, and archives at most once for all their parts."""

    def __init__(
        self,
        mirrors: Sequence[str],
        offline: bool,
        progress: Progress | None,
        patience: Patience | None,
        force: bool,
    ) -> None:
        self._force = force
        self._mirrors = [*mirrors, *os.environ.get("PROBEFUSION_MIRROR", "").split()]
        self._offline = offline
        self._progress = progress
        self._patience = patience
        self._archives: dict[str, Path] = {}

    def get(self, entry: KnownModel) -> Pulled:
        """Fetches one file from the mirrors, its addresses, or a pack that holds it; or a folder."""
        path = models_folder() / entry.file
        if is_bundled(entry.file):
            raise DownloadError(
                f"model {entry.name!r} is a part of the package and not fetched; its file is not as "
                f"it should be. Install it again: {REINSTALL}"
            )
        if Path(entry.file).is_absolute():
            raise DownloadError(
                f"model {entry.name!r} is a file of your own, expected at {entry.file!r}. Put it "
                f"back there, or describe it again: probefusion models inspect FILE --save NAME"
            )
        if self._offline:
            raise DownloadError(
                f"model {entry.name!r} is not here and the network is not to be used "
                f"(--offline or PROBEFUSION_OFFLINE). Put {entry.file!r} into "
                f"{str(models_folder())!r}."
            )
        urls = [f"{mirror.rstrip('/')}/{entry.file}" for mirror in self._mirrors] + [*entry.urls]
        packs = [known_models()[member.pack] for member in entry.packs]
        if not urls and packs:
            return self.get_from_pack(entry, packs[0])
        if not urls:
            raise DownloadError(
                f"model {entry.name!r}: no direct address is known. Get it with a browser from "
                f"{entry.page or entry.origin} and save it as {str(path)!r}."
            )
        if entry.files:
            return self._get_folder(entry, path, urls)
        expected = expected_sha256(entry)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            source, sha256 = download_file(
                urls, path, sha256=expected, size=entry.size, progress=self._progress,
                patience=self._patience,
            )  # fmt: skip
        except DownloadError as error:
            hint = f" With a browser it can be had from {entry.page}." if entry.page else ""
            raise DownloadError(f"model {entry.name!r}: {error}{hint}") from error
        if expected is None:
            pin(entry, sha256)
        return Pulled(
            entry=entry,
            path=path,
            sha256=sha256,
            source=source,
            is_new=True,
            is_verified=expected is not None,
        )

    def _get_folder(self, entry: KnownModel, folder: Path, urls: list[str]) -> Pulled:
        """Fetches the files of a folder in order; with the last, the card, it counts as being here."""
        folder.mkdir(parents=True, exist_ok=True)
        done, sources = 0, []
        for file in entry.files:
            path = folder / file.name
            is_right = path.is_file() and sha256_of(path) == file.sha256
            if self._force or not is_right:
                try:
                    source, _ = download_file(
                        [f"{url.rstrip('/')}/{file.name}" for url in urls],
                        path,
                        sha256=file.sha256,
                        size=file.size,
                        progress=self._shifted(done, entry.size or 0),
                        patience=self._patience,
                    )
                except (DownloadError, IntegrityError) as error:
                    raise type(error)(f"model {entry.name!r}: {error}") from error
                sources.append(source.rpartition("/")[0])
            done += file.size
        source = sources[-1] if sources else str(folder)
        return _pulled_folder(entry, folder, source=source, is_new=True)

    def _shifted(self, done: int, total: int) -> Progress | None:
        """Progress of one file, told as that of the whole folder."""
        tell = self._progress
        if tell is None:
            return None
        return lambda have, _: tell(done + have, total)

    def get_from_pack(self, entry: KnownModel, pack: KnownModel) -> Pulled:
        """Takes one file out of a pack's archive."""
        if pack.name not in self._archives:
            archive = _usable(pack) or self.get(pack)
            self._archives[pack.name] = archive.path
        member = next(part.member for part in entry.packs if part.pack == pack.name)
        path = models_folder() / entry.file
        sha256 = _extract(self._archives[pack.name], member, path, entry)
        return Pulled(
            entry=entry,
            path=path,
            sha256=sha256,
            source=pack.name,
            is_new=True,
            is_verified=entry.sha256 is not None,
        )

    def clean(self) -> None:
        """Removes archives whose parts are unpacked; archives in the caches of others stay."""
        for path in self._archives.values():
            if path.parent == models_folder():
                path.unlink(missing_ok=True)


def _extract(archive: Path, member: str, path: Path, entry: KnownModel) -> str:
    limit = entry.size or _MAX_MEMBER
    expected = expected_sha256(entry)
    digest, have = hashlib.sha256(), 0
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with open_zip(archive) as pack:
            names = [name for name in pack.namelist() if name.rpartition("/")[2] == member]
            if len(names) != 1:
                raise FileFormatError(
                    f"{archive.name}: expected one file {member!r} inside, got {len(names)}."
                )
            with pack.open(names[0]) as source, replace_file(path, force=True) as target:
                while block := source.read(1 << 20):
                    have += len(block)
                    if have > limit:
                        raise FileFormatError(
                            f"{archive.name}: {member!r} is larger than {limit} bytes."
                        )
                    digest.update(block)
                    target.write(block)
                if expected is not None and digest.hexdigest() != expected:
                    raise IntegrityError(
                        f"{archive.name}: {member!r} has SHA-256 {digest.hexdigest()}, expected "
                        f"{expected}. The pack is not the published one."
                    )
    except (BadZipFile, EOFError, NotImplementedError, RuntimeError, zlib.error) as error:
        raise FileFormatError(f"{archive}: expected a zip archive ({error}).") from error
    if expected is None:
        pin(entry, digest.hexdigest())
    return digest.hexdigest()
