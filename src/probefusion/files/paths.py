"""Paths that a person gives: looked at before anything is read or written."""

from __future__ import annotations

import errno
import os
import stat
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from probefusion.errors import (
    ConfigError,
    DtypeError,
    FileFormatError,
    MissingFileError,
    OutputExistsError,
)

__all__ = [
    "DRAFT_PREFIX",
    "as_list",
    "as_path",
    "brief",
    "check_ending",
    "check_existing",
    "check_file",
    "check_name",
    "check_not_input",
    "check_output",
    "check_output_file",
    "lfs_oid",
    "pointer_oid",
    "try_to_write",
]

_LFS_FIRST_LINE = b"version https://git-lfs.github.com/spec/"
_LONGEST_POINTER = 1024
DRAFT_PREFIX = ".probefusion-"
"""Begin of the names of files that are not finished: short, so that any name that fits can be written."""
_LONGEST_NAME = 255
"""Bytes of a file's name that common file systems take."""


def check_existing(path: str | Path, *, name: str = "path", devices: bool = False) -> Path:
    """Gives `path` as a Path that exists, a file or a folder.

    Args:
        path: The path.
        name: What it is called in messages.
        devices: Whether devices are let through, as for a camera.

    Raises:
        DtypeError: If it is no path.
        MissingFileError: If nothing is there.
        FileFormatError: If it is a pipe, a device or a socket, whose reading may never end, or nothing
            can be said of it because a folder above may not be entered; or a pointer of Git LFS that
            stands in for the file.
    """
    path = as_path(path, name)
    try:
        mode = path.stat().st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError) as error:
        raise MissingFileError(
            f"{name} {str(path)!r} does not exist (looked in {_working_folder()})."
        ) from error
    except OSError as error:
        if error.errno in (errno.ENAMETOOLONG, errno.ELOOP, errno.EINVAL):
            raise MissingFileError(
                f"{name} {_shortened(path)} does not exist ({error.strerror})."
            ) from error
        raise FileFormatError(
            f"{name} {str(path)!r}: could not be looked at ({error.strerror}). Check its permissions."
        ) from error
    if not devices and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        raise FileFormatError(
            f"{name} {str(path)!r} is a pipe, a device or a socket, expected a file or a folder. "
            f"Save its content to a file first."
        )
    oid = lfs_oid(path)
    if oid is not None:
        raise FileFormatError(
            f"{name} {str(path)!r}: a Git LFS pointer, not the file itself, whose SHA-256 is {oid}. Fetch it: "
            f"git lfs pull, in the repository that it comes from."
        )
    return path


def check_file(path: str | Path, *, name: str = "file") -> Path:
    """Gives `path` as a Path to a regular file.

    Raises:
        DtypeError, MissingFileError: As for `check_existing`.
        FileFormatError: If it is a folder, a pipe, a device or a socket, or may not be read.
    """
    path = check_existing(path, name=name)
    if path.is_dir():
        raise FileFormatError(f"{name} {str(path)!r}: expected a file, got a folder.")
    if not os.access(path, os.R_OK):
        raise FileFormatError(
            f"{name} {str(path)!r} may not be read. Change its permissions, or name another."
        )
    return path


def as_path(path: object, name: str, *, expected: str = "a path (a text or pathlib.Path)") -> Path:
    """Gives a text or path as a Path.

    Args:
        path: The text or path.
        name: What it is called in messages.
        expected: What it should be, in words.

    Raises:
        DtypeError: If it is neither.
    """
    if not isinstance(path, str | os.PathLike):
        raise DtypeError(f"{name}: expected {expected}, got {brief(path)}. Give one.")
    return Path(path)


def as_list(
    values: object,
    name: str,
    *,
    expected: str,
    step: str = "Give one of these, in a list where they are several.",
) -> list[Any]:
    """Gives what somebody gave as several things as a list.

    Args:
        values: Anything that can be gone through.
        name: The argument's name, for the message.
        expected: What it should be, in words.
        step: What to do, as a sentence.

    Raises:
        DtypeError: If it cannot be gone through.
    """
    try:
        each = iter(values)  # type: ignore[call-overload]
    except TypeError as error:
        raise DtypeError(f"{name}: expected {expected}, got {brief(values)}. {step}") from error
    return list(each)


def brief(value: object) -> str:
    """Type and value as messages show them, cut where it is long."""
    text = repr(value)
    return f"{type(value).__name__} {text if len(text) <= 60 else text[:57] + '...'}"


def _shortened(path: Path) -> str:
    text = str(path)
    return repr(text if len(text) <= 100 else f"{text[:60]}...{text[-30:]}")


def _working_folder() -> str:
    try:
        return str(Path.cwd())
    except OSError:
        return "a folder that was removed"


def lfs_oid(path: Path) -> str | None:
    """The SHA-256 that a pointer of Git LFS names; None for any other file."""
    if not path.is_file() or path.stat().st_size > _LONGEST_POINTER or not os.access(path, os.R_OK):
        return None
    with path.open("rb") as stream:
        return pointer_oid(stream.read(_LONGEST_POINTER))


def pointer_oid(data: bytes) -> str | None:
    """As `lfs_oid`, of the bytes of a file; "unknown" for a pointer that names none."""
    if not data.startswith(_LFS_FIRST_LINE) or len(data) > _LONGEST_POINTER:
        return None
    lines = [line.split(b" ", 1) for line in data.splitlines() if b" " in line]
    oid = next((value for key, value in lines if key == b"oid"), b"unknown")
    return oid.removeprefix(b"sha256:").decode("ascii", errors="replace")


def check_output(path: str | Path, *, force: bool) -> Path:
    """Gives `path` as a Path that may be written.

    Raises:
        OutputExistsError: If it exists and `force` is False.
        MissingFileError: If the folder it lies in does not exist.
        PermissionError: If that folder may not be written to.
        OSError: If no file can be made there for another reason, as on a full or read-only disk.
        ConfigError: If the name is too long or no Unicode.
    """
    check_name(path)
    if str(path).endswith(("/", os.sep)) and not Path(path).exists():
        raise MissingFileError(f"output {str(path)!r}: the folder does not exist. Name a file.")
    path = as_path(path, "output")
    if path.exists() and not path.is_file() and not path.is_dir():
        raise OutputExistsError(
            f"output {str(path)!r} is a device or pipe, expected a file. Choose another name."
        )
    if path.is_symlink():
        raise OutputExistsError(
            f"output {str(path)!r} is a link, which is not written through. Name the file itself."
        )
    if path.exists() and not force:
        raise OutputExistsError(
            f"output {str(path)!r} exists. Use --force (force=True) to replace it."
        )
    if not path.parent.is_dir():
        raise MissingFileError(
            f"output {path.name!r}: there is no folder {str(path.parent)!r}. Make it, or name another."
        )
    if not os.access(path.parent, os.W_OK | os.X_OK):
        raise PermissionError(
            f"output {path.name!r}: the folder {str(path.parent)!r} may not be written to. "
            f"Name another, or change its permissions."
        )
    try_to_write(path, path.parent)
    return path


def try_to_write(path: Path, folder: Path) -> None:
    """Makes and removes an empty file where the output shall lie: permissions do not tell all, as of /sys.

    Raises:
        PermissionError, OSError: If it cannot be made.
    """
    try:
        with tempfile.NamedTemporaryFile(prefix=DRAFT_PREFIX, dir=folder):
            pass
    except OSError as error:
        reason = (error.strerror or "unknown reason").lower()
        message = f"output {str(path)!r} cannot be written: {reason}. Name another folder."
        kind = PermissionError if isinstance(error, PermissionError) else OSError
        raise kind(message) from error


def check_output_file(path: str | Path, *, force: bool) -> Path:
    """As `check_output`, for a file: a folder that stands there is refused too.

    Raises:
        OutputExistsError, MissingFileError, PermissionError, ConfigError: As for `check_output`.
    """
    path = check_output(path, force=force)
    if path.is_dir():
        raise OutputExistsError(f"output {str(path)!r} is a folder, expected a file name.")
    return path


def check_ending(path: str | Path, ending: str, *, name: str = "-o") -> None:
    """Refuses an output that could not be read back, since its ending says another format.

    Args:
        path: The file to be written.
        ending: What it must end in, in lower or upper case, as ".npz".
        name: The argument's name, for the message.

    Raises:
        FileFormatError: If it ends otherwise.
    """
    found = Path(path).suffix
    if found.lower() != ending:
        raise FileFormatError(
            f"{name}: expected a file name that ends in {ending}, got {str(path)!r}. Name it "
            f"{Path(path).stem + ending!r}."
        )


def check_name(path: str | Path) -> None:
    """Refuses a name that no file can have, or that cannot be printed and stored as text.

    Raises:
        ConfigError: If a part is longer than the file system takes, or the name is no Unicode.
    """
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise ConfigError(
            f"output {text!r}: expected a name in UTF-8, got bytes that are none. Choose another name."
        ) from error
    if "\0" in text:
        raise ConfigError(f"output {text!r}: expected a name without a zero character.")
    longest = max(len(os.fsencode(part)) for part in (*Path(text).parts, ""))
    if longest > _LONGEST_NAME:
        raise ConfigError(
            f"output {text[:40]!r}...: expected names of at most {_LONGEST_NAME} bytes, got {longest}. "
            f"Choose a shorter one."
        )


def check_not_input(output: str | Path, inputs: Iterable[str | Path], *, name: str = "-o") -> None:
    """Refuses an output that would replace what it is made of.

    Args:
        output: The file to be written.
        inputs: Paths that are read; those that do not exist do not matter.
        name: The argument's name, for the message.

    Raises:
        ConfigError: If the output is one of the inputs.
    """
    target = Path(output).resolve()
    for path in inputs:
        if Path(path).resolve() == target:
            raise ConfigError(
                f"{name}: {str(output)!r} is also an input, which would be lost. Choose another name."
            )
