"""The version of this release; results on disk name it."""

__all__ = ["__version__"]

__version__ = "0.1.0"
