"""States that are kept, so that more images can be added without reading the old ones."""
