"""Others' files and others' Python objects to our nouns.

Files: .npy, .npz, CSV, HDF5, Parquet. Objects: the faces that InsightFace, uniface, DeepFace and
face_recognition find; nothing of these packages is imported, their attributes are read by name.
"""

from __future__ import annotations

from probefusion.io.from_others import (
    from_deepface,
    from_face_recognition,
    from_insightface,
    from_uniface,
)
from probefusion.io.read import read_embeddings, readable_suffixes

__all__ = [
    "from_deepface",
    "from_face_recognition",
    "from_insightface",
    "from_uniface",
    "read_embeddings",
    "readable_suffixes",
]
