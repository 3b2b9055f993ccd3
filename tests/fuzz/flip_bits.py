# ruff: noqa: T201
"""What single flipped bits do to each kind of file that carries a hash; run by hand: `python tests/fuzz/flip_bits.py`.

A read must refuse the file, naming it, or give what the sound file holds. Anything else is a find, and the
exit status is 1.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))

from hashed_files import (
    make_archive_work,
    make_cards,
    make_models_folder,
    make_training_checkpoint,
    make_values,
    make_variant_store,
    what_flips_do,
)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--flips", type=int, default=200, help="of each kind of file")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    is_right = True
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["PROBEFUSION_HOME"] = temporary
        models = Path(temporary) / "models"
        models.mkdir()
        work = Path(temporary) / "work"
        work.mkdir()
        makers = (
            make_values,
            make_cards,
            make_archive_work,
            make_variant_store,
            make_training_checkpoint,
        )
        files = make_models_folder(models)
        for make in makers:
            files |= make(work)
        for name, file in files.items():
            found = what_flips_do(file, num_flips=options.flips, seed=options.seed)
            others = {
                what: count
                for what, count in found.items()
                if what not in ("refused", "same value")
            }
            is_right &= not others
            print(
                f"{name:24} refused {found['refused']:4}  same value {found['same value']:4}  others {others or 0}"
            )
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main())
