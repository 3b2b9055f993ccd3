"""Enters fuser folders into the manifest of known models, or renews the hashes of their files there.

python -m research.comparison.enter_in_manifest weights/exact.opencv_sface_int8bq-lfw112.r1
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
from pathlib import Path

from probefusion.files import renew_hash

MANIFEST = Path("src/probefusion/zoo/manifest.json")
_PAGE = "https://github.com/probefusion/probefusion/raw/main/weights"
_FILES = (
    "encode.onnx",
    "finish.onnx",
    "weights.safetensors",
    "usability.json",
    "calibration.json",
    "fuser.json",
)
"""In the order in which they are fetched: the card last, so that a folder with a card is whole."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="+", type=Path, metavar="FOLDER")
    parser.add_argument("--manifest", type=Path, default=MANIFEST, metavar="FILE")
    options = parser.parse_args()
    for folder in options.folders:
        enter(folder, options.manifest)
        print(f"{folder.name}: in {options.manifest}")


def enter(folder: Path, manifest: Path) -> None:
    """Writes the entry of one folder, in its place if there is one, behind the other fusers if not.

    Args:
        folder: A fuser folder; its name is the model's.
        manifest: The file; its other lines stay as they are.

    Raises:
        ValueError: If the folder holds files of other names, or the manifest would not be JSON any more.
    """
    strange = {path.name for path in folder.iterdir()} - set(_FILES)
    if strange:
        raise ValueError(
            f"{folder}: expected files named {', '.join(_FILES)}, got {sorted(strange)}."
        )
    text, entry = manifest.read_text(encoding="utf-8"), _entry(folder)
    found = re.search(rf'    "{re.escape(folder.name)}": \{{\n.*?\n    \}}', text, re.S)
    if found:
        text = text[: found.start()] + entry + text[found.end() :]
    else:
        *_, last = re.finditer(r'    "[^"]*lfw112\.r\d+": \{\n.*?\n    \}', text, re.S)
        text = f"{text[: last.end()]},\n{entry}{text[last.end() :]}"
    json.loads(text)
    manifest.write_text(text, encoding="utf-8")
    renew_hash(manifest)


def _entry(folder: Path) -> str:
    card = json.loads((folder / "fuser.json").read_text(encoding="utf-8"))
    paths = [folder / name for name in _FILES if (folder / name).exists()]
    files = ",\n".join(
        f'        {{"name": "{path.name}", "sha256": "{hashlib.sha256(path.read_bytes()).hexdigest()}", '
        f'"size": {path.stat().st_size}}}'
        for path in paths
    )
    return (
        f'    "{folder.name}": {{\n'
        '      "kind": "fuser",\n'
        '      "format": "folder",\n'
        f'      "file": "{folder.name}",\n'
        f'      "licence": {json.dumps(card["licence"])},\n'
        '      "non_commercial": true,\n'
        f'      "origin": "made with probefusion for {card["embedder"].split("@")[0]}",\n'
        f'      "urls": [\n        "{_PAGE}/{folder.name}"\n      ],\n'
        f'      "files": [\n{files}\n      ],\n'
        f'      "settings": {{\n        "embedder": "{card["embedder"]}",\n        "dim": {card["dim"]}\n      }}\n'
        "    }"
    )


if __name__ == "__main__":
    main()
