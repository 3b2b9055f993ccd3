"""Work of many requests at once: searches joined into one product, and a lane for each kind of work."""
