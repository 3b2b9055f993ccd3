"""Who did what to a gallery: the chain of entries, and looking through it."""
