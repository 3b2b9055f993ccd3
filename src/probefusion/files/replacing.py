"""Writing to disk: a file, a folder or several of them appear whole or not at all."""

from __future__ import annotations

import errno
import hashlib
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from pathlib import Path
from typing import IO, TypeAlias

from probefusion.errors import OutputExistsError
from probefusion.files.paths import DRAFT_PREFIX, check_file, check_output_file

__all__ = [
    "DRAFT_PREFIX",
    "making_folders",
    "replace_at_once",
    "replace_file",
    "replace_folder",
    "replace_folder_content",
    "replace_together",
    "sha256_of",
]

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ENAMETOOLONG)


_Moves: TypeAlias = list[tuple[Path, Path | None]]
"""Finished files and the names they shall get; without a name: to be removed."""

_waiting: ContextVar[_Moves | None] = ContextVar("_waiting", default=None)
"""Files of the `replace_together` block that is open."""


@contextmanager
def replace_file(path: str | Path, *, force: bool = False) -> Iterator[IO[bytes]]:
    """Opens a temporary file that becomes `path` only when the block ends without an error.

    The bytes are flushed to the disk before the rename, so that a crash leaves either the old
    file or the new one, never half of one. Inside `replace_together` the rename waits for its end.

    Args:
        path: Where the file shall stand.
        force: Whether an existing file may be replaced.

    Raises:
        OutputExistsError: If `path` exists and `force` is False, or is a folder.
        MissingFileError: If the folder does not exist.
        ConfigError: If the name is too long or no Unicode.
        OSError: If the disk is full; names `path`.
    """
    path = check_output_file(path, force=force)
    try:
        temporary = path.parent / f"{DRAFT_PREFIX}{secrets.token_hex(8)}"
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666)
    except OSError as error:
        raise _named(error, path) from error
    try:
        with os.fdopen(handle, "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        waiting = _waiting.get()
        if waiting is None:
            temporary.replace(path)
        else:
            waiting.append((temporary, path))
    except BaseException as error:
        temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise _named(error, path) from error
        raise


def _named(error: OSError, path: Path) -> OSError:
    """The same error with the file's name: that of a full disk says none."""
    return type(error)(error.errno, error.strerror, str(path))


@contextmanager
def replace_together() -> Iterator[None]:
    """Files of `replace_file` and folders of `replace_folder` take their names together at the block's end, or none.

    Where the block fails, or a file cannot take its name, what stood there before stands there again.
    Blocks inside belong to the outermost one.

    Example:
        >>> folder = getfixture("tmp_path")
        >>> with replace_together():
        ...     for name in ("a", "b"):
        ...         with replace_file(folder / name) as stream:
        ...             _ = stream.write(b"both or none")
        ...     print(len(list(folder.glob("[ab]"))))
        0
        >>> sorted(path.name for path in folder.iterdir())
        ['a', 'b']
    """
    if _waiting.get() is not None:
        yield
        return
    moves: _Moves = []
    token = _waiting.set(moves)
    try:
        yield
    except BaseException:
        for draft, _ in moves:
            _remove(draft)
        raise
    finally:
        _waiting.reset(token)
    _move_all(moves)


@contextmanager
def replace_at_once() -> Iterator[None]:
    """Files written inside take their names at once, also inside `replace_together`: for files of a draft."""
    token = _waiting.set(None)
    try:
        yield
    finally:
        _waiting.reset(token)


@contextmanager
def making_folders(*folders: str | Path) -> Iterator[None]:
    """Makes folders, with those they lie in; if the block fails, the empty ones among the new go again.

    Args:
        folders: The folders; those that exist stay whatever happens.
    """
    wanted = {place: None for folder in folders for place in (Path(folder), *Path(folder).parents)}
    made = sorted((place for place in wanted if not place.exists()), reverse=True)
    try:
        for folder in folders:
            Path(folder).mkdir(parents=True, exist_ok=True)
        yield
    except BaseException:
        for place in made:
            with suppress(OSError):
                place.rmdir()
        raise


def replace_folder(draft: Path, folder: Path) -> None:
    """Gives a finished folder its name; what stood there goes only when the new one stands.

    Inside `replace_together` the folder takes its name with the files, at the end of the block.

    Args:
        draft: The finished folder, on the same disk.
        folder: Its name; a folder that stands there is removed with all that it holds.
    """
    waiting = _waiting.get()
    if waiting is not None:
        hidden = folder.with_name(f"{DRAFT_PREFIX}{secrets.token_hex(8)}")
        draft.replace(hidden)
        waiting.append((hidden, folder))
        return
    if not folder.exists():
        draft.replace(folder)
        return
    kept = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=folder.parent))
    folder.replace(kept)  # an empty folder may be replaced
    try:
        draft.replace(folder)
    except BaseException:
        kept.replace(folder)
        raise
    shutil.rmtree(kept, ignore_errors=True)


@contextmanager
def replace_folder_content(folder: str | Path, standing: Sequence[Path]) -> Iterator[Path]:
    """A new folder beside `folder` whose files move into it when the block ends without an error.

    Until then `folder` is as it was, and so it is after an error. Other files in it stay.

    Args:
        folder: Where the files shall stand; made if it does not exist.
        standing: Files in it that are replaced: those that get no successor are removed.

    Yields:
        The new folder.
    """
    folder = Path(folder)
    made = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=DRAFT_PREFIX, dir=folder))
    try:
        yield draft
        written = [path for path in sorted(draft.rglob("*")) if path.is_file()]
        targets = [folder / path.relative_to(draft) for path in written]
        for target in targets:
            target.parent.mkdir(parents=True, exist_ok=True)
        gone = [(path, None) for path in standing if path not in set(targets)]
        _move_all([*zip(written, targets, strict=True), *gone])
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        for place in made:
            with suppress(OSError):
                place.rmdir()
        raise
    shutil.rmtree(draft, ignore_errors=True)


def _move_all(moves: _Moves) -> None:
    """Gives all files their names, or, if one fails, leaves everything as it was."""
    done: list[
        tuple[Path, Path | None]
    ] = []  # where a file was, and where what stood there is kept
    try:
        for draft, target in moves:
            place = draft if target is None else target
            kept = place.with_name(f"{DRAFT_PREFIX}{len(done)}.{os.getpid()}.old")
            if place.is_dir() and not draft.is_dir():
                raise OutputExistsError(f"output {str(place)!r} is a folder, expected a file name.")
            if place.exists():
                _keep(place, kept, is_going=target is None)
                done.append((place, kept))
            else:
                done.append((place, None))
            if target is not None:
                draft.replace(target)
    except BaseException:
        for place, before in reversed(done):
            if before is None or before.is_dir():
                _remove(place)
            if before is not None:
                before.replace(place)
        for draft, target in moves:
            if target is not None:
                _remove(draft)
        raise
    for _, before in done:
        if before is not None:
            _remove(before)


def _remove(path: Path) -> None:
    """Removes a file, or a folder with all that it holds, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)


def _keep(place: Path, kept: Path, *, is_going: bool) -> None:
    """Gives a file a second name, or only that one where it goes or a file system knows no second names."""
    if not is_going and not place.is_dir():
        with suppress(OSError):
            kept.hardlink_to(place)
            return
    place.replace(kept)


def sha256_of(path: str | Path) -> str:
    """The SHA-256 of a file's bytes, as 64 hexadecimal digits.

    Raises:
        MissingFileError: If the file does not exist.
    """
    digest = hashlib.sha256()
    with check_file(path).open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()
