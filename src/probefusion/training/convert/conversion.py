"""From a checkpoint of others to an ONNX embedder with style taps, and a fuser folder if it has one.

DIR/embedder.onnx        images (N, 3, 112, 112) -> embedding (N, 512)
DIR/embedder.json        its description: preprocessing, taps, hash, licence
DIR/fuser/               the fuser folder, for a CAFace checkpoint
DIR/class_centres.npy    (S, D) float32, where the checkpoint has them; for further training
DIR/conversion.json      where it all comes from and what became of every key
"""

from __future__ import annotations

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

from probefusion.embedders import EmbedderSpec
from probefusion.errors import FileFormatError, OutputExistsError
from probefusion.files import (
    DRAFT_PREFIX,
    check_existing,
    check_output,
    replace_file,
    replace_folder,
    sha256_of,
)
from probefusion.nn import (
    IResNet,
    IRNetwork,
)
from probefusion.nn.backbone import EMBEDDING_DIM, IMAGE_SIZE
from probefusion.training.convert.declared_settings import (
    resolve_channel_order,
    resolve_preprocessing,
    style_stages,
)
from probefusion.training.convert.foreign_checkpoint import (
    ForeignCheckpoint,
    read_foreign_checkpoint,
)
from probefusion.training.convert.key_map import match_backbone, sort_keys
from probefusion.training.convert.rebuilt_networks import (
    build_fuser,
    build_network,
    measure_deviation,
)
from probefusion.training.export.backbone import STAGE_NAMES, export_backbone
from probefusion.training.export.fuser_folder import export_fuser

__all__ = ["CENTRES_NAME", "REPORT_NAME", "ConversionReport", "convert_checkpoint"]

REPORT_NAME = "conversion.json"
CENTRES_NAME = "class_centres.npy"
_EMBEDDER = "embedder.onnx"
_MEANS = {"arcface": (0.5, 0.5, 0.5), "magface": (0.0, 0.0, 0.0)}
_DEVIATIONS = {"arcface": (0.5, 0.5, 0.5), "magface": (1.0, 1.0, 1.0)}
_SETTINGS_KEPT = ("arch", "decoder_name", "aggregator_name", "style_index", "intermediate_type")


@dataclass(frozen=True, kw_only=True)
class ConversionReport:
    """What a conversion found and made.

    Args:
        source: Name of the checkpoint.
        source_sha256: Its hash.
        layout: Whose layout it had.
        network: The embedder's architecture, a name in `probefusion.nn.BACKBONES`.
        embedder: Fingerprint of the exported embedder.
        style_taps: Names of its style taps.
        fuser: Name of the exported fuser, or None.
        fuser_config: Its settings, or None.
        num_classes: Number of class centres, or None.
        keys: How many keys went where; they add up to those of the checkpoint.
        ignored: Entries of the checkpoint besides the parameters, which are not needed.
        settings: What the checkpoint's settings said about the networks.
        preprocessing: How pixels go into the embedder: "arcface" or "magface".
        deviation: Largest max|a-b| / max|b| of embedding and style between the exported file run by
            ONNX Runtime and the network run by PyTorch, on two images.
    """

    source: str
    source_sha256: str
    layout: str
    network: str
    embedder: str
    style_taps: tuple[str, ...]
    fuser: str | None = None
    fuser_config: Mapping[str, Any] | None = None
    num_classes: int | None = None
    keys: Mapping[str, int] = field(default_factory=dict)
    ignored: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    preprocessing: str = "arcface"
    deviation: float = 0.0


def convert_checkpoint(
    path: str | Path,
    folder: str | Path,
    *,
    name: str | None = None,
    channel_order: str | None = None,
    preprocessing: str | None = None,
    licence: str = "unspecified",
    force: bool = False,
    progress: Callable[[str], None] | None = None,
) -> ConversionReport:
    """Converts a checkpoint; the folder appears only when everything is made and verified.

    Understood are official CAFace checkpoints (embedder, fuser and class centres in one file),
    AdaFace `.ckpt`, ArcFace and MagFace `.pth` and CVLface (`.pt`, `.safetensors`). The architecture is read off
    the parameters and compared with what the file says. Every key is accounted for.

    Args:
        path: The checkpoint.
        folder: The folder to make.
        name: Name of the embedder, part of its fingerprint; None takes the file's.
        channel_order: Order of the channels that the weights were trained on, for layouts that do not
            tell (CVLface without its settings file); None takes what the layout implies.
        preprocessing: "arcface", (x / 255 - 0.5) / 0.5, or "magface", BGR and x / 255, for a MagFace file
            whose keys were renamed; None takes what the layout implies.
        licence: Licence of the weights, kept in both descriptions.
        force: Whether an earlier conversion's folder may be replaced.
        progress: Called with what is being done.

    Raises:
        MissingFileError: If there is no such file.
        IntegrityError: If the file would run code.
        FileFormatError: If it is no such checkpoint, or a key is missing, unknown or of a wrong shape.
        ConfigError: If the channel order must be said.
        OutputExistsError: If the folder exists and is not to be, or cannot be, replaced.
        ProbeFusionError: If the exported file does not give the network's own answer.
    """
    tell = progress or (lambda _: None)
    path = check_existing(path, name="checkpoint")
    folder = _check_folder(Path(folder), force=force)
    tell("reading")
    checkpoint = read_foreign_checkpoint(path)
    where = path.name
    parts = sort_keys(checkpoint.state, where=where)
    network_name, state = match_backbone(
        parts.backbone, declared=checkpoint.settings.get("arch"), where=where
    )
    told = channel_order
    if told is None and parts.layout.startswith("CVLface"):
        told = _told_colour_space(path)
    fed_as = resolve_preprocessing(preprocessing, parts.layout)
    if fed_as == "magface" and told is None:
        told = "BGR"
    order = resolve_channel_order(told, network_name, parts.layout, where=where)
    fuser = build_fuser(parts, checkpoint, where)
    stages: tuple[int, ...] = (2, 3)
    if fuser is not None:
        index = checkpoint.settings.get("style_index")
        stages = style_stages(index, fuser.config.style_channels, where=where)
    network = build_network(network_name, state)
    with tempfile.TemporaryDirectory(prefix=DRAFT_PREFIX, dir=folder.parent) as temporary:
        draft = Path(temporary) / folder.name
        draft.mkdir()
        tell(f"exporting the embedder ({network_name}) and comparing it with the network")
        spec, deviation = _export_embedder(
            network,
            draft,
            stages,
            name=name or re.sub(r"[^A-Za-z0-9._-]+", "_", path.stem),
            channel_order=order,
            fed_as=fed_as,
            licence=licence,
        )
        source = sha256_of(path)
        card = None
        if fuser is not None:
            tell("exporting the fuser")
            card = export_fuser(
                fuser,
                draft / "fuser",
                name=f"official.{spec.name}-converted.r1",
                architecture="official",
                embedder=spec.fingerprint,
                licence=licence,
                training={"converted_from": where, "sha256": source, **_kept(checkpoint)},
                needs_norms=True,
                half_weights=False,
            )
        centres = _centres(parts.centres, where)
        if centres is not None:
            with replace_file(draft / CENTRES_NAME) as stream:
                np.save(stream, centres)
        report = ConversionReport(
            source=where,
            source_sha256=source,
            layout=parts.layout,
            network=network_name,
            embedder=spec.fingerprint,
            style_taps=spec.style_taps,
            fuser=None if card is None else card.name,
            fuser_config=None if card is None else card.config,
            num_classes=None if centres is None else len(centres),
            keys={
                "embedder": len(parts.backbone),
                "fuser": len(parts.fuser),
                "class centres": int(parts.centres is not None),
                "only for training": len(parts.dropped),
            },
            ignored=checkpoint.ignored,
            settings=_kept(checkpoint),
            preprocessing=fed_as,
            deviation=deviation,
        )
        _write_json(draft / REPORT_NAME, asdict(report))
        replace_folder(draft, folder)
    return report


def _check_folder(folder: Path, *, force: bool) -> Path:
    check_output(folder, force=force)
    if folder.exists() and not (folder / REPORT_NAME).is_file():
        raise OutputExistsError(
            f"output {str(folder)!r} exists and is no converted checkpoint, so it is not replaced. "
            f"Choose another name."
        )
    return folder


def _export_embedder(
    network: IRNetwork | IResNet,
    folder: Path,
    stages: tuple[int, ...],
    *,
    name: str,
    channel_order: str,
    fed_as: str,
    licence: str,
) -> tuple[EmbedderSpec, float]:
    """Writes the network and its description; gives that, and how far the file is from the network."""
    export_backbone(network, folder / _EMBEDDER)
    spec = EmbedderSpec(
        name=name,
        sha256=sha256_of(folder / _EMBEDDER),
        dim=EMBEDDING_DIM,
        input_size=IMAGE_SIZE,
        channel_order=channel_order,
        mean=_MEANS[fed_as],
        std=_DEVIATIONS[fed_as],
        style_taps=tuple(STAGE_NAMES[stage - 1] for stage in stages),
        norm_is_quality=True,
        licence=licence,
    )
    known = {key: value for key, value in asdict(spec).items() if value is not None}
    _write_json(folder / "embedder.json", known)
    return spec, measure_deviation(network, folder / _EMBEDDER, spec, stages)


def _centres(tensor: Tensor | None, where: str) -> np.ndarray | None:
    if tensor is None:
        return None
    if tensor.ndim != 2 or tensor.shape[1] != EMBEDDING_DIM:
        raise FileFormatError(
            f"{where}: center.weight: expected (S, {EMBEDDING_DIM}), got {tuple(tensor.shape)}."
        )
    return tensor.float().numpy()


def _told_colour_space(path: Path) -> str | None:
    """What CVLface's settings files beside the weights say about the channel order, if anything."""
    for name in ("config.json", "model.yaml"):
        file = path.with_name(name)
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            told = re.search(r"[\"']?color_space[\"']?\s*:\s*[\"']?(RGB|BGR)\b", text)
            if told:
                return told.group(1)
    return None


def _kept(checkpoint: ForeignCheckpoint) -> dict[str, Any]:
    """The settings that tell about the networks, as plain values."""
    kept = {}
    for key in _SETTINGS_KEPT:
        value = checkpoint.settings.get(key)
        if isinstance(value, list | tuple):
            value = [int(item) if isinstance(item, int) else str(item) for item in value]
        if value is not None:
            kept[key] = value if isinstance(value, str | int | list) else str(value)
    return kept


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with replace_file(path) as stream:
        stream.write((json.dumps(content, indent=2) + "\n").encode())
