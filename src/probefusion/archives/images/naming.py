"""Whose image is it? The rules by which an archive's names and side files say it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from probefusion.errors import ConfigError
from probefusion.files.member_names import plain_name

__all__ = [
    "LONGEST_SIDE",
    "PersonRule",
    "key_of",
    "num_wrapping_folders",
    "place_beside",
]

_BY_NAME = ("folder", "parent")
_BY_FILE = ("cls", "txt")
LONGEST_SIDE = 16 << 20
"""Bytes of a file beside an image that are read to learn whose it is; of a longer one it says nothing."""

_EXPECTED = "folder, parent, cls, txt, json:FIELD or column:NAME"


@dataclass(frozen=True, kw_only=True)
class PersonRule:
    """Where the name of an image's person stands.

    Args:
        kind: "folder": the outermost folder, but for folders in which everything lies; of a shard's key the part
            before the first "/". "parent": the folder that the image itself lies in. "cls", "txt", "json": the file
            of the same key with this ending. "column": a column of a Parquet file.
        field: The field of a JSON file or the column; else "".
    """

    kind: str = "folder"
    field: str = ""

    @classmethod
    def parse(cls, text: str) -> PersonRule:
        """The rule that a text states: folder, parent, cls, txt, json:FIELD or column:NAME.

        Raises:
            ConfigError: If it is none of these.

        Example:
            >>> PersonRule.parse("json:name")
            PersonRule(kind='json', field='name')
        """
        kind, colon, field = text.partition(":")
        is_plain = kind in (*_BY_NAME, *_BY_FILE) and not colon
        if not is_plain and not (kind in ("json", "column") and field):
            raise ConfigError(f"--person (person=): expected {_EXPECTED}, got {text!r}.")
        return cls(kind=kind, field=field)

    def __str__(self) -> str:
        return f"{self.kind}:{self.field}" if self.field else self.kind

    @property
    def ending(self) -> str | None:
        """Ending of the side file that names the person, without a dot; None where a name does."""
        return self.kind if self.kind in ("cls", "txt", "json") else None

    def of_name(self, name: str, *, wrapping: int = 0) -> str | None:
        """The person that a name tells, or None where it lies in no person's folder.

        Args:
            name: Name below the source, parts separated by "/".
            wrapping: Folders to pass through.
        """
        folders = PurePosixPath(plain_name(name)).parts[:-1]
        if self.kind == "parent":
            return folders[-1] if folders else None
        return folders[wrapping] if len(folders) > wrapping else None

    def of_files(self, files: Mapping[str, bytes]) -> str | None:
        """The person that the side files of an image tell, or None.

        Args:
            files: Content of the files of one key by their endings.
        """
        data = files.get(self.ending or "")
        if data is None or len(data) > LONGEST_SIDE:
            return None
        try:
            text = data.decode("utf-8-sig")
            if self.kind != "json":
                return text.strip() or None
            content = json.loads(text)
        except (ValueError, RecursionError):
            return None
        return text_of(content.get(self.field)) if isinstance(content, dict) else None

    def why_none(self, name: str) -> str:
        """Why an image has no person, for the list of what was skipped."""
        if self.ending is not None:
            field = f" with a field {self.field!r}" if self.field else ""
            return f"whose is it? There is no {key_of(name)[0]}.{self.ending}{field} that says it"
        if self.kind == "column":
            return f"whose is it? The column {self.field!r} says nothing"
        return "whose is it? It lies in no person's folder; say where persons are named: --person (person=)"


def text_of(value: object) -> str | None:
    """The name of a person as text: of a text or whole number; None for anything else, and for no text."""
    if isinstance(value, bytes):
        try:
            value = value.decode()
        except UnicodeDecodeError:
            return None
    if isinstance(value, bool) or not isinstance(value, str | int):
        return None
    return str(value).strip() or None


def key_of(name: str) -> tuple[str, str]:
    """Key and ending of a file as WebDataset splits its name: at the first dot of the last part.

    Example:
        >>> key_of("anna/img_1.left.jpg")
        ('anna/img_1', 'left.jpg')
    """
    folder, slash, last = name.rpartition("/")
    stem, _, ending = last.partition(".")
    return f"{folder}{slash}{stem}", ending.lower()


def place_beside(place: str, name: str, ending: str) -> str:
    """Path or url of the file of the same key with another ending.

    Args:
        place: Path or url of a file as it is listed, which ends as `name` does.
        name: Its name below the source.
        ending: Of the other one, without a dot.

    Example:
        >>> place_beside("s3://faces/anna/1.jpg", "anna/1.jpg", "cls")
        's3://faces/anna/1.cls'
    """
    return f"{place[: len(place) - len(name) + len(key_of(name)[0])]}.{ending}"


def num_wrapping_folders(names: Iterable[str]) -> int:
    """How many folders hold everything, one inside the other, before those of people begin.

    Example:
        >>> num_wrapping_folders(["faces/anna/1.jpg", "faces/ben/1.jpg"]), num_wrapping_folders(["anna/1.jpg"])
        (1, 0)
    """
    shared: tuple[str, ...] | None = None
    least = 0
    for name in names:
        folders = PurePosixPath(plain_name(name)).parts[:-1]
        if shared is None:
            shared, least = folders, len(folders)
        least = min(least, len(folders))
        while folders[: len(shared)] != shared:
            shared = shared[:-1]
        if not shared:
            return 0
    return max(0, min(len(shared or ()), least - 1))
