"""Learns the stance network: does a place show a face that stands upright by its landmarks?

    python -m research.real_faces.stance lfw112.zip --places fiw.npz imfdb.npz ytf.npz --judge 500 -o stance.onnx

Right and wrong landmarks as `stance_places` saw them on other people's crops are set on crops of LFW, people that the
tables of `turned` are measured on left out. A network of some 10,000 weights learns to tell them from the grey square,
with bands of one grey at the sides so that it does not learn where photos end. Told is how it does on the squares of
the places themselves.
"""

from __future__ import annotations

import argparse
import zipfile
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import torch

from probefusion.faces.decoding import decode_image
from probefusion.faces.stance import grey_square
from research.real_faces.stance_places import poorer
from research.real_faces.turned import first_names, spread_places

_RIGHT, _WRONG = 12.0, 20.0
"""Landmarks are right below, wrong above, in pixels of 112; those between teach nothing."""
_A_CROP, _BORDER = 8, 60
_STANDS = 4.0
"""As `probefusion.faces.upright` has it, and .8 and 20 degrees."""


def main() -> None:
    """Writes the network and prints how it does."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n", 1)[0])
    parser.add_argument("crops", help="zip of PERSON/IMAGE, aligned crops of 112x112")
    parser.add_argument("--places", type=Path, nargs="+", required=True)
    parser.add_argument("--judge", type=int, nargs="+", default=[500, 250], help="people left out")
    parser.add_argument("--passes", type=int, default=9)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    cv2.setNumThreads(1)
    torch.set_num_threads(1)
    torch.manual_seed(options.seed)
    rng = np.random.default_rng(options.seed)
    seen = [dict(np.load(path)) for path in options.places]
    points = np.concatenate([one["landmarks"] for one in seen])
    facts = np.concatenate([one["facts"] for one in seen])
    squares, is_right = zip(
        *drawn(other_crops(options.crops, options.judge), points, facts, rng), strict=True
    )
    network = learned(np.stack(squares), np.array(is_right), options.passes, rng)
    for path, one in zip(options.places, seen, strict=True):
        tell(path.stem, network, one["squares"], one["facts"])
    torch.onnx.export(
        network,
        (torch.zeros(1, 1, 32, 32),),
        str(options.output),
        input_names=["squares"],
        output_names=["log_odds"],
        dynamic_axes={"squares": {0: "faces"}, "log_odds": {0: "faces"}},
        opset_version=17,
        dynamo=False,
    )


class Stance(torch.nn.Module):
    """(K, 1, 32, 32) grey of 0 to 255 to (K,) log-odds."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[torch.nn.Module] = []
        for before, after in ((1, 12), (12, 24), (24, 32)):
            layers += [torch.nn.Conv2d(before, after, 3, 2, 1), torch.nn.ReLU()]
        layers += [torch.nn.Flatten(), torch.nn.Dropout(0.2), torch.nn.Linear(32 * 16, 1)]
        self.layers = torch.nn.Sequential(*layers)

    def forward(self, squares: torch.Tensor) -> torch.Tensor:
        """See the class."""
        pixels = squares - squares.mean((2, 3), keepdim=True)
        pixels = pixels / ((pixels * pixels).mean((2, 3), keepdim=True).sqrt() + 4)
        return self.layers(pixels)[:, 0]


def other_crops(path: str, judged: list[int]) -> Iterator[np.ndarray]:
    """A crop of each person of an archive whom `first_crops` of none of these counts takes."""
    with zipfile.ZipFile(path) as archive:
        names = first_names(archive)
        left_out = {place for count in judged for place in spread_places(len(names), count)}
        for place, name in enumerate(names):
            if place not in left_out:
                yield decode_image(archive.read(name))


def drawn(
    crops: Iterator[np.ndarray], points: np.ndarray, facts: np.ndarray, rng: np.random.Generator
) -> Iterator[tuple[np.ndarray, bool]]:
    """Squares of crops, and whether their landmarks are right; as many right as wrong ones."""
    rows = {True: np.flatnonzero(facts[:, 0] < _RIGHT), False: np.flatnonzero(facts[:, 0] > _WRONG)}
    for crop in crops:
        for number in range(_A_CROP):
            is_right = number % 2 == 1
            row = int(rng.choice(rows[is_right]))
            scale = min(1.0, facts[row, 2] / 112)
            small = cv2.resize(crop, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            mode = cv2.BORDER_REPLICATE if rng.random() < 2 / 3 else cv2.BORDER_CONSTANT
            image = cv2.copyMakeBorder(
                poorer(small, rng, scale),
                *[_BORDER] * 4,
                mode,
                value=rng.integers(0, 256, 3).tolist(),
            )
            scale = len(small) / 112
            landmarks = points[row] * scale + _BORDER + rng.normal(0, 0.8 * scale, (5, 2))
            if rng.random() < 0.5:
                image = np.ascontiguousarray(image[:, ::-1])
                landmarks = (landmarks * [-1, 1] + [image.shape[1] - 1, 0])[[1, 0, 2, 4, 3]]
            yield grey_square(image, landmarks), is_right


def learned(
    squares: np.ndarray, is_right: np.ndarray, passes: int, rng: np.random.Generator
) -> Stance:
    """The network after so many passes over the squares."""
    network, batch = Stance(), 128
    pixels = torch.tensor(squares)[:, None].float()
    wanted = torch.tensor(is_right.astype(np.float32))
    optimizer = torch.optim.AdamW(network.parameters(), 1e-3, weight_decay=2e-2)
    steps = passes * (len(pixels) // batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, steps)
    for _ in range(passes):
        order = rng.permutation(len(pixels))
        for start in range(0, len(pixels) - batch + 1, batch):
            rows = order[start : start + batch]
            loss = torch.nn.functional.binary_cross_entropy_with_logits(
                network(banded(pixels[rows], rng)), wanted[rows]
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return network.eval()


def banded(pixels: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
    """Squares with bands of one grey at some of their sides."""
    pixels = pixels.clone()
    for side in range(4):
        for row in np.flatnonzero(rng.random(len(pixels)) < 0.15):
            width, grey = int(rng.integers(1, 8)), float(rng.choice([0, 0, 255, rng.integers(256)]))
            across = slice(0, width) if side % 2 else slice(-width, None)
            if side < 2:
                pixels[row, 0, across] = grey
            else:
                pixels[row, 0, :, across] = grey
    return pixels


def tell(name: str, network: Stance, squares: np.ndarray, facts: np.ndarray) -> None:
    """Prints how many wrong places it believes, and how many right ones below .92 it does not."""
    with torch.no_grad():
        stands = network(torch.tensor(squares)[:, None].float()).numpy() >= _STANDS
    off, score, _, lean, _ = facts.T
    is_likely = stands & (score >= 0.8) & (np.abs(lean) <= 20)
    wrong, doubtful = off >= 15, (off < 15) & (score < 0.92) & (np.abs(lean) <= 20)
    print(f"{name}: {is_likely[wrong].mean():.4f} of {wrong.sum()} wrong places believed, "
          f"{1 - is_likely[doubtful].mean():.3f} of {doubtful.sum()} right ones below .92 not")  # fmt: skip


if __name__ == "__main__":
    main()
