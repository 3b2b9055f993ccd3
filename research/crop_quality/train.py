"""Trains the quality network of the universal fuser and writes it as one graph.

    python -m research.crop_quality.train STATE --seen WORK_A --fused WORK_B --fold 3 \
        -o src/probefusion/zoo/weights/quality.compact_128d-lfw112.r3/quality.onnx

STATE is that of research.compact_embedder.distill; both work folders are those of
research.comparison.compare_fusers, of the embedder that STATE holds and of another. The network sees the
first and learns which images spoil the templates of the second, from all people but those of a fold.
research.crop_quality.judge judges the file on an embedder that neither has seen.
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import torch

from probefusion.files import sha256_of
from probefusion.protocols.degraded_folder import fold_of
from probefusion.training.export.folding import fold_network
from probefusion.training.export.fuser_folder import round_weights
from probefusion.training.loop import train_network
from probefusion.training.variant_store import VariantStore
from probefusion.zoo.bundled import DEFAULT_EMBEDDER
from probefusion.zoo.embedders import resolve_embedder
from research.compact_embedder.export import (
    export_compact_embedder,
    fold_batch_norms,
    read_compact_embedder,
)
from research.comparison.contenders import training_config
from research.crop_quality.network import EmbedderQuality
from research.crop_quality.training import combine_stores, export_quality

ARCHITECTURE = "exact-fast"
FOLDS = (0, 1, 2, 3)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", metavar="STATE")
    parser.add_argument("--seen", required=True, type=Path, metavar="WORK")
    parser.add_argument("--fused", required=True, type=Path, metavar="WORK")
    parser.add_argument("--fold", required=True, type=int, choices=FOLDS, help="people left out")
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.onnx")
    options = parser.parse_args()
    torch.set_num_threads(1)
    stores = [VariantStore.open(work / "variants") for work in (options.seen, options.fused)]
    embedder = fold_batch_norms(read_compact_embedder(options.state).network)
    round_weights(embedder)
    check_seen_by(options.state, stores[0])
    store = combine_stores(*stores)
    store = store.of_people([name for name in store.subject_ids if fold_of(name) != options.fold])
    common = {"steps": options.steps, "batch_size": options.batch_size}
    result = train_network(store, training_config(ARCHITECTURE, 0, common))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    quality = EmbedderQuality(embedder, fold_network(result.network.eval()))
    facts = {"seen": stores[0].embedder, "fused": stores[1].embedder, "held_out_fold": options.fold}
    export_quality(
        quality, options.output, facts={key: str(facts[key]) for key in facts}, force=True
    )
    loss = result.centre_losses[-30:].mean()
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, centre loss {loss:.4f}")


def check_seen_by(state: str, store: VariantStore) -> None:
    """Refuses a store that was not embedded by the network of a training state."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "embedder.onnx"
        export_compact_embedder(read_compact_embedder(state).network, path)
        found = sha256_of(path)
    path, spec = resolve_embedder(DEFAULT_EMBEDDER)
    if spec.sha256 != found or spec.fingerprint != store.embedder:
        raise SystemExit(
            f"--seen: expected embeddings of {state} as research/compact_embedder/ship.py put it into the package, got "
            f"those of {store.embedder}."
        )


if __name__ == "__main__":
    main()
