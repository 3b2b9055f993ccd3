"""Use cases, each one call."""
