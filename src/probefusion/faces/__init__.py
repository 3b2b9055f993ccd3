"""Faces: read images, find and align faces, embed them with style statistics."""

from __future__ import annotations

from probefusion.faces.align import ARCFACE_LANDMARKS, align_face, similarity_transform
from probefusion.faces.detect import Detector, Face, YuNetDetector, largest_face
from probefusion.faces.embed import Embedder, OnnxEmbedder
from probefusion.faces.images import (
    ImageSource,
    SkippedImage,
    decode_image,
    list_images,
    read_crop,
    read_images,
)
from probefusion.faces.inspection import EmbedderFacts, inspect_embedder
from probefusion.faces.pipeline import EmbeddingReport, embed_images
from probefusion.faces.quality import CropQuality, JudgedEmbedder
from probefusion.faces.spec import EmbedderSpec

__all__ = [
    "ARCFACE_LANDMARKS",
    "CropQuality",
    "Detector",
    "Embedder",
    "EmbedderFacts",
    "EmbedderSpec",
    "EmbeddingReport",
    "Face",
    "ImageSource",
    "JudgedEmbedder",
    "OnnxEmbedder",
    "SkippedImage",
    "YuNetDetector",
    "align_face",
    "decode_image",
    "embed_images",
    "inspect_embedder",
    "largest_face",
    "list_images",
    "read_crop",
    "read_images",
    "similarity_transform",
]
