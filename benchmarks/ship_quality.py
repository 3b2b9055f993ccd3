"""Writes the quality network of the package: the embedder inside and the weights of its fast fuser.

    python benchmarks/ship_quality.py WORK/state.pt \
        --fuser src/probefusion/weights/exact-fast.compact_128d-lfw112.r1 \
        -o src/probefusion/weights/quality.compact_128d-lfw112.r2/quality.onnx

WORK/state.pt is that of distill_embedder.py. benchmarks/judge_universal.py --quality judges the file.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from safetensors.torch import load_file

from probefusion.fusion.folder import read_card
from probefusion.nn.architectures import build_network
from probefusion.nn.embedder_quality import EmbedderQuality
from probefusion.training.embedder_export import fold_batch_norms, read_compact_embedder
from probefusion.training.export import round_weights
from probefusion.training.folding import fold_network
from probefusion.training.quality import export_quality


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("state", metavar="STATE")
    parser.add_argument("--fuser", required=True, type=Path, metavar="FOLDER")
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="FILE.onnx")
    options = parser.parse_args()
    embedder = fold_batch_norms(read_compact_embedder(options.state)[0])
    round_weights(embedder)
    card = read_card(options.fuser)
    fuser = build_network(card.architecture, card.config)
    fuser.load_state_dict(load_file(options.fuser / "weights.safetensors"))
    options.output.parent.mkdir(parents=True, exist_ok=True)
    export_quality(EmbedderQuality(embedder, fold_network(fuser.eval())), options.output)
    print(f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
