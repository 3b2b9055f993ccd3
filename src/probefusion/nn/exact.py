"""Exact-streaming Cluster and Aggregate: the boxes of the paper, with every image on its own."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from probefusion.errors import ConfigError
from probefusion.nn.aggregation_network import AggregationNetwork
from probefusion.nn.bounded import bounded
from probefusion.nn.cluster_network import TOKEN_WIDTH, Assignment
from probefusion.nn.image_token import ImageToken
from probefusion.nn.imagewise import ImageTerms, ImagewiseNetwork
from probefusion.nn.initialisation import init_linears, seeded_init
from probefusion.nn.mlp import Mlp

__all__ = ["ExactFuser", "ExactFuserConfig", "FastFuserConfig"]

REFINEMENT_WIDTH = 256
"""Hidden width of the network that corrects the fused vector."""

MIN_MASS = 1e-12
"""Below this a cluster counts as empty; its style is then near zero."""


@dataclass(frozen=True, kw_only=True)
class ExactFuserConfig:
    """Size of an exact fuser.

    Args:
        dim: D, length of an embedding.
        style_channels: C; 0 for images of which only the embedding is known.
        num_clusters: M. With one cluster nothing is assigned and nothing weighed against others.
        hidden: H, width of the layer that judges an image.
        depth: Number of gated mixer blocks over the cluster sums; 0 leaves the last perceptron alone.
        max_log_weight: The logarithm of an image's weight stays within +- this. It bounds what
            rounding a heavy image leaves behind when it is taken out.
        max_log_gain: The same for the gain of a cluster.
        max_logit: Bound of the assignment logits, so that no cluster is ever quite empty.
        corrects: Whether an additive correction, linear in the images' tokens and hidden layers, is
            added to the weighted embeddings. Without it and with one gain per cluster a template is a
            weighted mean of unit embeddings.
        refines: Whether a small network on the fused vector and the mean of tokens and hidden layers
            adds a last correction; it runs once a template, not once an image.
        sees_embedding: Whether an image is judged from its unit embedding too, or its token alone.
        sees_norm: Whether the length of the embeddings is looked at.
        correction_share: How much of both corrections counts once the network is trained. They learn
            whither poor images of the training people drift, which holds in part for others. In
            training mode all of it counts.
        per_dimension_gains: Whether a cluster has one gain per output dimension or a single one.
        dropout: Rate on the hidden layer, training mode only.

    Raises:
        ConfigError: If a value is out of range.
    """

    dim: int = 512
    style_channels: int = 384
    num_clusters: int = 4
    hidden: int = 256
    depth: int = 1
    max_log_weight: float = 4.0
    max_log_gain: float = 2.0
    max_logit: float = 5.0
    corrects: bool = True
    refines: bool = True
    sees_embedding: bool = True
    sees_norm: bool = True
    correction_share: float = 0.5
    per_dimension_gains: bool = True
    dropout: float = 0.0

    def __post_init__(self) -> None:
        least = {"dim": 1, "num_clusters": 1, "hidden": 1, "depth": 0, "style_channels": 0}
        for name, minimum in least.items():
            value = getattr(self, name)
            if type(value) is not int or value < minimum:
                raise ConfigError(
                    f"{name}: expected an integer of at least {minimum}, got {value!r}."
                )
        for name in ("corrects", "refines", "sees_embedding", "sees_norm", "per_dimension_gains"):
            if not isinstance(getattr(self, name), bool):
                raise ConfigError(f"{name}: expected true or false, got {getattr(self, name)!r}.")
        if not (self.style_channels or self.sees_norm or self.sees_embedding):
            raise ConfigError(
                "style_channels, sees_norm, sees_embedding: expected something to judge images by, "
                "got none of the three."
            )
        if not 0 <= self.correction_share <= 1:
            raise ConfigError(
                f"correction_share: expected a share from 0 to 1, got {self.correction_share!r}."
            )
        if not 0 <= self.dropout < 1:
            raise ConfigError(f"dropout: expected a rate in [0, 1), got {self.dropout!r}.")
        for name, limit in (("max_log_weight", 4.0), ("max_log_gain", 4.0), ("max_logit", 8.0)):
            value = getattr(self, name)
            if not 0 < value <= limit:
                raise ConfigError(f"{name}: expected above 0 and at most {limit:g}, got {value!r}.")


@dataclass(frozen=True, kw_only=True)
class FastFuserConfig(ExactFuserConfig):
    """The fast size of an exact fuser: one cluster, and images judged from style and norm alone.

    What is left is a weight for each image and a correction that is linear in the mean of tokens and
    hidden layers.
    """

    num_clusters: int = 1
    hidden: int = 64
    refines: bool = False
    sees_embedding: bool = False


class ExactFuser(ImagewiseNetwork):
    """Cluster and Aggregate whose claims hold exactly: any order, any split, merge and removal.

    Each image i gives, from itself alone,

        token   x_i = LN [style input maker ; norm embedding]              (128)
        hidden  h_i = GELU(Linear [x_i ; sqrt(D) v_i])                      (H)
        shares  p_im = exp(L tanh(g(h_i) / L)) softmax_m(q(C_m) k(x_i))     (M)

    with v_i the unit embedding. The state is the sums of p_im, p_im v_i and p_im [x_i ; h_i]. The
    read-out runs the aggregation network of the paper on [C_m ; S_m], S_m the mean style token of
    cluster m, adds up the cluster sums with the gains exp(G tanh(z_m / G)), and adds a correction
    that is linear in the mean of [x_i ; h_i]. That equals a correction of each image by what its
    quality does to its direction, and costs nothing per image. A last small network corrects the
    fused vector itself, knowing the same mean; like all of the read-out it sees sums only.

    Args:
        config: Size; None gives the default.
        rng: Source of the first parameter values; None stands for `numpy.random.default_rng(0)`.

    Source: Kim et al. 2022 for style input maker, centres and aggregation network.
    Differs: no self-attention between images; shares are not clipped; an image weight and an
        additive correction; cluster weights are bounded gains on the sums, not a softmax.
    """

    def __init__(
        self, config: ExactFuserConfig | None = None, *, rng: np.random.Generator | None = None
    ) -> None:
        config = ExactFuserConfig() if config is None else config
        super().__init__(dim=config.dim, style_channels=config.style_channels)
        self.config = config
        with seeded_init(rng):
            self.token = ImageToken(config.style_channels, sees_norm=config.sees_norm)
            if config.num_clusters > 1:
                centres = nn.init.orthogonal_(torch.empty(config.num_clusters, TOKEN_WIDTH))
                self.centres = nn.Parameter(nn.functional.normalize(centres, dim=-1).unsqueeze(0))
                self.norm_tokens = nn.LayerNorm(TOKEN_WIDTH)
                self.assign = Assignment()
            self.trunk = nn.Linear(
                TOKEN_WIDTH + (config.dim if config.sees_embedding else 0), config.hidden
            )
            self.weight = nn.Linear(config.hidden, 1)
            if config.corrects:
                self.correction = nn.Linear(TOKEN_WIDTH + config.hidden, config.dim)
                nn.init.zeros_(self.correction.weight)
                nn.init.zeros_(self.correction.bias)
            if config.refines:
                self.refinement = Mlp(
                    config.dim + TOKEN_WIDTH + config.hidden, REFINEMENT_WIDTH, config.dim
                )
            if config.num_clusters > 1:
                self.aggregation = AggregationNetwork(
                    num_clusters=config.num_clusters,
                    depth=config.depth,
                    weights_per_cluster=config.dim if config.per_dimension_gains else 1,
                )
                init_linears(self.assign)
                init_linears(self.aggregation)
            nn.init.zeros_(self.weight.weight)
            if config.refines:
                nn.init.zeros_(self.refinement.fc2.weight)
                nn.init.zeros_(self.refinement.fc2.bias)

    @property
    def values_are_directions(self) -> bool:
        """Always true: corrections are made on the sums."""
        return True

    def terms(self, embeddings: Tensor, style: Tensor) -> ImageTerms:
        """What each image adds to the sums.

        Args:
            embeddings: (B, N, D) raw embeddings, length kept.
            style: (B, N, C, 2).

        Returns:
            shares (B, N, M), values (B, N, D) unit embeddings, style_tokens (B, N, 128 + H).
        """
        tokens, directions = self.token(embeddings, style)
        # Unit rows of D numbers are scaled up to the size of the normalised token beside them.
        seen = tokens
        if self.config.sees_embedding:
            seen = torch.cat([tokens, directions * math.sqrt(self.config.dim)], dim=-1)
        hidden = nn.functional.gelu(self.trunk(seen))
        hidden = nn.functional.dropout(hidden, self.config.dropout, self.training)
        weight = bounded(self.weight(hidden), self.config.max_log_weight).exp()
        shares = weight
        if self.config.num_clusters > 1:
            logits = self.assign.logits(self.norm_tokens(self.centres), tokens)
            assignment = bounded(logits, self.config.max_logit).softmax(dim=1).transpose(1, 2)
            shares = weight * assignment
        return ImageTerms(
            shares=shares,
            values=directions,
            style_tokens=torch.cat([tokens, hidden], dim=-1),
        )

    def read_out(self, mass: Tensor, sums: Tensor, style_sums: Tensor) -> tuple[Tensor, Tensor]:
        """Fuses the sums.

        Args:
            mass: (B, M).
            sums: (B, M, D).
            style_sums: (B, M, 128 + H).

        Returns:
            fused (B, D), not normalised, and cluster_weights (B, M), the mean gain per cluster.
        """
        total = mass.sum(dim=1).clamp(min=MIN_MASS)
        mean_style = (style_sums.sum(dim=1) / total[:, None]).to(self.trunk.weight)
        means = (sums / total[:, None, None]).to(mean_style)
        if self.config.num_clusters > 1:
            style = style_sums[..., :TOKEN_WIDTH] / mass.clamp(min=MIN_MASS).unsqueeze(-1)
            scores = self.aggregation.scores(self.centres, style.to(self.centres))
            gains = bounded(scores, self.config.max_log_gain).exp()
            fused = (gains * means).sum(dim=1)
        else:
            gains = torch.ones_like(means[..., :1])
            fused = means[:, 0]
        share = 1.0 if self.training else self.config.correction_share
        if self.config.corrects:
            fused = fused + share * self.correction(mean_style)
        if self.config.refines:
            scaled = fused * math.sqrt(self.config.dim)
            fused = fused + share * self.refinement(torch.cat([scaled, mean_style], dim=-1))
        return fused, gains.mean(dim=-1)
