"""A variant store of made-up embeddings."""

from variant_stores import extraction, store  # noqa: F401
