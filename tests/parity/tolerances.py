"""The one table of tolerances: per array, max|a - b| / max|b|, never element-wise relative.

Tests reach it through the fixture `tolerances` (see conftest.py).
"""

from __future__ import annotations

GOLDEN = 1e-4
"""float32 PyTorch or ONNX Runtime against golden arrays; a correct one stays below 1e-5."""

LOSS = 1e-4
"""Losses against golden."""

TRAINING = 1e-3
"""Gradients and batch statistics against `training_step`; a correct one reaches 2e-5."""

ZERO = 1e-8
"""A gradient that is zero in theory: where max|b| is below this, max|a| must be too."""

SAME_PATH = 1e-5
"""Fast path, other thread count, other batch size against the plain path."""

EXACT_FUSER = 1e-6
"""Exact fuser: other order, split, merge, remove; components of the unit template."""
