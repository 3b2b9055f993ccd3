"""Reading embeddings from the files people have: .npy, .npz, CSV, HDF5, Parquet."""

from __future__ import annotations

from probefusion.io.read import read_embeddings, readable_suffixes

__all__ = ["read_embeddings", "readable_suffixes"]
