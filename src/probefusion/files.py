"""Files on disk: atomic writing, SHA-256, and the `.npz` containers of the value types."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from importlib.resources import files
from pathlib import Path
from typing import IO, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_file, check_output_file
from probefusion.content_hash import content_hash
from probefusion.errors import FileFormatError, IntegrityError, OutputExistsError
from probefusion.npy import open_npz

__all__ = [
    "DRAFT_PREFIX",
    "bundled_folder",
    "home_path",
    "optional_text",
    "read_npz",
    "replace_file",
    "replace_folder",
    "replace_folder_content",
    "replace_together",
    "sha256_of",
    "write_npz",
]

_DISK_ERRORS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS, errno.ENAMETOOLONG)

_HASH_MARK = "probefusion sha256:"
"""What the comment of an `.npz` begins with, before 64 hexadecimal digits."""


DRAFT_PREFIX = ".probefusion-"
"""Begin of the names of files that are not finished: short, so that any name that fits can be written."""


def bundled_folder() -> Path:
    """The folder of the package that holds its trained networks and the demonstration's data."""
    return Path(str(files("probefusion"))).absolute() / "zoo" / "weights"


def home_path(path: str | Path) -> Path:
    """The path with a `~` at its beginning resolved.

    Where nobody knows the user's home, as in some containers, it becomes a path at which nothing can be:
    such places are passed over, and a `~` is never taken for a folder's name.
    """
    text = os.fspath(path)
    resolved = os.path.expanduser(text)  # noqa: PTH111 - pathlib raises a RuntimeError
    return Path(os.devnull) / "no-home" / text if resolved.startswith("~") else Path(resolved)


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
        handle, temporary = tempfile.mkstemp(prefix=DRAFT_PREFIX, dir=path.parent)
    except OSError as error:
        raise _named(error, path) from error
    try:
        try:
            with os.fdopen(handle, "wb") as stream:
                yield stream
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            if error.errno is not None and error.filename is None:
                error.filename = str(path)
            raise
        mask = os.umask(0)
        os.umask(mask)
        Path(temporary).chmod(0o666 & ~mask)
        waiting = _waiting.get()
        if waiting is None:
            Path(temporary).replace(path)
        else:
            waiting.append((Path(temporary), path))
    except BaseException as error:
        Path(temporary).unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno in _DISK_ERRORS:
            raise _named(error, path) from error
        raise


def _named(error: OSError, path: Path) -> OSError:
    """The same error with the file's name: that of a full disk says none."""
    return type(error)(error.errno, error.strerror, str(path))


@contextmanager
def replace_together() -> Iterator[None]:
    """Files written by `replace_file` inside the block take their names together at its end, or none does.

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
            draft.unlink(missing_ok=True)
        raise
    finally:
        _waiting.reset(token)
    _move_all(moves)


def replace_folder(draft: Path, folder: Path) -> None:
    """Gives a finished folder its name; what stood there goes only when the new one stands.

    Args:
        draft: The finished folder, on the same disk.
        folder: Its name; a folder that stands there is removed with all that it holds.
    """
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
            if place.is_dir():
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
            if before is None:
                place.unlink(missing_ok=True)
            else:
                before.replace(place)
        for draft, target in moves:
            if target is not None:
                draft.unlink(missing_ok=True)
        raise
    for _, before in done:
        if before is not None:
            before.unlink(missing_ok=True)


def _keep(place: Path, kept: Path, *, is_going: bool) -> None:
    """Gives a file a second name, or only that one where it goes or a file system knows no second names."""
    if not is_going:
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


def write_npz(
    path: str | Path, *, kind: str, version: int, arrays: Mapping[str, Any], force: bool = False
) -> None:
    """Writes arrays as `.npz` with the kind of thing they are and the version of its format.

    Entries that are None are left out. The file is written atomically. The hash of all arrays stands
    in the comment of the archive, where `read_npz` looks for it: other readers and older releases see
    the arrays only, and a file written anew from them by hand has none.
    """
    present: dict[str, npt.NDArray[Any]] = {
        "kind": np.asarray(kind),
        "format_version": np.asarray(version),
        **{key: np.asarray(value) for key, value in arrays.items() if value is not None},
    }
    with (
        replace_file(path, force=force) as stream,
        zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED, allowZip64=True) as archive,
    ):
        for name, array in present.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.comment = f"{_HASH_MARK}{content_hash(present)}".encode()


def read_npz(
    path: str | Path, *, kind: str, version: int, required: frozenset[str], optional: frozenset[str]
) -> dict[str, npt.NDArray[Any]]:
    """Reads the arrays of an `.npz` written by `write_npz`, or by hand with the same keys.

    `kind` and `format_version` may be missing (files made by hand); when present they must fit. The
    hash is compared where there is one: files made by hand and by releases up to 0.1 have none.
    Nothing is unpickled.

    Raises:
        MissingFileError: If the file does not exist.
        IntegrityError: If its arrays are not those that were written.
        FileFormatError: If it is no `.npz`, is cut, lacks a key, has an unknown one, or holds
            another kind of thing.
    """
    with open_npz(path) as archive:
        arrays = archive.read_all()
        comment = archive.comment
    path = Path(path)
    _check_npz_hash(path, comment, arrays)
    found_kind = str(arrays.pop("kind", np.asarray(kind)))
    if found_kind != kind:
        raise FileFormatError(f"{path.name}: expected a file of kind {kind!r}, got {found_kind!r}.")
    found_version = arrays.pop("format_version", np.asarray(version))
    if found_version.shape != () or found_version.dtype.kind not in "iu":
        raise FileFormatError(
            f"{path.name}: format_version: expected one whole number, got {found_version!r}."
        )
    if int(found_version) > version:
        raise FileFormatError(
            f"{path.name}: format version {found_version} is newer than {version}, which this "
            f"release reads. Upgrade probefusion."
        )
    missing = required - arrays.keys()
    unknown = arrays.keys() - required - optional
    if missing or unknown:
        raise FileFormatError(
            f"{path.name}: expected the keys {sorted(required)} and optionally {sorted(optional)}; "
            f"missing {sorted(missing)}, unknown {sorted(unknown)}."
        )
    return arrays


def _check_npz_hash(path: Path, comment: bytes, arrays: Mapping[str, npt.NDArray[Any]]) -> None:
    mark = _HASH_MARK.encode()
    if comment.startswith(mark) and comment != mark + content_hash(arrays).encode():
        raise IntegrityError(
            f"{path}: its arrays are not those that were written to it (another SHA-256). The file "
            f"was changed or damaged; take a copy of it, or make it again."
        )


def optional_text(arrays: Mapping[str, npt.NDArray[Any]], key: str) -> str | None:
    """The text stored under a key, or None where there is none.

    Raises:
        FileFormatError: If it is not one text.
    """
    if key not in arrays:
        return None
    if arrays[key].shape != () or arrays[key].dtype.kind != "U":
        raise FileFormatError(f"{key}: expected one text, got {arrays[key]!r}.")
    return str(arrays[key])
