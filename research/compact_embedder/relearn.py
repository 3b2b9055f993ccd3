r"""Teaches a compact embedder the space of another teacher; stops and goes on at any time.

    python -m research.compact_embedder.relearn --work WORK --start compact_128d.onnx --steps 6000 \
        --share photo=.55 --share film=.27 --share chimera=.18 --mild .75 --mild film=.9

WORK holds what research/compact_embedder/targets.py made: crops.npy, kinds.npy, targets.npy and centres.npy. The
teacher has seen each crop once, clean, so a step costs the pupil alone. The pupil sees crops mildly
changed, watched from afar (`degrade`) or broadcast (`broadcast`), and is to give the teacher's embedding of
the clean crop. `--mild` is the share of mild views, of all kinds of crops or of one; the others are watched from
afar and broadcast as seven to six. `--share` is how many of the views are of a kind of crops; without it each
crop is drawn alike. Writes WORK/state.pt every so often and a line of WORK/log.jsonl; run the same command again
to go on, with more steps to train longer. A training begins with an ONNX file, whose last layer is fitted to
the teacher, or with a state, which is taken as it is.
"""

from __future__ import annotations

import argparse
import itertools
import json
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, IterableDataset

from probefusion.degradations.augment import Image, jitter_photometric, warp_image
from probefusion.degradations.broadcast import broadcast, frame
from probefusion.degradations.degrade import degrade
from probefusion.files import replace_file
from research.compact_embedder.export import read_compact_embedder
from research.compact_embedder.network import CompactEmbedder, CompactEmbedderConfig
from research.compact_embedder.settings import DistillationSettings
from research.compact_embedder.states import read_state
from research.compact_embedder.warm_start import open_compact_embedder

__all__ = ["KINDS", "PoorViews", "fit_last_layer", "losses"]

KINDS = ("photo", "film", "chimera")
"""Kinds of training crops, in the order of the numbers in kinds.npy."""

_TEMPERATURE = 0.05
_MILD = 0.35
_WATCHED = 7 / 13
"""Of the views that are not mild."""

_FRAMED = 0.25
_SHIFT, _DEGREES, _OCTAVES = 2.0, 4.0, 0.06
_START_CROPS = 512
_FIT_CROPS = 3000
_RIDGE = 1e-5


class PoorViews(IterableDataset[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]):
    """Views of training crops: some mild, the others watched from afar or broadcast.

    Each step's draws depend on seed and step alone.

    Args:
        crops: `.npy` file of (I, 112, 112, 3) uint8 aligned RGB crops.
        views_per_step: Views in a step.
        seed: Of the draws.
        first_step: Step to start at.
        mild: Share of mild views, 0 to 1, for each kind of crops.
        kinds: (I,) the kind of each crop, as its place in `KINDS`; None: all are photos.
        shares: Share of the views that are of a kind; kinds that are not named are not drawn. None: each crop
            alike.
    """

    def __init__(
        self,
        crops: str | Path,
        *,
        views_per_step: int,
        seed: int,
        first_step: int,
        mild: Mapping[str, float] | None = None,
        kinds: npt.NDArray[np.uint8] | None = None,
        shares: Mapping[str, float] | None = None,
    ) -> None:
        self._crops = crops
        self._count = views_per_step
        self._seed = seed
        self._first = first_step
        self._mild = dict.fromkeys(KINDS, _MILD) | dict(mild or {})
        self._kinds = kinds
        self._shares = dict(shares or {})

    def __iter__(self) -> Iterator[tuple[npt.NDArray[np.uint8], npt.NDArray[np.int64]]]:
        """Views (V, 112, 112, 3) and the crop of each, without end."""
        crops = np.load(self._crops, mmap_mode="r")
        for step in itertools.count(self._first):
            rng = np.random.default_rng([self._seed, 12, step])
            rows = self._drawn(len(crops), rng)
            yield np.stack([_view(crops[row], rng, self._mild_of(row)) for row in rows]), rows

    def _drawn(self, num_crops: int, rng: np.random.Generator) -> npt.NDArray[np.int64]:
        if not self._shares:
            return rng.integers(num_crops, size=self._count)
        names = list(self._shares)
        weights = np.array([self._shares[name] for name in names], float)
        drawn = rng.choice(len(names), size=self._count, p=weights / weights.sum())
        return np.array([rng.choice(self._of_kind[names[kind]]) for kind in drawn], np.int64)

    @cached_property
    def _of_kind(self) -> dict[str, npt.NDArray[np.int64]]:
        kinds = np.zeros(0, np.uint8) if self._kinds is None else self._kinds
        return {kind: np.flatnonzero(kinds == place) for place, kind in enumerate(KINDS)}

    def _mild_of(self, row: int) -> float:
        return self._mild["photo" if self._kinds is None else KINDS[self._kinds[row]]]


def _view(crop: Image, rng: np.random.Generator, mild: float) -> Image:
    face = np.ascontiguousarray(crop[:, ::-1] if rng.random() < 0.5 else crop)
    face = warp_image(
        face,
        zoom=2 ** (_OCTAVES * rng.uniform(-1, 1)),
        degrees=_DEGREES * rng.uniform(-1, 1),
        shift=(_SHIFT * rng.uniform(-1, 1), _SHIFT * rng.uniform(-1, 1)),
        extends_edges=True,
    )
    kind = rng.random()
    if kind < mild:
        face = jitter_photometric(face, rng) if rng.random() < 0.5 else face
    elif kind < mild + (1 - mild) * _WATCHED:
        face = degrade(face, float(rng.random()), rng)
    else:
        return broadcast(face, float(rng.random()), rng)
    return frame(face, rng.random(5)) if rng.random() < _FRAMED else face


def fit_last_layer(network: CompactEmbedder, pixels: Tensor, targets: Tensor) -> None:
    """Sets the last layer to the least-squares answer for another teacher's targets (in place).

    Args:
        network: Its other layers stay.
        pixels: (N, 3, 112, 112) crops; some thousand.
        targets: (N, D) unit embeddings of them.
    """
    network.eval()
    with torch.no_grad():
        found = [
            network.places(network.maps(part)[-1]).flatten(1).double() for part in pixels.split(128)
        ]
        features = torch.cat(found)
        features = torch.cat([features, torch.ones(len(features), 1).double()], dim=1)
        gram = features.T @ features
        gram += _RIDGE * gram.diagonal().mean() * torch.eye(len(gram), dtype=torch.float64)
        solution = torch.linalg.solve(gram, features.T @ targets.double())
        network.embedding.weight.copy_(solution[:-1].T.float())
        network.embedding.bias.copy_(solution[-1].float())


def losses(embeddings: Tensor, targets: Tensor, centres: Tensor) -> dict[str, Tensor]:
    """Parts of the loss: squared error, and similarities to the training people.

    Args:
        embeddings: (V, D), length kept.
        targets: (V, D) unit.
        centres: (P, D) unit.
    """
    unit = nn.functional.normalize(embeddings, dim=-1)
    relations = (unit @ centres.T / _TEMPERATURE).log_softmax(dim=-1)
    wanted = (targets @ centres.T / _TEMPERATURE).log_softmax(dim=-1)
    return {
        "error": (embeddings - targets).square().sum(dim=-1).mean(),
        "relations": nn.functional.kl_div(
            relations, wanted, log_target=True, reduction="batchmean"
        ),
        "cosine": (unit * targets).sum(dim=-1).mean(),
    }


def as_pixels(crops: npt.NDArray[np.uint8]) -> Tensor:
    """(N, 3, 112, 112) float32 input of (N, 112, 112, 3) uint8 crops."""
    return torch.from_numpy(crops).permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)


def begin(
    start: str,
    crops: npt.NDArray[np.uint8],
    targets: Tensor,
    *,
    seed: int,
    config: CompactEmbedderConfig | None = None,
) -> CompactEmbedder:
    """The network of a file, its last layer fitted to the targets, or of a state as it is."""
    if start.endswith(".pt"):
        return read_compact_embedder(start).network
    rows = np.random.default_rng([seed, 13]).permutation(len(crops))[:_FIT_CROPS]
    pixels = as_pixels(crops[np.sort(rows[:_START_CROPS])])
    network = open_compact_embedder(start, pixels, config=config)
    rows = np.sort(rows)
    fit_last_layer(network, as_pixels(crops[rows]), targets[rows])
    return network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", required=True, type=Path, metavar="DIR")
    parser.add_argument("--start", metavar="ONNX|STATE", help="compact embedder to begin with")
    parser.add_argument("--steps", type=int, required=True, help="steps in all")
    parser.add_argument("--cooldown", type=float, default=0.3)
    parser.add_argument("--learning-rate", type=float, default=2e-3)
    parser.add_argument("--relation-weight", type=float, default=0.1)
    parser.add_argument("--views", type=int, default=64, help="views in a step")
    parser.add_argument("--every", type=int, default=100, help="steps between saves")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--mild", action="append", default=[], metavar="[KIND=]SHARE", help="share of mild views"
    )
    parser.add_argument(
        "--share",
        action="append",
        default=[],
        metavar="KIND=SHARE",
        help="views of a kind of crops",
    )
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        options.mild = dict.fromkeys(KINDS, _MILD) | shares_of(options.mild)
        options.share = shares_of(options.share)
    except ValueError as error:
        parser.error(str(error))
    torch.set_num_threads(options.threads)
    train(options)


def shares_of(texts: list[str]) -> dict[str, float]:
    """What `KIND=SHARE` and a lone `SHARE`, for all kinds, say; later texts count over earlier ones.

    Raises:
        ValueError: If a kind is not known or a share is not in [0, 1].
    """
    found: dict[str, float] = {}
    for text in texts:
        kind, _, number = text.rpartition("=")
        if kind and kind not in KINDS:
            raise ValueError(f"expected a kind of {', '.join(KINDS)}, got {text!r}")
        share = float(number)
        if not 0 <= share <= 1:
            raise ValueError(f"expected a share from 0 to 1, got {text!r}")
        found.update(dict.fromkeys((kind,) if kind else KINDS, share))
    return found


def train(options: argparse.Namespace, config: CompactEmbedderConfig | None = None) -> None:
    """Trains to the last step, saving on the way; `config` is the size of the network to start with."""
    settings = DistillationSettings(
        steps=options.steps,
        faces_per_step=options.views,
        poor_share=round(1 - options.mild["photo"], 6),
        learning_rate=options.learning_rate,
        cooldown=options.cooldown,
        chimera_share=0.0,
        map_weight=0.0,
        relation_weight=options.relation_weight,
        seed=options.seed,
    )
    targets = torch.from_numpy(np.load(options.work / "targets.npy"))
    centres = torch.from_numpy(np.load(options.work / "centres.npy"))
    crops_path, path = options.work / "crops.npy", options.work / "state.pt"
    done, stages, saved = 0, [], None
    if path.exists():
        saved = read_state(path)
        network = CompactEmbedder(CompactEmbedderConfig(**saved["config"]))
        network.load_state_dict(saved["network"])
        done, stages = int(saved["step"]), list(saved["stages"])
    else:
        crops = np.load(crops_path, mmap_mode="r")
        network = begin(options.start, crops, targets, seed=options.seed, config=config)
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    optimizer = torch.optim.AdamW(
        network.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay
    )
    if saved is not None and saved["optimizer"]:
        optimizer.load_state_dict(saved["optimizer"])
    stages.append(
        {"from_step": done, **asdict(settings), "mild": options.mild, "shares": options.share}
    )
    first = done
    views = PoorViews(
        crops_path,
        views_per_step=options.views,
        seed=options.seed,
        first_step=done,
        mild=options.mild,
        kinds=np.load(options.work / "kinds.npy") if options.share else None,
        shares=options.share,
    )
    loader = DataLoader(
        views,
        batch_size=None,
        num_workers=1,
        prefetch_factor=4,
        multiprocessing_context="spawn",
    )
    network.train()
    started, recent = time.monotonic(), []
    for pixels, rows in loader:
        rate = settings.rate(done) * min(1.0, (done - first + 1) / settings.warmup_steps)
        for group in optimizer.param_groups:
            group["lr"] = rate
        parts = step(network, optimizer, pixels, targets[rows], centres, settings.relation_weight)
        done += 1
        recent.append(parts)
        if done % options.every == 0 or done == settings.steps:
            line = {name: float(np.mean([part[name] for part in recent])) for name in parts}
            line = {"step": done, "seconds": time.monotonic() - started, **line}
            with (options.work / "log.jsonl").open("a") as log:
                log.write(
                    json.dumps({name: round(value, 4) for name, value in line.items()}) + "\n"
                )
            recent.clear()
            save(path, network, optimizer, done, stages)
        if done >= settings.steps:
            break


def step(
    network: CompactEmbedder,
    optimizer: torch.optim.Optimizer,
    crops: Tensor,
    targets: Tensor,
    centres: Tensor,
    relation_weight: float,
) -> dict[str, float]:
    """One step of the optimiser; gives the parts of the loss."""
    pixels = crops.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        embeddings = network(pixels)
    parts = losses(embeddings.float(), targets, centres)
    optimizer.zero_grad(set_to_none=True)
    (parts["error"] + relation_weight * parts["relations"]).backward()
    optimizer.step()
    return {name: float(part.detach()) for name, part in parts.items()}


def save(
    path: Path,
    network: CompactEmbedder,
    optimizer: torch.optim.Optimizer,
    done: int,
    stages: list[dict[str, Any]],
) -> None:
    """Writes what is needed to go on, as `Distiller.save` does."""
    state = {
        "config": asdict(network.config),
        "network": network.state_dict(),
        "comparisons": {},
        "optimizer": optimizer.state_dict(),
        "step": done,
        "stages": stages,
    }
    with replace_file(path, force=True) as file:
        torch.save(state, file)


if __name__ == "__main__":
    main()
