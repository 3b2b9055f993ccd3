"""Embedders: aligned crops to embedding sets, with style statistics and the quality of each crop."""

from __future__ import annotations

from probefusion.embedders.crop_batches import EmbeddedCrops, embed_crops
from probefusion.embedders.embed_images import EmbeddingReport, embed_images
from probefusion.embedders.embedder import Embedder, OnnxEmbedder
from probefusion.embedders.inspection import EmbedderFacts, inspect_embedder
from probefusion.embedders.quality import CropQuality, JudgedEmbedder
from probefusion.embedders.spec import EmbedderSpec

__all__ = [
    "CropQuality",
    "EmbeddedCrops",
    "Embedder",
    "EmbedderFacts",
    "EmbedderSpec",
    "EmbeddingReport",
    "JudgedEmbedder",
    "OnnxEmbedder",
    "embed_crops",
    "embed_images",
    "inspect_embedder",
]
