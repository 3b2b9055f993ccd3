"""One face template from many poor images."""

from __future__ import annotations

__version__ = "0.1.0"
