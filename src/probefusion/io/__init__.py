"""Others' files and others' Python objects to our nouns.

Files: .npy, .npz, CSV, plain text, HDF5, Parquet; `kind_of` says what a file holds, `read_embeddings` and
`read_templates` read it. Objects: the faces that InsightFace, uniface, DeepFace and face_recognition
find (`from_insightface` and so on, in `probefusion.io.from_others`); nothing of these packages is
imported, their attributes are read by name.
"""

from __future__ import annotations

from probefusion.io.foreign_files import advice_for
from probefusion.io.from_others import (
    from_deepface,
    from_face_recognition,
    from_insightface,
    from_uniface,
)
from probefusion.io.read import has_columns, read_embeddings, readable_suffixes
from probefusion.io.read_templates import read_templates, split_id
from probefusion.io.sniff import Kind, kind_of

__all__ = [
    "Kind",
    "advice_for",
    "from_deepface",
    "from_face_recognition",
    "from_insightface",
    "from_uniface",
    "has_columns",
    "kind_of",
    "read_embeddings",
    "read_templates",
    "readable_suffixes",
    "split_id",
]
