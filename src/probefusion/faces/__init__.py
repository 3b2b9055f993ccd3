"""Faces: files to aligned crops. Reads images and video frames, finds faces and aligns them."""

from __future__ import annotations

from probefusion.faces.align import ARCFACE_LANDMARKS, align_face, similarity_transform
from probefusion.faces.cropping import (
    CroppedFace,
    FaceFacts,
    crop_face,
    crop_faces,
    crop_largest_face,
)
from probefusion.faces.detect import YuNetDetector
from probefusion.faces.face import Detector, Face, largest_face
from probefusion.faces.images import (
    ImageSource,
    SkippedImage,
    decode_image,
    list_images,
    read_crop,
    read_images,
)
from probefusion.faces.notes import faces_to_tell, notes_on_faces
from probefusion.faces.scrfd import ScrfdDetector

__all__ = [
    "ARCFACE_LANDMARKS",
    "CroppedFace",
    "Detector",
    "Face",
    "FaceFacts",
    "ImageSource",
    "ScrfdDetector",
    "SkippedImage",
    "YuNetDetector",
    "align_face",
    "crop_face",
    "crop_faces",
    "crop_largest_face",
    "decode_image",
    "faces_to_tell",
    "largest_face",
    "list_images",
    "notes_on_faces",
    "read_crop",
    "read_images",
    "similarity_transform",
]
