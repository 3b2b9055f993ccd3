"""What decides about given pairs: `probefusion.fusion.card_decisions`, by its name of before."""

from __future__ import annotations

from probefusion.fusion.card_decisions import CardDecision, Made, decisions_of

__all__ = ["CardDecision", "Made", "decisions_of"]
