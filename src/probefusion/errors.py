"""The error tree: every error that probefusion raises on purpose.

    ProbeFusionError
    ├── InvalidInputError (ValueError)         an argument or a file's content is not what it must be
    │   ├── EmptySetError                      a set of zero images
    │   ├── ShapeError                         wrong number of axes, wrong dimension, lengths that differ
    │   ├── DtypeError (also TypeError)        not a floating-point array, not an integer, ...
    │   ├── NonFiniteError                     NaN or infinity
    │   ├── ZeroLengthError                    an embedding without direction
    │   ├── SeveralPeopleError                 images of one person that seem to be of several
    │   ├── NotUsableError                     images too poor for a template that can be used
    │   ├── FileFormatError                    a file that does not hold what its format promises
    │   └── ConfigError                        an unknown or contradictory setting
    ├── MismatchError (ValueError)             two things that do not belong together
    │   ├── EmbedderMismatchError              embeddings of different face-recognition networks
    │   └── FuserMismatchError                 states or templates of different fusers
    ├── MissingNormsError (ValueError)         the fuser needs lengths and the embeddings lost them
    ├── MissingStyleError (ValueError)         the fuser needs style statistics and the set has none
    ├── SealError (ValueError)                 sealed bytes that do not open here: another key or place, or changed
    ├── ConflictError (ValueError)             a change that others, made since, stand against
    ├── UnsupportedOperationError (NotImplementedError)   this fuser cannot do that, and says why
    ├── UnknownNameError (KeyError)            no fuser, embedder, detector or metric of this name
    ├── MissingKeyError (KeyError)             a key that was destroyed, or that the key file never held
    ├── StoreError (OSError)                   a database that could not be reached, read or written
    ├── StoreBusyError (TimeoutError)          others held a database for longer than one waits
    ├── StorageError (OSError)                 a file of an archive that may not be used, or a store out of reach
    ├── WorkerError (RuntimeError)             workers that died again and again, or a cluster out of reach
    ├── MissingFileError (FileNotFoundError)
    ├── OutputExistsError (FileExistsError)    refused to overwrite
    ├── IntegrityError (OSError)               a hash that does not match
    ├── DownloadError (OSError)                a file that could not be fetched; lists every address tried
    └── MissingExtraError (ImportError)        an optional dependency; names the pip command

Every message says which argument or file, what was expected, what came, and what to do next.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterable
from typing import Any

__all__ = [
    "ConfigError",
    "ConflictError",
    "DownloadError",
    "DtypeError",
    "EmbedderMismatchError",
    "EmptySetError",
    "FileFormatError",
    "FuserMismatchError",
    "IntegrityError",
    "InvalidInputError",
    "MismatchError",
    "MissingExtraError",
    "MissingFileError",
    "MissingKeyError",
    "MissingNormsError",
    "MissingQualityError",
    "MissingStyleError",
    "NonFiniteError",
    "NotUsableError",
    "OutputExistsError",
    "ProbeFusionError",
    "SealError",
    "SeveralPeopleError",
    "ShapeError",
    "StorageError",
    "StoreBusyError",
    "StoreError",
    "UnknownNameError",
    "UnsupportedOperationError",
    "WorkerError",
    "ZeroLengthError",
]

_NAMES_LISTED = 50
"""An error lists at most so many known names."""


class ProbeFusionError(Exception):
    """Root of all errors that probefusion raises on purpose."""


class InvalidInputError(ProbeFusionError, ValueError):
    """An argument or a file's content is not what it must be."""


class EmptySetError(InvalidInputError):
    """A set of zero images was given where at least one is needed."""


class SeveralPeopleError(InvalidInputError):
    """Images that are to be of one person seem to be of several, and that was to be refused."""


class NotUsableError(InvalidInputError):
    """The images are too poor for a template that can be used, and that was to be refused."""


class ShapeError(InvalidInputError):
    """An array has the wrong number of axes, the wrong dimension, or a length that does not fit."""


class DtypeError(InvalidInputError, TypeError):
    """An array or value is of the wrong type."""


class NonFiniteError(InvalidInputError):
    """An array holds NaN or infinity; the message names the first row."""


class ZeroLengthError(InvalidInputError):
    """An embedding has (almost) no length, so it has no direction."""


class FileFormatError(InvalidInputError):
    """A file does not hold what its format promises; the message names file and line or key."""


class ConfigError(InvalidInputError):
    """A setting is unknown, out of range, or contradicts another."""


class MismatchError(ProbeFusionError, ValueError):
    """Two things that do not belong together were combined."""


class EmbedderMismatchError(MismatchError):
    """Embeddings of one face-recognition network met a fuser or template of another."""


class FuserMismatchError(MismatchError):
    """States or templates of different fusers were combined or compared."""


class MissingNormsError(ProbeFusionError, ValueError):
    """The fuser judges images by the length of their embeddings, and these are of unit length."""


class MissingStyleError(ProbeFusionError, ValueError):
    """The fuser needs style statistics and the set has none."""


class MissingQualityError(ProbeFusionError, ValueError):
    """The fuser needs a quality judged from the crops, and the set has none."""


class SealError(ProbeFusionError, ValueError):
    """Sealed bytes do not open: another key, another place, or they were changed."""


class ConflictError(ProbeFusionError, ValueError):
    """A change that others, made since, stand against."""


class UnsupportedOperationError(ProbeFusionError, NotImplementedError):
    """This fuser or model cannot do what was asked; the message says why."""


class _BuiltOfParts:
    """For errors that are built of other things than their message: they still travel between processes."""

    args: tuple[Any, ...]

    def __reduce__(self) -> tuple[Any, ...]:
        """Python would build it anew of its message alone."""
        return _as_it_was, (type(self), self.args, self.__dict__)


def _as_it_was(kind: type[Any], told: tuple[Any, ...], more: dict[str, Any]) -> Any:
    error = kind.__new__(kind, *told)
    error.__dict__.update(more)
    return error


class UnknownNameError(_BuiltOfParts, ProbeFusionError, KeyError):
    """No fuser, embedder, detector or setting has this name.

    Args:
        kind: What was looked for, as a word ("fuser").
        name: The name that was given.
        known: All names that exist; close ones are suggested, the first 50 listed.
        step: What to do, where there are too many to list: told instead of them.
    """

    def __init__(self, kind: str, name: str, known: Iterable[str], *, step: str = "") -> None:
        self.kind, self.name = kind, name
        names = sorted(known)
        close = difflib.get_close_matches(name, names, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else "."
        listed = ", ".join(names[:_NAMES_LISTED]) or "none"
        more = f" and {len(names) - _NAMES_LISTED} more" if len(names) > _NAMES_LISTED else ""
        self.message = f"unknown {kind} {name!r}{hint} {step or f'Known: {listed}{more}.'}"
        super().__init__(self.message)

    def __str__(self) -> str:
        """The message itself (KeyError would show its repr)."""
        return self.message


class MissingKeyError(ProbeFusionError, KeyError):
    """A key was destroyed, or the key file never held it."""

    def __str__(self) -> str:
        """The message itself (KeyError would show its repr)."""
        return str(self.args[0])


class StoreBusyError(ProbeFusionError, TimeoutError):
    """Others held a database for longer than one waits."""


class MissingFileError(ProbeFusionError, FileNotFoundError):
    """A file or folder does not exist."""


class OutputExistsError(ProbeFusionError, FileExistsError):
    """The output exists and overwriting was not asked for."""


class IntegrityError(ProbeFusionError, OSError):
    """A file's hash is not the one that was promised."""


class DownloadError(ProbeFusionError, OSError):
    """A file could not be fetched; the message lists every address tried and why it failed."""


class StoreError(ProbeFusionError, OSError):
    """A database could not be reached, read or written; the message says what became of a change."""


class StorageError(ProbeFusionError, OSError):
    """A file or folder of an archive may not be used, or the store that holds it cannot be reached."""


class WorkerError(ProbeFusionError, RuntimeError):
    """Workers of an engine died again and again at the same task, or its cluster cannot be reached."""


class MissingExtraError(_BuiltOfParts, ProbeFusionError, ImportError):
    """An optional dependency is not installed.

    Args:
        package: The import name that failed.
        extra: The extra of probefusion that brings it.
        purpose: What it is needed for, as a gerund ("reading Parquet files").
        command: What installs it, where no extra does.
    """

    def __init__(
        self, package: str, extra: str, purpose: str, *, command: str | None = None
    ) -> None:
        default = f"pip install 'probefusion[{extra}]'"
        super().__init__(
            f"{purpose} needs the package {package!r}, which is not installed. "
            f"Install it with: {command or default}"
        )


def in_one_line(name: str | os.PathLike[str]) -> str:
    """The name of a file, or of something in it, as a message can show it: as it is, or quoted with escapes."""
    text = os.fspath(name)
    return text if "".join(text.splitlines()) == text else repr(text)
