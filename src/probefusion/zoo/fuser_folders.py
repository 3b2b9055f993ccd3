"""Where fuser folders lie: in the package, in folders of the user's, among the pulled models."""

from __future__ import annotations

import os
import re
from pathlib import Path

from probefusion.errors import MissingFileError
from probefusion.files import bundled_folder, home_path, sha256_of
from probefusion.fusion.folder import CARD_NAME
from probefusion.zoo.manifest import KnownModel, models_folder

__all__ = ["find_wrong_file", "folder_sha256", "fuser_folders", "fuser_roots"]


def fuser_roots() -> tuple[tuple[str, Path], ...]:
    """The folders in which fuser folders are looked for, in order, each with whose it is.

    - `"package"`: those inside the package;
    - `"own"`: the folders that the environment variable PROBEFUSION_FUSERS names, separated as in PATH;
    - `"probefusion"`: the models folder, into which `probefusion models pull` puts them.

    Raises:
        MissingFileError: If PROBEFUSION_FUSERS names a folder that does not exist.
    """
    given = os.environ.get("PROBEFUSION_FUSERS", "").split(os.pathsep)
    own = [home_path(name) for name in given if name]
    for folder in own:
        if not folder.is_dir():
            raise MissingFileError(
                f"PROBEFUSION_FUSERS: there is no folder {str(folder)!r}. Correct or unset it."
            )
    return (
        ("package", bundled_folder()),
        *(("own", folder) for folder in own),
        ("probefusion", models_folder()),
    )


def fuser_folders() -> list[Path]:
    """Every fuser folder that is here: root by root, then by name, of several revisions the newest first.

    Raises:
        MissingFileError: As for `fuser_roots`.
    """
    found: dict[str, Path] = {}
    for _, root in fuser_roots():
        for folder in sorted((path.parent for path in root.glob(f"*/{CARD_NAME}")), key=_order):
            found.setdefault(folder.name, folder)
    return list(found.values())


def find_wrong_file(entry: KnownModel, folder: Path) -> tuple[Path, str, str | None] | None:
    """The first file of a folder that is not the manifest's, or None if all are.

    Args:
        entry: The manifest's entry.
        folder: Where it lies.

    Returns:
        The path, the hash it must have and the one it has; None for a file that is not there.
    """
    for file in entry.files:
        path = folder / file.name
        found = sha256_of(path) if path.is_file() else None
        if found != file.sha256:
            return path, file.sha256, found
    return None


def folder_sha256(folder: Path) -> str:
    """What stands for all of a fuser folder: the hash of its card, which holds those of the graphs."""
    return sha256_of(folder / CARD_NAME)


def _order(folder: Path) -> tuple[str, int]:
    stem, _, revision = folder.name.rpartition(".")
    number = re.fullmatch(r"r(\d+)", revision)
    return (folder.name, 0) if number is None else (stem, -int(number[1]))
