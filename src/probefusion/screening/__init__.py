"""Is a set of images one person, and good enough? Judges sets and their fusion states; never repairs silently."""

from __future__ import annotations
