"""Images to embeddings, end to end, beside the bare network at its best batch and a loop over images."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime

import speed_sides as sides
from probefusion.embedders import embed_images
from probefusion.embedders.onnx_graph import free_batch_axis, image_input, read_model
from probefusion.faces import list_images
from probefusion.zoo import load_embedder

BATCHES = (1, 8, 16, 32, 64)


def embedding_rows(images: str, model: str, count: int) -> list[dict[str, Any]]:
    """Rates in images per second."""
    embedder = load_embedder(model, num_threads=sides.THREADS)
    sources = list_images(images)[0][:count]
    subset = Path("/tmp") / f"probefusion-benchmark-{len(sources)}.zip"  # noqa: S108
    with zipfile.ZipFile(images) as archive, zipfile.ZipFile(subset, "w") as chosen:
        files = [archive.read(source.member or "") for source in sources]
        for source, data in zip(sources, files, strict=True):
            chosen.writestr(source.member or "", data)
    graph, _ = read_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = sides.THREADS
    options.log_severity_level = 3
    providers = ["CPUExecutionProvider"]
    bare = onnxruntime.InferenceSession(
        free_batch_axis(graph).SerializeToString(), options, providers=providers
    )
    single = onnxruntime.InferenceSession(graph.SerializeToString(), options, providers=providers)
    name = image_input(graph).name
    mean, std = (np.float32(value) for value in (embedder.spec.mean, embedder.spec.std))
    batches = {size: np.zeros((size, 3, 112, 112), np.float32) for size in BATCHES}

    def loop() -> None:
        for data in files:
            pixels = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)[..., ::-1]
            values = (pixels.astype(np.float32) / 255 - mean) / std
            single.run(None, {name: np.ascontiguousarray(values.transpose(2, 0, 1)[None])})

    def ours() -> None:
        embed_images(subset, embedder, aligned=True, num_threads=sides.THREADS)

    def run_bare(size: int) -> None:
        for _ in range(max(1, 256 // size)):
            bare.run(None, {name: batches[size]})

    try:
        calls = [ours, loop, *(lambda size=size: run_bare(size) for size in BATCHES)]
        seconds = sides.paired_seconds(calls, budget=60, most=5)
    finally:
        subset.unlink()
    rates = {
        size: max(1, 256 // size) * size / value
        for size, value in zip(BATCHES, seconds[2:], strict=True)
    }
    best = max(rates, key=lambda size: rates[size])
    return [
        {
            "model": Path(model).name,
            "images": len(files),
            "images/s, ours, with style": round(len(files) / seconds[0]),
            "images/s, bare network": round(rates[best]),
            "best batch": best,
            "ours / bare": round(len(files) / seconds[0] / rates[best], 3),
            "images/s, one at a time": round(len(files) / seconds[1]),
            "times faster than one at a time": round(seconds[1] / seconds[0], 2),
        }
    ]
