"""Faces: files to aligned crops. Reads images and video frames, finds faces and aligns them."""

from __future__ import annotations

from probefusion.faces.align import ARCFACE_LANDMARKS, align_face, similarity_transform
from probefusion.faces.detect import Detector, Face, YuNetDetector, largest_face
from probefusion.faces.images import (
    ImageSource,
    SkippedImage,
    decode_image,
    list_images,
    read_crop,
    read_images,
)
from probefusion.faces.scrfd import ScrfdDetector

__all__ = [
    "ARCFACE_LANDMARKS",
    "Detector",
    "Face",
    "ImageSource",
    "ScrfdDetector",
    "SkippedImage",
    "YuNetDetector",
    "align_face",
    "decode_image",
    "largest_face",
    "list_images",
    "read_crop",
    "read_images",
    "similarity_transform",
]
