"""A learned fuser on disk: a folder of plain ONNX with a card that says what it is.

    fuser.json           the card: architecture, embedder, data, licence, metrics, thresholds, hashes
    encode.onnx          images -> terms of the sums
    finish.onnx          sums -> fused vector
    weights.safetensors  the same weights under their training names, to go on training from

Inputs and outputs of the two graphs, for use from other languages (N images, B sets, M clusters):

    encode.onnx of an imagewise (exact) fuser
        embeddings (N, D) float32, style (N, C, 2) float32 [if the card says style_channels > 0]
        -> shares (N, M), style_tokens (N, S) float32, and values (N, D) float32 if the card says
           values "graph"; if it says "unit", values_i = embeddings_i / (|embeddings_i| + 1e-5).
           The state is, summed in float64,
           mass = sum_i shares_i, sums = sum_i shares_i x values_i, style_sums = sum_i shares_i x style_tokens_i
    encode.onnx of a setwise (official) fuser
        embeddings (B, N, D), style (B, N, C, 2) float32
        -> mass (B, M), sums (B, M, D), style_sums (B, M, S), shares (B, N, M) float32
    finish.onnx
        mass (B, M), sums (B, M, D), style_sums (B, M, S) float64
        -> fused (B, D) float32, to be normalised; cluster_weights (B, M) float32, by which the share of
           an image in a cluster is multiplied to give its (unnormalised) weight

Format 2 added `values`; a card of format 1 has none, which means "graph". Format 3 added
`content_sha256`, the hash of all else in the card (`probefusion.files.hashed_json`); cards without it are
read unchecked. It is no part of the fingerprint, which is made of the graphs alone.
"""

from __future__ import annotations

import functools
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from probefusion.errors import ConfigError, FileFormatError, IntegrityError
from probefusion.files import check_existing, replace_file, sha256_of
from probefusion.files.hashed_json import HASH_KEY, hashed_json
from probefusion.files.reading import in_one_line
from probefusion.files.records import read_record
from probefusion.fusion.threshold import Threshold, find_threshold

__all__ = [
    "CARD_NAME",
    "FORMAT_VERSION",
    "FuserCard",
    "encode_outputs",
    "read_card",
    "with_thresholds",
    "write_card",
]

CARD_NAME = "fuser.json"
FORMAT_VERSION = 3
KINDS = ("imagewise", "setwise")
VALUES = ("unit", "graph")
GRAPHS = ("encode.onnx", "finish.onnx")

_STEP = (
    f"Copy the fuser folder again. If the change is meant, take the key {HASH_KEY} out of the card."
)


@dataclass(frozen=True, kw_only=True)
class FuserCard:
    """What `fuser.json` says.

    Args:
        name: `architecture.embedder-data.rN`; a published folder of that name never changes.
        architecture: "official" or "exact".
        kind: "imagewise" (sums over images, exact) or "setwise" (a batch is seen at once).
        config: Settings of the architecture, as its config class takes them.
        embedder: Fingerprint of the embedder it was trained for, or None for any.
        dim: D.
        style_channels: C, 0 if no style is needed.
        num_clusters: M.
        licence: Licence of the weights, apart from that of the code.
        training: Data, seed, steps and versions of the training.
        metrics: Figures measured when it was made, with the command that gives them.
        thresholds: Calibrated decision thresholds, possibly none.
        files: SHA-256 of each file beside the card.
        needs_norms: Whether the lengths of the embeddings must be the network's own.
        values: "unit" if what an image adds to the sums of an imagewise fuser is its embedding over
            its length, which the graph then does not give; "graph" if the graph gives it.
        self_test: Seed, number of images and expected fused unit vector of a synthetic set.
        format_version: Version of this format.

    Raises:
        ConfigError: If a value is out of its range.
    """

    name: str
    architecture: str
    kind: str
    config: dict[str, Any]
    embedder: str | None
    dim: int
    style_channels: int
    num_clusters: int
    licence: str
    files: dict[str, str]
    training: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)
    thresholds: tuple[Threshold, ...] = ()
    self_test: dict[str, Any] = field(default_factory=dict)
    needs_norms: bool = False
    values: str = "graph"
    format_version: int = FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise ConfigError(f"kind: expected one of {', '.join(KINDS)}, got {self.kind!r}.")
        if self.values not in VALUES:
            raise ConfigError(f"values: expected one of {', '.join(VALUES)}, got {self.values!r}.")
        for name in ("dim", "num_clusters"):
            if getattr(self, name) < 1:
                raise ConfigError(f"{name}: expected at least 1, got {getattr(self, name)}.")

    @property
    def fingerprint(self) -> str:
        """Name and 12 digits of the hashes of the two graphs."""
        parts = [self.files[name][:6] for name in GRAPHS]
        return f"{self.name}@{''.join(parts)}"

    def threshold_for(self, false_match_rate: float, num_images: int) -> Threshold | None:
        """As `find_threshold`, among those of the card."""
        return find_threshold(self.thresholds, false_match_rate, num_images)


def encode_outputs(kind: str, values: str) -> tuple[str, ...]:
    """Names of the outputs of `encode.onnx`, in order.

    Args:
        kind: "imagewise" or "setwise".
        values: "unit" or "graph".
    """
    if kind == "setwise":
        return ("mass", "sums", "style_sums", "shares")
    return ("shares", "style_tokens") if values == "unit" else ("shares", "values", "style_tokens")


def write_card(card: FuserCard, folder: Path, *, force: bool = False) -> None:
    """Writes `fuser.json` into `folder`, atomically, in the newest format and with its hash.

    Written anew, a card that was read from an older file gets its hash; the fuser keeps its fingerprint.

    Raises:
        OutputExistsError: If there is one and `force` is False.
    """
    plain = {**asdict(card), "format_version": FORMAT_VERSION}
    with replace_file(folder / CARD_NAME, force=force) as stream:
        stream.write(hashed_json(plain, indent=2))
    _card_of.cache_clear()


def with_thresholds(folder: str | Path, thresholds: tuple[Threshold, ...]) -> FuserCard:
    """Replaces the thresholds in a fuser's card; its graphs and so its fingerprint stay.

    Raises:
        MissingFileError, FileFormatError, IntegrityError: As `read_card`.
    """
    card = replace(read_card(folder), thresholds=thresholds)
    write_card(card, Path(folder), force=True)
    return card


def read_card(folder: str | Path, *, verify: bool = True) -> FuserCard:
    """Reads and checks the card of a fuser folder.

    A card is read from the disk once, and again when its file was changed: callers share it and must
    not change what it holds.

    Args:
        folder: The folder.
        verify: Whether to compare the SHA-256 of the graphs with the card's.

    Raises:
        MissingFileError: If folder, card or a graph is missing.
        FileFormatError: If the card is not valid; an unknown key is an error with a suggestion.
        IntegrityError: If the card is not what was written, or a file is not the one it was written for.
    """
    folder = check_existing(folder, name="fuser folder")
    path = check_existing(folder / CARD_NAME, name="fuser card")
    status = path.stat()
    card = _card_of(path.absolute(), (status.st_ino, status.st_mtime_ns, status.st_size))
    for name in GRAPHS:
        digest, graph = card.files[name], check_existing(folder / name, name="fuser graph")
        if verify and sha256_of(graph) != digest:
            raise IntegrityError(
                f"{graph}: its SHA-256 is not the one in {CARD_NAME} ({digest[:12]}...). The file was "
                f"changed or damaged; copy the fuser folder again."
            )
    return card


@functools.lru_cache(maxsize=256)
def _card_of(path: Path, version: tuple[int, int, int]) -> FuserCard:
    """The card in a file, read once for each version of the file (inode, time, size)."""
    del version
    card = read_record(path, FuserCard, newest=FORMAT_VERSION, step=_STEP)
    for name in GRAPHS:
        if name not in card.files:
            raise FileFormatError(
                f"{in_one_line(path)}: files.{name}: expected its SHA-256, it is missing."
            )
    return card
