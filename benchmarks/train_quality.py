"""Trains the quality network of the universal fuser and writes it as one graph.

    python benchmarks/train_quality.py STATE --seen WORK_A --fused WORK_B --fold 3 \
        -o src/probefusion/weights/quality.compact_128d-lfw112.r3/quality.onnx

STATE is that of distill_embedder.py; both work folders are those of compare_fusers.py, of the embedder
that STATE holds and of another of the same D. The network sees the first and learns which images spoil the
templates of the second, from all people but those of a fold. judge_universal.py judges the file on an
embedder that neither has seen.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from contenders import training_config
from probefusion.nn.embedder_quality import EmbedderQuality
from probefusion.protocols.degraded_folder import fold_of
from probefusion.training.embedder_export import fold_batch_norms, read_compact_embedder
from probefusion.training.export import round_weights
from probefusion.training.folding import fold_network
from probefusion.training.loop import train_network
from probefusion.training.quality import combine_stores, export_quality
from probefusion.training.variant_store import VariantStore

ARCHITECTURE = "exact-fast"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", metavar="STATE")
    parser.add_argument("--seen", required=True, type=Path, metavar="WORK")
    parser.add_argument("--fused", required=True, type=Path, metavar="WORK")
    parser.add_argument("--fold", required=True, type=int, help="people left out")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.onnx")
    options = parser.parse_args()
    torch.set_num_threads(1)
    stores = [VariantStore.open(work / "variants") for work in (options.seen, options.fused)]
    store = combine_stores(*stores)
    store = store.of_people([name for name in store.subject_ids if fold_of(name) != options.fold])
    common = {"steps": options.steps, "batch_size": options.batch_size}
    result = train_network(store, training_config(ARCHITECTURE, 0, common))
    embedder = fold_batch_norms(read_compact_embedder(options.state)[0])
    round_weights(embedder)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    quality = EmbedderQuality(embedder, fold_network(result.network.eval()))
    export_quality(quality, options.output)
    loss = result.centre_losses[-30:].mean()
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, centre loss {loss:.4f}")


if __name__ == "__main__":
    main()
