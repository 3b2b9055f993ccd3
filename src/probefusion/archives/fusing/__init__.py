"""A run over an archive: planned, mapped, reduced, finished; every engine carries it."""
