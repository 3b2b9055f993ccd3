"""The use cases: what every door (Python, command) calls."""
