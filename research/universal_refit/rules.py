"""The rule of the universal fuser with more constants, as sums over images and what is read out of the sums.

A rule sees of an embedder only the lengths of its embeddings and cosines between them. Everything is read out of
sums, so states merge, images can be taken out, and order and split do not matter. The sum of squares (`second`) holds
D x D numbers for a set; the others hold a few vectors of D.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array

__all__ = ["OPEN_CEILING", "Images", "Rule", "State", "read_out", "state_of", "templates"]

Floats = npt.NDArray[np.floating]
Indices = npt.NDArray[np.int64]

BUNDLE_BITS = 3
"""Fixed random planes that sort images into bundles; those of one bundle look alike."""

OPEN_CEILING = float("inf")
"""For qualities that are not those of the crops, which stay within 4."""

_USUAL_COHERENCE, _USUAL_SIZE = 0.5, 8.0


@dataclass(frozen=True, kw_only=True)
class Rule:
    """What is added to the fuser `universal`; the defaults are `universal` itself.

    An image weighs w = exp(power x min(quality, ceiling)).

    Args:
        power: Of the quality weights.
        ceiling: Quality above it counts as it.
        length: Power of the embedding's length, as far as length and quality agree in the set.
        share: Of the plain mean, beside one of the weighted mean.
        share_by_coherence: Growth of the logarithm of that share with the length of the mean of the set's directions.
        share_by_size: The same with the logarithm of the number of images that the weights leave.
        bundling: How much less than in proportion a bundle of images that lie together counts, 0 to 1.
        second: Weight (1 + second x cosine to the weighted mean) of each image: one step of an M-estimator.
    """

    power: float = 1.0
    ceiling: float = 4.0
    length: float = 0.0
    share: float = 0.0
    share_by_coherence: float = 0.0
    share_by_size: float = 0.0
    bundling: float = 0.0
    second: float = 0.0

    @property
    def text(self) -> str:
        """The constants that are not those of `universal`."""
        changed = [
            f"{field.name} {getattr(self, field.name):g}"
            for field in fields(self)
            if getattr(self, field.name) != field.default
        ]
        return ", ".join(changed) or "as it is"


@dataclass(frozen=True, kw_only=True, eq=False)
class Images:
    """Images as a rule sees them.

    Args:
        units: (I, D) float32, embeddings over their lengths.
        log_lengths: (I,) float64.
        quality: (I,) float64, of `probefusion.embedders.CropQuality`.
    """

    units: Floats
    log_lengths: Floats
    quality: Floats

    @classmethod
    def of(cls, embeddings: Floats, quality: Floats) -> Images:
        """From embeddings (I, D), length kept."""
        lengths = np.linalg.norm(embeddings.astype(np.float64), axis=1)
        return cls(
            units=(embeddings / lengths[:, None]).astype(np.float32),
            log_lengths=np.log(lengths),
            quality=np.asarray(quality, np.float64),
        )

    def at(self, rows: Indices) -> Images:
        """Some of them."""
        return Images(
            units=self.units[rows], log_lengths=self.log_lengths[rows], quality=self.quality[rows]
        )


@dataclass(frozen=True, kw_only=True, eq=False)
class State:
    """Sums of B sets.

    Args:
        numbers: (B, 8) sums of 1, w, w squared, and of length and quality, their squares and product.
        masses: (B, M) weights of each bundle, M = 1 without bundling.
        plain: (B, D) sum of directions.
        weighted: (B, M, D) sum of weighted directions of each bundle.
        lengthened: (B, M + 1, D + 1) the same with lengths in the weights, or None.
        squares: (B, D, D) sum of weighted outer products of directions, or None.
    """

    numbers: Floats
    masses: Floats
    plain: Floats
    weighted: Floats
    lengthened: Floats | None
    squares: Floats | None

    def plus(self, other: State, sign: float = 1.0) -> State:
        """Both together, or without the other one with sign -1."""
        both: dict[str, Any] = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            both[field.name] = None if mine is None else mine + sign * theirs
        return State(**both)


def state_of(rule: Rule, images: Images, offsets: Indices, *, squares: bool = True) -> State:
    """The sums of sets.

    Args:
        rule: What is needed of them.
        images: N images, set after set.
        offsets: (B + 1,) where sets begin and end; none is empty.
        squares: Whether to keep the sum of squares if the rule wants it.
    """
    starts = offsets[:-1]
    units = images.units
    log_weights = rule.power * np.minimum(images.quality, rule.ceiling)
    weights = np.exp(log_weights)
    one, length, quality = np.ones_like(weights), images.log_lengths, images.quality
    numbers = np.stack(
        [one, weights, weights**2, length, length**2, quality, quality**2, length * quality], axis=1
    )
    bundles = _bundles(units) if rule.bundling else np.zeros(len(units), np.int64)
    count = 1 << BUNDLE_BITS if rule.bundling else 1
    longer = np.exp(log_weights + rule.length * length) if rule.length else None
    masses, weighted = _by_bundle(units, weights, bundles, count, starts)
    lengthened = None
    if longer is not None:
        more, sums = _by_bundle(units, longer, bundles, count, starts)
        lengthened = np.concatenate([sums, more[..., None]], axis=2)
    kept = None
    if rule.second and squares:
        outer = np.einsum("n,nd,ne->nde", weights, units, units)
        kept = np.add.reduceat(outer, starts, axis=0)
    return State(
        numbers=np.add.reduceat(numbers, starts, axis=0),
        masses=masses,
        plain=_by_bundle(units, one, np.zeros_like(bundles), 1, starts)[1][:, 0],
        weighted=weighted,
        lengthened=lengthened,
        squares=kept,
    )


def read_out(rule: Rule, state: State, step: Floats | None = None) -> Floats:
    """(B, D) float32 unit templates.

    Args:
        rule: The rule of the state.
        state: Sums.
        step: (B, D) product of the sum of squares and the template without it, where the state does not keep it.
    """
    count, mass, square = state.numbers[:, 0], state.numbers[:, 1], state.numbers[:, 2]
    fused = _mean_of_bundles(rule, state.masses, state.weighted)
    if state.lengthened is not None:
        longer = _mean_of_bundles(rule, state.lengthened[..., -1], state.lengthened[..., :-1])
        agreement = _agreement(state.numbers)[:, None]
        fused = (1 - agreement) * fused + agreement * longer
    if rule.share:
        mean = state.plain / count[:, None]
        size = np.log(mass**2 / square / _USUAL_SIZE)
        coherence = np.linalg.norm(mean, axis=1) - _USUAL_COHERENCE
        share = rule.share * np.exp(rule.share_by_coherence * coherence + rule.share_by_size * size)
        fused = fused + share[:, None] * mean
    if rule.second:
        if step is None:
            if state.squares is None:
                raise ValueError("step: expected the product with the sum of squares, got none.")
            step = np.einsum("bde,be->bd", state.squares, _unit(fused))
        fused = fused + rule.second * step / mass[:, None]
    return _unit(fused).astype(np.float32)


def templates(rule: Rule, images: Images, offsets: Indices) -> Floats:
    """(B, D) unit templates of sets; the product with the sum of squares comes from the images, which is the same."""
    state = state_of(rule, images, offsets, squares=False)
    if not rule.second:
        return read_out(rule, state)
    first = read_out(rule, state, np.zeros_like(state.plain))
    owners = np.repeat(np.arange(len(first)), np.diff(offsets))
    weights = np.exp(rule.power * np.minimum(images.quality, rule.ceiling))
    cosines = np.einsum("nd,nd->n", images.units, first[owners])
    return read_out(rule, state, _sums(images.units, weights * cosines, owners, len(first)))


def _bundles(units: Floats) -> Indices:
    """(N,) bundle of each image: on which side of fixed planes it lies."""
    planes = np.random.default_rng(0).standard_normal((units.shape[1], BUNDLE_BITS))
    found: Indices = ((units @ planes.astype(np.float32)) > 0) @ (1 << np.arange(BUNDLE_BITS))
    return found


def _by_bundle(
    units: Floats, weights: Floats, bundles: Indices, count: int, starts: Indices
) -> tuple[Floats, Floats]:
    """Masses (B, M) and sums (B, M, D)."""
    sizes = np.diff([*starts.tolist(), len(units)])
    places = np.repeat(np.arange(len(starts)), sizes) * count + bundles
    total = len(starts) * count
    masses = np.bincount(places, weights=weights, minlength=total)
    sums = _sums(units, weights, places, total)
    return np.reshape(masses, (-1, count)), np.reshape(sums, (len(starts), count, -1))


def _sums(units: Floats, weights: Floats, places: Indices, count: int) -> Floats:
    """(count, D) sums of weighted directions by place."""
    entries = (weights.astype(np.float32), (places, np.arange(len(units))))
    found: Floats = csr_array(entries, shape=(count, len(units))) @ units
    return found


def _mean_of_bundles(rule: Rule, masses: Floats, sums: Floats) -> Floats:
    """(B, D) weighted mean, where a bundle's mass counts with the power 1 - bundling."""
    whole = masses.sum(axis=1, keepdims=True)
    shares = masses / whole
    scale = np.where(shares > 1e-9, np.maximum(shares, 1e-9) ** -rule.bundling, 0.0)
    scaled: Floats = np.einsum("bm,bmd->bd", scale, sums) / (scale * masses).sum(1, keepdims=True)
    return scaled


def _agreement(numbers: Floats) -> Floats:
    """(B,) correlation of length and quality in each set, not below 0, shrunk where there are few images."""
    count = numbers[:, 0]
    length, lengths, quality, qualities, both = (numbers[:, column] for column in range(3, 8))
    covariance = both - length * quality / count
    spread = np.maximum(lengths - length**2 / count, 0) * np.maximum(
        qualities - quality**2 / count, 0
    )
    correlation = covariance / np.sqrt(np.maximum(spread, 1e-12))
    found: Floats = np.clip(correlation, 0, 1) * count / (count + 4)
    return found


def _unit(rows: Floats) -> Floats:
    found: Floats = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    return found
