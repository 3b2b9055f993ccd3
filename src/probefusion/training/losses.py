"""The two losses of the official recipe, as functions of fused embeddings."""

from __future__ import annotations

import torch
from torch import Tensor

from probefusion.errors import ShapeError

__all__ = [
    "LENGTH_EPSILON",
    "centre_loss",
    "cosine_similarity",
    "margin_softmax_loss",
    "memory_loss",
]

LENGTH_EPSILON = 1e-5
"""Added to the length of a vector before dividing by it, on both sides of a cosine."""


def cosine_similarity(first: Tensor, second: Tensor) -> Tensor:
    """Cosine over the last axis, with 1e-5 added to both lengths.

    Vectors of length 0 have cosine 0; short vectors have a cosine a little too near to 0.

    Args:
        first: (..., D).
        second: (..., D), of a shape that broadcasts with `first`.

    Returns:
        (...).
    """
    return (_directions(first) * _directions(second)).sum(dim=-1)


def centre_loss(prefix_fused: Tensor, centres: Tensor) -> Tensor:
    """Draws fused embeddings of all set sizes to the class centre of their person.

    Args:
        prefix_fused: (2, P, B, D) fused embeddings of both groups at every prefix length.
        centres: (B, D) class centre of each person, of any length.

    Returns:
        Scalar, mean of 1 - cosine over groups, prefix lengths and people; in [0, 2].

    Raises:
        ShapeError: If the shapes do not fit.

    Source: Kim et al. 2022, training losses (centre loss).
    """
    if prefix_fused.ndim != 4 or centres.shape != prefix_fused.shape[2:]:
        raise ShapeError(
            f"prefix_fused, centres: expected shapes (2, P, B, D) and (B, D), got "
            f"{tuple(prefix_fused.shape)} and {tuple(centres.shape)}. "
            f"Give what training_pass returned and one centre per person of the batch."
        )
    return (1.0 - cosine_similarity(prefix_fused, centres)).mean()


def margin_softmax_loss(
    prefix_fused: Tensor,
    all_centres: Tensor,
    subjects: Tensor,
    *,
    margin: float = 0.1,
    scale: float = 24.0,
) -> Tensor:
    """Sets fused embeddings apart from the class centres of all other people.

    Cross-entropy over all people with logits scale x cosine, the margin taken off the own one.

    Args:
        prefix_fused: (2, P, B, D) fused embeddings of both groups at every prefix length.
        all_centres: (S, D) class centres of all training people, of length one.
        subjects: (B,) int64, the person of each sample as a row of `all_centres`.
        margin: Taken off the cosine to the own centre.
        scale: Factor of the logits.

    Returns:
        Scalar, mean over groups, prefix lengths and people.

    Source: Wang et al. 2018 (CosFace), with fixed centres.
    """
    cosines = _directions(prefix_fused).flatten(0, 1) @ all_centres.T  # (2P, B, S)
    own = subjects.expand(cosines.shape[:2])
    offsets = torch.full_like(own, margin, dtype=cosines.dtype).unsqueeze(-1)
    logits = scale * cosines.scatter_add(-1, own.unsqueeze(-1), -offsets)
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), own.flatten())


def memory_loss(sequential: Tensor, joint: Tensor, *, divide_by_batch: bool) -> Tensor:
    """Draws the result of two batches in sequence and of one joint call together.

    The gradient flows into both sides.

    Args:
        sequential: (B, D) fused after group 1, then group 2.
        joint: (B, D) fused in one call.
        divide_by_batch: True divides the mean by B once more, as the official code does; at
            batch size 512 that leaves 1/512 of the term. False gives the plain mean.

    Returns:
        Scalar, mean of 1 - cosine over people, and that over B if `divide_by_batch`.

    Raises:
        ShapeError: If the shapes do not fit.

    Source: Kim et al. 2022, training losses (memory loss).
    Differs: the official code always divides by B once more; here the caller says so.
    """
    if sequential.ndim != 2 or joint.shape != sequential.shape:
        raise ShapeError(
            f"sequential, joint: expected one shape (B, D), got {tuple(sequential.shape)} and "
            f"{tuple(joint.shape)}. Give what training_pass returned."
        )
    loss = (1.0 - cosine_similarity(sequential, joint)).mean()
    return loss / sequential.shape[0] if divide_by_batch else loss


def _directions(vectors: Tensor) -> Tensor:
    return vectors / (vectors.norm(dim=-1, keepdim=True) + LENGTH_EPSILON)
