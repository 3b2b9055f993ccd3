"""From a trained network to a fuser folder of plain ONNX."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor, nn

from probefusion.errors import ConfigError, ProbeFusionError
from probefusion.files import (
    DRAFT_PREFIX,
    check_output,
    replace_at_once,
    replace_file,
    replace_folder,
    sha256_of,
)
from probefusion.files.reading import in_one_line
from probefusion.fusion.folder import (
    CARD_NAME,
    FuserCard,
    encode_outputs,
    read_card,
    write_card,
)
from probefusion.fusion.learned import open_fuser, synthetic_set
from probefusion.fusion.threshold import Threshold
from probefusion.nn.architectures import ARCHITECTURES, Network, network_config
from probefusion.nn.caface import CAFace
from probefusion.nn.cluster_network import TOKEN_WIDTH
from probefusion.nn.imagewise import ImagewiseNetwork
from probefusion.training.export.graphs import export_graph
from probefusion.training.export.halves import (
    ImagewiseEncode,
    ImagewiseFinish,
    SetwiseEncode,
    SetwiseFinish,
)

__all__ = ["export_fuser", "publish_fuser", "round_weights"]

_SELF_TEST = {"seed": 1, "num_images": 7}


def round_weights(network: nn.Module) -> None:
    """Rounds all matrices to half precision, in place, so that 16 bits store them exactly.

    Buffers and vectors (biases, norms, gates) stay as they are.
    """
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim >= 2:
                parameter.copy_(parameter.half().float())


def export_fuser(
    network: Network,
    folder: str | Path,
    *,
    name: str,
    architecture: str,
    embedder: str | None,
    licence: str,
    training: dict[str, Any],
    metrics: dict[str, Any] | None = None,
    thresholds: Sequence[Threshold] = (),
    needs_norms: bool = False,
    half_weights: bool = True,
    force: bool = False,
) -> FuserCard:
    """Writes a fuser folder: card, two ONNX graphs, weights; and tries it before it is kept.

    Args:
        network: The trained network; put into evaluation mode.
        folder: The folder to make.
        name: `architecture.embedder-data.rN`.
        architecture: Its name, one of `probefusion.nn.architectures.ARCHITECTURES`.
        embedder: Fingerprint of the embedder, or None.
        licence: Licence of the weights.
        training: Facts of the training, kept in the card.
        metrics: Measured figures, kept in the card.
        thresholds: Calibrated thresholds.
        needs_norms: Whether the fuser refuses embeddings whose lengths are lost.
        half_weights: Round matrices to half precision first (see `round_weights`) and store them so.
        force: Whether an existing folder may be replaced.

    Returns:
        The card as written.

    Raises:
        OutputExistsError: If the folder exists and `force` is False.
        ConfigError: If the network has no state.
        ProbeFusionError: If the exported graphs do not give the network's own answer within 1e-5.
    """
    folder = check_output(folder, force=force)
    network.eval()
    if half_weights:
        round_weights(network)
    config = network_config(network)
    with tempfile.TemporaryDirectory(prefix=DRAFT_PREFIX, dir=folder.parent) as temporary:
        draft = Path(temporary) / folder.name
        draft.mkdir()
        num_clusters = _write_graphs(network, draft)
        matrices = {key for key, value in network.named_parameters() if value.ndim >= 2}
        halved = matrices if half_weights else set()
        tensors = {
            key: (value.half() if key in halved else value).contiguous().clone()
            for key, value in network.state_dict().items()
        }
        with replace_file(draft / "weights.safetensors") as stream:
            stream.write(save(tensors, metadata={"architecture": architecture}))
        card = FuserCard(
            name=name,
            architecture=architecture,
            kind=ARCHITECTURES[architecture].kind,
            config=config,
            values=_values(network),
            embedder=embedder,
            dim=config["dim"],
            style_channels=config["style_channels"],
            num_clusters=num_clusters,
            licence=licence,
            files={path.name: sha256_of(path) for path in sorted(draft.iterdir())},
            training=training,
            metrics=metrics or {},
            thresholds=tuple(thresholds),
            needs_norms=needs_norms,
        )
        write_card(card, draft)
        card = replace(card, self_test=_self_test(network, draft))
        write_card(card, draft, force=True)
        open_fuser(draft).self_test()
        _move(draft, folder)
    return card


def publish_fuser(
    draft: str | Path,
    folder: str | Path,
    *,
    metrics: dict[str, Any] | None = None,
    thresholds: Sequence[Threshold] = (),
    force: bool = False,
) -> FuserCard:
    """Puts an exported fuser where it is to stay, with what was measured on it; graphs stay as they are.

    Args:
        draft: Folder that `export_fuser` made; gone afterwards.
        folder: The folder to make, on any disk.
        metrics: Measured figures, kept in the card.
        thresholds: Calibrated thresholds, kept in the card.
        force: Whether an existing fuser folder may be replaced.

    Returns:
        The card as written.

    Raises:
        OutputExistsError: If the folder exists and `force` is False.
        ProbeFusionError: If it exists and is no fuser folder.
    """
    folder = check_output(folder, force=force)
    card = replace(read_card(draft), metrics=metrics or {}, thresholds=tuple(thresholds))
    with tempfile.TemporaryDirectory(prefix=DRAFT_PREFIX, dir=folder.parent) as temporary:
        copy = Path(shutil.copytree(draft, Path(temporary) / folder.name))
        with replace_at_once():
            write_card(card, copy, force=True)
        _move(copy, folder)
    shutil.rmtree(draft)
    return card


def _values(network: Network) -> str:
    is_unit = isinstance(network, ImagewiseNetwork) and network.values_are_directions
    return "unit" if is_unit else "graph"


def _write_graphs(network: Network, folder: Path) -> int:
    """Writes both graphs; gives the number of clusters."""
    config: Any = network.config
    generator = torch.Generator().manual_seed(0)

    def sample(*shape: int) -> Tensor:
        return torch.rand(*shape, generator=generator) + 0.1

    batch, images = torch.export.Dim("sets"), torch.export.Dim("images")
    names = ["embeddings", "style"] if config.style_channels else ["embeddings"]
    if isinstance(network, CAFace):
        style_width, num_clusters = TOKEN_WIDTH, config.num_clusters
        inputs: tuple[Tensor, ...] = (
            sample(3, 5, config.dim),
            sample(3, 5, config.style_channels, 2),
        )
        axes: dict[str, dict[int, Any]] = {name: {0: batch, 1: images} for name in names}
        encode: nn.Module = SetwiseEncode(network)
        finish: nn.Module = SetwiseFinish(network)
        outputs = list(encode_outputs("setwise", "graph"))
    elif isinstance(network, ImagewiseNetwork):
        one = (sample(1, 5, config.dim), sample(1, 5, config.style_channels, 2))
        terms = network.eval().terms(*one)
        style_width, num_clusters = terms.style_tokens.shape[-1], terms.shares.shape[-1]
        inputs = tuple(part[0] for part in one[: len(names)])
        axes = {name: {0: images} for name in names}
        encode = ImagewiseEncode(network)
        finish = ImagewiseFinish(network)
        outputs = list(encode_outputs("imagewise", _values(network)))
    else:
        raise ConfigError(
            f"network: expected one with a state (exact, official), got {type(network).__name__}, "
            f"which needs whole sets at once. It is for comparisons only."
        )
    export_graph(encode, inputs, axes, names, outputs, folder / "encode.onnx")
    sums = (
        sample(3, num_clusters).double(),
        sample(3, num_clusters, config.dim).double(),
        sample(3, num_clusters, style_width).double(),
    )
    names = ["mass", "sums", "style_sums"]
    axes = {name: {0: batch} for name in names}
    export_graph(finish, sums, axes, names, ["fused", "cluster_weights"], folder / "finish.onnx")
    return num_clusters


def _self_test(network: Network, folder: Path) -> dict[str, Any]:
    """Fuses a synthetic set with the network and with the graphs; gives the answer for the card."""
    config: Any = network.config
    images = synthetic_set(dim=config.dim, style_channels=config.style_channels, **_SELF_TEST)
    style = images.style
    if style is None:
        style = torch.zeros(images.num_images, 0, 2).numpy()
    with torch.no_grad():
        fused = network(
            torch.from_numpy(images.embeddings.copy())[None], torch.from_numpy(style.copy())[None]
        )[0]
    expected = (fused / fused.norm()).numpy()
    fuser = open_fuser(folder)
    found = fuser.fuse(replace(images, embedder=fuser.embedder)).vector
    deviation = float(abs(found - expected).max())
    if not deviation <= 1e-5:
        raise ProbeFusionError(
            f"export: ONNX Runtime and PyTorch differ by {deviation:.3g} (allowed 1e-5). "
            f"This is a defect of the export; please report it with the versions of both."
        )
    return {**_SELF_TEST, "output": [round(float(value), 6) for value in found]}


def _move(draft: Path, folder: Path) -> None:
    if folder.exists() and not (folder / CARD_NAME).exists():
        raise ProbeFusionError(
            f"{in_one_line(folder)}: exists and is no fuser folder, so it is not replaced. Choose another name."
        )
    replace_folder(draft, folder)
