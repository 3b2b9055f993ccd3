"""The one schema of tables with named columns, CSV and Parquet: what a column means by its name.

    embedding                       a list of D numbers; or D columns numbered without gaps, from 0 or 1,
                                    with the same word before the number: e0, emb_0, 0, ...
    style                           a list of 2C numbers: mean and deviation of channel 0, of channel 1, ...
    source, media_id                name of the image; which still or video it comes from
    norm                            length that the embedding had before it was normalised
    quality                         logarithm of the image's weight, as `CropQuality` judges it
    detector_score                  how sure the face detector was of the image's face; no fuser weighs by it
    subject_id, template_id         one and the same value in all rows
    an index as pandas writes it    a column without a name, or __index_level_0__, that counts the rows

Case does not matter. Any other column is refused, unless it is named as one to ignore: a number that is
no part of the embedding must never become one.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from probefusion.checks import check_float_array, row_norms
from probefusion.errors import FileFormatError, InvalidInputError, ShapeError, UnknownNameError
from probefusion.files.reading import in_one_line
from probefusion.types import EmbeddingSet

__all__ = [
    "UNNAMED",
    "Columns",
    "counts_rows",
    "numbered_columns",
    "refuse_other_things",
    "set_of_columns",
]

UNNAMED = "Unnamed: 0"
"""What pandas calls a first column without a name."""

_INDEX_NAMES = ("", UNNAMED.lower(), "__index_level_0__")
"""How pandas names the column of an index that has no name of its own."""

_KNOWN = (
    "embedding",
    "style",
    "source",
    "media_id",
    "norm",
    "quality",
    "detector_score",
    "subject_id",
    "template_id",
)
_OTHER_THINGS = re.compile(
    "ages?|area|attr|attributes?|bbox(es)?|box(es)?|class(es)?|eyes?|keypoints?|kps?|kpts?|labels?|landmarks?|lms?|"
    "logits?|mouth|nose|pitch|pixels?|points?|pose|probs?|probability|rects?|roll|scores?|style|yaw"
)
"""Words of numbered columns that stand beside embeddings and are none."""
_ONE_VALUE = ("subject_id", "template_id")
_NUMBERED = re.compile(r"(.*?)[_\-. ]?(\d{1,6})")
_LONGEST_LIST = 12
_NORM_TOLERANCE = 1e-2


@dataclass(frozen=True, kw_only=True)
class Columns:
    """Which column of a table holds what.

    Args:
        known: Position of each known column by its name here.
        numbered: Positions of the columns that make up the embedding, in order; () if it is one column.
        index: Position of pandas' index, or None.
        are_nameless: Whether the names of the numbered columns are their numbers alone, which say nothing.
    """

    known: dict[str, int]
    numbered: tuple[int, ...]
    index: int | None
    are_nameless: bool = False

    @staticmethod
    def of(names: Sequence[str], *, origin: str, ignore: Iterable[str] = ()) -> Columns:
        """Sorts the columns of a table by their names.

        Args:
            names: All columns.
            origin: The file's name, for messages.
            ignore: Columns that are passed over.

        Raises:
            FileFormatError: If there is no embedding, a column comes twice, or one is unknown; lists all.
            UnknownNameError: If there is no column of a name that is to be ignored.
        """
        plain = [name.strip().lower() for name in names]
        ignored = _ignored(plain, ignore)
        open_ones = [place for place in range(len(plain)) if place not in ignored]
        for place in open_ones:
            if plain.count(plain[place]) > 1:
                raise FileFormatError(
                    f"{in_one_line(origin)}: expected each column once, got {names[place]!r} "
                    f"{plain.count(plain[place])} times. Rename or remove one."
                )
        known = {plain[place]: place for place in open_ones if plain[place] in _KNOWN}
        index = next((place for place in open_ones if plain[place] in _INDEX_NAMES), None)
        rest = [place for place in open_ones if place not in known.values() and place != index]
        runs = numbered_columns([plain[place] for place in rest])
        numbered: tuple[int, ...] = ()
        if len(runs) == 1 and "embedding" not in known:
            numbered = tuple(rest[place] for place in runs[0])
            refuse_other_things(plain[numbered[0]], origin=origin)
        unknown = [names[place] for place in rest if place not in numbered]
        if unknown or not (numbered or "embedding" in known):
            raise FileFormatError(_refusal(names, unknown, has_runs=len(runs) > 1, origin=origin))
        return Columns(
            known=known,
            numbered=numbered,
            index=index,
            are_nameless=bool(numbered) and plain[numbered[0]].isdigit(),
        )


def refuse_other_things(name: str, *, origin: str) -> None:
    """Refuses what is to be taken for the embedding, but by its name is something else that faces have.

    Args:
        name: Of the first of numbered columns, or of a data set.
        origin: The file's name, for messages.

    Raises:
        FileFormatError: If a word of it is one of these.
    """
    if any(_OTHER_THINGS.fullmatch(word) for word in re.split(r"[^a-z]+", name.lower())):
        raise FileFormatError(
            f"{in_one_line(origin)}: expected an embedding, got {in_one_line(name)!r} alone, which is something else. "
            f"Add the embedding; if it is one, name it so: a column or data set 'embedding', or columns e0, e1, ..."
        )


def numbered_columns(names: Sequence[str]) -> list[tuple[int, ...]]:
    """The runs of columns with one word and the numbers 0 to D-1 or 1 to D behind it, D >= 2.

    Args:
        names: All columns.

    Returns:
        For each word whose numbers have no gap the positions of its columns, by number.
    """
    found: dict[str, dict[int, int]] = {}
    for place, name in enumerate(names):
        match = _NUMBERED.fullmatch(name.strip().lower())
        if match is not None:
            found.setdefault(match[1], {}).setdefault(int(match[2]), place)
    return [
        tuple(places[number] for number in sorted(places))
        for places in found.values()
        if len(places) > 1
        and min(places) in (0, 1)
        and max(places) - min(places) == len(places) - 1
    ]


def counts_rows(values: npt.NDArray[Any]) -> bool:
    """Whether a column counts the rows from 0 or 1, as an index does that says nothing."""
    if values.dtype.kind not in "iuf":
        return False
    count = np.arange(len(values))
    return bool((values == count).all() or (values == count + 1).all())


def set_of_columns(values: dict[str, Any], *, embedder: str | None, origin: str) -> EmbeddingSet:
    """The set of what a table's columns hold.

    Args:
        values: Arrays by column: `embedding` (N, D), and as far as present `style` (N, 2C), `norm`,
            `quality` and `detector_score` (N,), and the others as labels (N,).
        embedder: Fingerprint of the embedder, if the file says it.
        origin: The file's name, for messages.

    Raises:
        FileFormatError: If the rows are of several people or templates.
        InvalidInputError: If a column does not hold what its name says.
    """
    for name in _ONE_VALUE:
        count = len(np.unique(values[name])) if name in values else 1
        if count > 1:
            raise FileFormatError(
                f"{in_one_line(origin)}: expected the images of one template, got {count} different values of {name}. "
                f"Select one person's rows first; fuse-archive fuses all people of a Parquet file."
            )
    style = values.get("style")
    if style is not None:
        if style.shape[1] % 2:
            raise ShapeError(
                f"style of {origin}: expected pairs of mean and deviation, got {style.shape[1]} numbers."
            )
        style = style.reshape(len(style), -1, 2)
    embeddings = values["embedding"]
    if "norm" in values:
        embeddings = _with_norms(embeddings, values["norm"], origin)
    return EmbeddingSet(
        embeddings=embeddings,
        style=style,
        quality=values.get("quality"),
        detector_scores=values.get("detector_score"),
        media_ids=values.get("media_id"),
        sources=values.get("source"),
        embedder=embedder,
        norms_known=True if "norm" in values else None,
        origin=origin,
    )


def _with_norms(
    embeddings: npt.NDArray[Any], lengths: npt.NDArray[Any], origin: str
) -> npt.NDArray[Any]:
    """Unit embeddings with the lengths that they had."""
    where = f" of {origin}"
    rows = check_float_array(embeddings, name="embeddings", shape=(None, None), where=where)
    own = row_norms(rows)
    with np.errstate(invalid="ignore"):  # infinity less infinity
        agrees = np.abs(own - lengths) <= _NORM_TOLERANCE * np.abs(lengths)
    is_unit = np.abs(own - 1) <= _NORM_TOLERANCE
    wrong = ~((agrees | is_unit) & (lengths > 0) & np.isfinite(lengths))
    if wrong.any():
        row = int(np.argmax(wrong))
        raise InvalidInputError(
            f"norm{where}, row {row}: expected the length of the embedding or, of one of length 1, that it had "
            f"before, got {lengths[row]:g} beside a length of {own[row]:g}. Ignore the column if it means "
            f"something else."
        )
    factors = np.where(agrees, 1.0, lengths / np.where(own > 0, own, 1))
    return np.asarray(rows * factors[:, None].astype(np.float32))


def _ignored(plain: Sequence[str], ignore: Iterable[str]) -> set[int]:
    places: set[int] = set()
    for name in ignore:
        wanted = {name.strip().lower()}
        if wanted & set(_INDEX_NAMES):
            wanted = set(_INDEX_NAMES)
        found = {place for place, have in enumerate(plain) if have in wanted}
        if not found:
            raise UnknownNameError("column to ignore", name, plain)
        places |= found
    return places


def _refusal(names: Sequence[str], unknown: Sequence[str], *, has_runs: bool, origin: str) -> str:
    text = (
        f"{in_one_line(origin)}: expected the embedding as columns numbered without gaps (e0, e1, ... or 0, 1, ...) or "
        f"as one column 'embedding', and optionally {', '.join(_KNOWN[1:])}; got the columns {_listed(names)}. "
    )
    if has_runs:
        text += "Several kinds are numbered: which is the embedding? "
    if not unknown:
        return text + "There is no embedding among them."
    flag = _listed([name or UNNAMED for name in unknown], separator=",")
    close = difflib.get_close_matches(unknown[0].strip().lower(), _KNOWN, n=1)
    hint = f" (did you mean {close[0]!r}?)" if close else ""
    return text + (
        f"Unknown: {_listed(unknown)}{hint}. What is no part of the embedding can be left out: "
        f"--ignore-columns {flag} (ignore=[...]); if all columns are the embedding, remove the line of names."
    )


def _listed(names: Sequence[str], *, separator: str = ", ") -> str:
    plain = [in_one_line(name) for name in names]
    shown = [name if separator == "," else (name or "''") for name in plain]
    if len(shown) <= _LONGEST_LIST:
        return separator.join(shown)
    return separator.join([*shown[: _LONGEST_LIST - 2], "...", shown[-1]])
