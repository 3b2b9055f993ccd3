"""Blends two states of one training by distill.py into a third, which ship.py takes.

python -m research.compact_embedder.blend WORK/state-at-14800.pt WORK/state.pt --share .8 -o WORK/blended.pt
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from probefusion.files import replace_file
from research.compact_embedder import blend_states


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("earlier", type=Path, metavar="EARLIER")
    parser.add_argument("later", type=Path, metavar="LATER")
    parser.add_argument(
        "--share", required=True, type=float, help="weight of the later one, 0 to 1"
    )
    parser.add_argument("-o", "--output", required=True, type=Path, metavar="STATE")
    parser.add_argument("--force", action="store_true", help="replace an existing file")
    options = parser.parse_args()
    state = blend_states(options.earlier, options.later, share=options.share)
    with replace_file(options.output, force=options.force) as file:
        torch.save(state, file)


if __name__ == "__main__":
    main()
