"""The official training data: precomputed features and record files, read without MXNet."""

from __future__ import annotations

from research.official_data.features import (
    export_store,
    extract_images,
    import_features,
    read_class_centres,
)
from research.official_data.record_files import Record, RecordFile, read_record_list

__all__ = [
    "Record",
    "RecordFile",
    "export_store",
    "extract_images",
    "import_features",
    "read_class_centres",
    "read_record_list",
]
