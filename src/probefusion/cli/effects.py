"""Options that cannot have an effect on what a command was given are refused: one rule, in one place, for all commands.

Options that change no result (`--threads`, `--device`, `--json`) are taken with anything, and so are those of which the
command itself says more: `--fuser`, which finds thresholds too, and `--calibration`. `--aligned` is taken with anything
too, so that one command fits a loop over images and embeddings: it says what images are and asks for nothing,
so where there are no images nobody can be misled. `--detector` asks for faces to be looked for, and is refused.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from probefusion.files.reading import in_one_line

__all__ = [
    "NOT_GIVEN",
    "STRANGERS",
    "check_archive_effects",
    "check_calibration_effects",
    "check_effects",
    "check_people_effects",
    "refuse",
]

PEOPLE = "a folder of people"
_IMAGES = frozenset({"image", "folder", "zip", PEOPLE})
_NEW = _IMAGES | {"video"}
_SETS = frozenset({"embedding_set", "array", "table"})

_WORDS = {
    "image": "an image",
    "folder": "a folder",
    "zip": "an archive",
    "video": "a video",
    "embedding_set": "embeddings",
    "array": "embeddings",
    "table": "embeddings",
    "fusion_state": "a saved state",
    "template": "a finished template",
    "templates": "finished templates",
    PEOPLE: PEOPLE,
}
"""What the inputs of a kind are called."""


@dataclass(frozen=True, kw_only=True)
class _Effect:
    """What options act on.

    Args:
        kinds: Kinds of inputs, see `probefusion.io.kind_of`.
        words: The same in words.
    """

    kinds: frozenset[str]
    words: str


_CROPS = _Effect(kinds=_NEW, words="images and videos")
_PHOTOS = _Effect(kinds=_IMAGES, words="images")
_VIDEOS = _Effect(kinds=frozenset({"video"}), words="videos")
_LOOKED_AT = _Effect(kinds=_NEW | _SETS, words="images, videos and embeddings")
_NOT_FINISHED = _Effect(
    kinds=_NEW | _SETS | {"fusion_state"}, words="images, videos, embeddings and states"
)
_ONE_TEMPLATE = _Effect(
    kinds=_NOT_FINISHED.kinds | {"template"}, words="one person beside another, or beside many"
)

_EFFECTS: Mapping[str, _Effect] = {
    "embedder": _NOT_FINISHED,
    "preprocessing": _CROPS,
    "norm_output": _CROPS,
    "detector": _CROPS,
    "keep_chips": _PHOTOS,
    "ignore_columns": _Effect(kinds=frozenset({"table"}), words="tables of embeddings"),
    "one_person": _Effect(kinds=frozenset({"folder", "zip"}), words="folders and .zip archives"),
    "chunk": _LOOKED_AT,
    "--strict": _ONE_TEMPLATE,
    "--largest-person": _LOOKED_AT,
    "--drop-outliers": _LOOKED_AT,
    "--no-screening": _LOOKED_AT,
    "every": _VIDEOS,
    "start": _VIDEOS,
    "stop": _VIDEOS,
    "max_faces": _VIDEOS,
    "min_size": _VIDEOS,
    "min_images": _VIDEOS,
    "split_below": _VIDEOS,
    "reenter_from": _VIDEOS,
}
"""Options by their name in the namespace; of `strangers` by the flag that was given."""

NOT_GIVEN: Mapping[str, Any] = {
    "keep_chips": False,
    "ignore_columns": (),
    "one_person": False,
    "every": 1,
    "start": 0.0,
    "max_faces": 20,
    "min_size": 0.0,
    "min_images": 3,
}
"""What options are that were not given, where it is not None."""

STRANGERS = {
    "refuse": "--strict",
    "largest-person": "--largest-person",
    "drop-outliers": "--drop-outliers",
    "no-screening": "--no-screening",
}
"""Flags of what is to be done about strangers."""

_OF_IMAGE_ARCHIVES: Mapping[str, Any] = {
    "rows": None,
    "person": "folder",
    "image_column": None,
    "every": None,
    "preprocessing": None,
    "norm_output": None,
    "trust_alignment": False,
}
"""Options that say how the images of an archive are read and embedded, and what they are where they are not given."""


_OF_CARDS: Mapping[str, Any] = {
    "keep_card": False,
    "mix": "hard",
    "sizes": (1, 2, 4, 8, 16, 32),
    "num_sets": 4,
}
"""Options of `calibrate` that are about the card of a fuser folder, and what they are where they are not given."""


def check_effects(
    options: argparse.Namespace, paths: Iterable[str], *, takes_all: bool = True
) -> None:
    """Refuses options that act on none of the inputs.

    Args:
        options: The command's.
        paths: Its inputs: files, folders, addresses of videos, `FILE#ID`.
        takes_all: Whether the command takes all kinds; otherwise images alone, and it says itself of others that they
            are none.

    Raises:
        ConfigError: If there is one; names the option, the inputs and what it is for.
        MissingFileError: If an input does not exist.
    """
    given = list(paths)
    kinds = {path: _kind(path) for path in given}
    if "unknown" in kinds.values() or not (takes_all or _IMAGES.issuperset(kinds.values())):
        return  # reading it says what is wrong with it
    words = sorted({_WORDS[kind] for kind in kinds.values()})
    first = in_one_line(given[0])
    named = first if len(given) == 1 else f"{first} and {len(given) - 1} more"
    _check(options, frozenset(kinds.values()), f"{' and '.join(words)} ({named})")
    if set(kinds.values()) == {"template"} and _is_given(options, "--strict"):
        _check_estimates(kinds, named)


def _check_estimates(paths: Iterable[str], named: str) -> None:
    """Refuses --strict where all inputs are templates that came without an estimate, so that it can refuse none."""
    from probefusion.io import read_templates
    from probefusion.types import Template

    found = [read_templates(path) for path in paths]
    if all(isinstance(given, Template) and given.usability is None for given in found):
        raise refuse(
            STRANGERS["refuse"],
            f"a finished template without an estimate of its usability ({named})",
            "what is fused, and templates that keep one",
            "Fuse its images anew, or leave it out",
        )


def check_people_effects(options: argparse.Namespace, folder: str) -> None:
    """The same where the input is a folder of people's folders of images.

    Raises:
        ConfigError: As for `check_effects`.
    """
    _check(options, frozenset({PEOPLE}), f"{PEOPLE} ({in_one_line(folder)})")


def check_archive_effects(options: argparse.Namespace) -> None:
    """The same where the input is an archive of rows of embeddings, and not of images.

    Raises:
        ConfigError: As for `check_effects`.
    """
    for name, usual in _OF_IMAGE_ARCHIVES.items():
        if getattr(options, name) != usual:
            raise refuse(
                _flag(name),
                f"rows of embeddings ({in_one_line(options.archive)})",
                "archives of images",
                "Give --aligned or --detector too if the archive holds images, or leave it out",
            )


def check_calibration_effects(options: argparse.Namespace) -> None:
    """The same for what `calibrate` puts into the card of a fuser folder.

    Raises:
        ConfigError: As for `check_effects`.
    """
    for name, usual in _OF_CARDS.items():
        if getattr(options, name) == usual:
            continue
        if options.output is not None:
            kept = f"a calibration that is kept in a file (-o {in_one_line(options.output)})"
            raise refuse(_flag(name), kept, "the card of a fuser folder")
        if options.keep_card and name != "keep_card":
            raise refuse(_flag(name), "a card that stays as it is (--keep-card)", "a new card")


def refuse(flag: str, given: str, words: str, step: str = "Leave it out") -> Exception:
    """The error of an option that has no effect.

    Args:
        flag: The option.
        given: What the inputs are, with their names.
        words: What the option is for.
        step: What to do.
    """
    from probefusion.errors import ConfigError

    return ConfigError(f"{flag}: has no effect on {given}: it is for {words}. {step}.")


def _check(options: argparse.Namespace, kinds: frozenset[str], given: str) -> None:
    for name, effect in _EFFECTS.items():
        if not effect.kinds & kinds and _is_given(options, name):
            raise refuse(_flag(name), given, effect.words)


def _is_given(options: argparse.Namespace, name: str) -> bool:
    if name.startswith("--"):
        return STRANGERS.get(getattr(options, "strangers", "tell")) == name
    usual = NOT_GIVEN.get(name)
    return bool(getattr(options, name, usual) != usual)


def _flag(name: str) -> str:
    return name if name.startswith("--") else f"--{name.replace('_', '-')}"


def _kind(path: str) -> str:
    from probefusion.io import kind_of, split_id

    file, name = split_id(path)
    return "template" if name is not None else kind_of(file)
