"""A finding of `probefusion doctor`: one check with its numbers, and what to do."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["CHECKS", "Finding", "Status", "unseen"]

Status: TypeAlias = Literal["fault", "fine", "cannot be told"]

CHECKS = {
    "reading": "images can be read",
    "faces": "images show faces",
    "turned": "faces are upright",
    "image-channels": "images are in RGB",
    "alignment": "crops are aligned",
    "squashed": "faces keep their shape",
    "mirrored": "faces are not mirrored",
    "channel-order": "embedder's channel order",
    "scaling": "embedder's scaling",
    "normalised-twice": "pixels are scaled once",
    "training-mode": "network as in use",
    "batch": "images do not mix in a batch",
    "norm-output": "length of the embedding",
    "store": "stored embeddings",
}
"""Every check by its key, with what is right; in the order of the report."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """What one check found.

    Args:
        check: Its key, one of `CHECKS`.
        status: `"fault"`, `"fine"`, or `"cannot be told"`.
        evidence: The numbers behind it, or why it cannot be told.
        fix: What to do about a fault; "" otherwise.
    """

    check: str
    status: Status
    evidence: str
    fix: str = ""

    @property
    def title(self) -> str:
        """What is right, in words."""
        return CHECKS[self.check]


def unseen(checks: Sequence[str], reason: str) -> list[Finding]:
    """Findings of checks that could not be made."""
    return [Finding(check=check, status="cannot be told", evidence=reason) for check in checks]
