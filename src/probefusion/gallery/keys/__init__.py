"""What keeps a gallery secret: the master key, the keys it wraps, and what is sealed with which."""
