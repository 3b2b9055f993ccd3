"""Protocols: who is in the gallery, what is searched for. No scoring, no printing.

`degraded_folder` and `media_folder` are open protocols, on any folder-per-person set: the first degrades
images by computation, the second takes real ones of known media. The other readers take a user's own copy
of IJB-B, IJB-C, IJB-S, TinyFace or YTF.
"""

from __future__ import annotations

from probefusion.protocols.degraded_folder import (
    DegradedFolderProtocol,
    GalleryEntry,
    ProbeImage,
    ProbeSet,
    fold_of,
    render,
)
from probefusion.protocols.ijb_bc import IjbSet, read_ijb_set
from probefusion.protocols.ijb_s import IjbS, read_ijb_s
from probefusion.protocols.ijb_tasks import read_ijb_identification, read_ijb_pairs
from probefusion.protocols.media import media_mean_then_sum, media_mean_then_sum_ragged
from probefusion.protocols.media_folder import (
    MediaSplit,
    MediumProbes,
    ProbeDraws,
    SizeClass,
    split_media,
)
from probefusion.protocols.media_images import MediaImages, open_face_table, read_media_images
from probefusion.protocols.media_protocol import MediaFolderProtocol
from probefusion.protocols.people import People, read_people
from probefusion.protocols.templates import (
    IdentificationTask,
    LabelledTemplates,
    TemplateIndex,
    VerificationPairs,
)
from probefusion.protocols.tinyface import TinyFace, read_tinyface
from probefusion.protocols.ytf import Ytf, read_ytf

__all__ = [
    "DegradedFolderProtocol",
    "GalleryEntry",
    "IdentificationTask",
    "IjbS",
    "IjbSet",
    "LabelledTemplates",
    "MediaFolderProtocol",
    "MediaImages",
    "MediaSplit",
    "MediumProbes",
    "People",
    "ProbeDraws",
    "ProbeImage",
    "ProbeSet",
    "SizeClass",
    "TemplateIndex",
    "TinyFace",
    "VerificationPairs",
    "Ytf",
    "fold_of",
    "media_mean_then_sum",
    "media_mean_then_sum_ragged",
    "open_face_table",
    "read_ijb_identification",
    "read_ijb_pairs",
    "read_ijb_s",
    "read_ijb_set",
    "read_media_images",
    "read_people",
    "read_tinyface",
    "read_ytf",
    "render",
    "split_media",
]
