"""Changes of a folder of states: one command at a time, each seen whole or not at all.

Who commits holds the folder's lock (`probefusion.archives.files.locks`) and has looked whether the states are still
those that it began with. `states.json` is written last; whatever it does not name counts for nothing and is removed.
"""

from __future__ import annotations

import errno
import hashlib
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict

from probefusion.archives.files.locks import clean_drafts, locked
from probefusion.archives.files.storage import (
    Place,
    exists,
    join,
    list_files,
    read_bytes,
    remove_folder,
    shown_place,
    write_bytes,
)
from probefusion.archives.states.states import STATES_CARD, StoredStates
from probefusion.errors import MismatchError, OutputExistsError, ProbeFusionError
from probefusion.files.hashed_json import hashed_json

__all__ = ["changing", "check_free", "check_unchanged", "commit", "drop_generation", "present_hash"]

_GENERATION = re.compile(r"([0-9a-f]{20})/[0-9]+\.arrow")
_MOST_TRIES = 20


@contextmanager
def changing(folder: Place | None) -> Iterator[None]:
    """Nobody else changes the states of a folder until the block ends.

    Raises:
        MismatchError: If somebody else does.
        StorageError: If that cannot be told.
    """
    if folder is None:
        yield
        return
    problem = f"states {shown_place(folder)!r}: another command is changing them. Give yours again when that has ended."
    with locked(folder, problem):
        yield


def check_free(folder: Place, *, force: bool) -> None:
    """Refuses a folder that holds states.

    Raises:
        OutputExistsError: If it does, and `force` is False.
    """
    if not force and exists(join(folder, STATES_CARD)):
        raise OutputExistsError(
            f"states {shown_place(folder)!r} exist. Add files to them with --add-to, or replace them with --force."
        )


def present_hash(folder: Place) -> str | None:
    """Changes whenever the states of a folder do; None where there are none. What it holds may be damaged."""
    card = join(folder, STATES_CARD)
    return hashlib.sha256(read_bytes(card)).hexdigest() if exists(card) else None


def check_unchanged(folder: Place, present: str | None) -> None:
    """Refuses states that another run changed.

    Args:
        folder: Their folder.
        present: What `present_hash` gave when this run began.

    Raises:
        MismatchError: If they are others now.
    """
    if present_hash(folder) != present:
        raise MismatchError(
            f"states {shown_place(folder)!r}: were changed by another command meanwhile. Give the command again when "
            f"that has ended."
        )


def commit(folder: Place, states: StoredStates, *, present: str | None) -> str:
    """Makes states those of the folder, at once; all other generations, of interrupted runs too, are removed.

    Args:
        folder: Their folder, whose lock this run holds.
        states: The states.
        present: As for `check_unchanged`.

    Returns:
        What `present_hash` gives from now on.

    Raises:
        MismatchError: As for `check_unchanged`.
    """
    check_unchanged(folder, present)
    data = hashed_json(asdict(states))
    write_bytes(join(folder, STATES_CARD), data)
    _despite_others(lambda: _remove_others(folder, states))
    for name in ("", *states.generations):
        clean_drafts(join(folder, name) if name else folder)
    return hashlib.sha256(data).hexdigest()


def drop_generation(folder: Place, generation: str) -> None:
    """Removes what a run has written that is not to be committed, unless the states name it."""
    card = join(folder, STATES_CARD)
    if not exists(card) or generation.encode() not in read_bytes(card):
        _despite_others(lambda: remove_folder(join(folder, generation)))


def _remove_others(folder: Place, states: StoredStates) -> None:
    """Removes the generations that states do not name."""
    found = list_files(folder, suffixes=(".arrow",), missing_ok=True)
    names = {match[1] for file in found if (match := _GENERATION.fullmatch(file.name))}
    for name in sorted(names - set(states.generations)):
        remove_folder(join(folder, name))


def _despite_others(act: Callable[[], None]) -> None:
    """Removes something to which a run that will be refused may be writing, or which that run removes itself.

    Raises:
        StorageError: If a store cannot be reached.
        OSError: If it cannot be removed for another reason.
    """
    for _ in range(_MOST_TRIES):
        try:
            act()
        except ProbeFusionError:
            raise
        except OSError as error:
            if error.errno not in (errno.ENOENT, errno.ENOTEMPTY, errno.EEXIST):
                raise
        else:
            return
    # What is left then is removed by the run that writes it, when it is refused.
