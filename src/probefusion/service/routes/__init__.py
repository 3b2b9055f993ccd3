"""Routes: one per use case; each calls it, and nothing else."""
