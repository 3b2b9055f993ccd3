"""Pictures of made-up people."""

from people_images import people_folder  # noqa: F401
