"""A small copy of IJB-C in the documented layout, without images, and embeddings of its rows."""

from __future__ import annotations

from pathlib import Path

import numpy as np

POINTS = "38.2946 51.6963 73.5318 51.5014 56.0252 71.7366 41.5493 92.3655 70.7299 92.2041"


def write_small_ijb(root: Path, *, num_people: int = 12, dim: int = 16) -> np.ndarray:
    """Each person has a gallery template of 2 images and a probe template of 3 of two media.

    Returns:
        (5 x people, dim) float32 embeddings in the order of the lists; their lengths differ.
    """
    rng = np.random.default_rng(8)
    meta = root / "meta"
    meta.mkdir(parents=True)
    media, points, rows = [], [], []
    galleries: tuple[list[str], list[str]] = ([], [])
    probes = []
    for subject, centre in enumerate(rng.standard_normal((num_people, dim))):
        for template, count in ((100 + subject, 2), (500 + subject, 3)):
            for image in range(count):
                rows.append((centre + 0.4 * rng.standard_normal(dim)) * rng.uniform(5, 20))
                media.append(f"{len(rows)}.jpg {template} {100 * template + image // 2}")
                points.append(f"{len(rows)}.jpg {POINTS} 0.9{image}")
        galleries[subject % 2].append(f"{100 + subject},{subject}")
        probes.append(f"{500 + subject},{subject}")
    pairs = [
        f"{100 + a} {500 + b} {int(a == b)}" for a in range(num_people) for b in range(num_people)
    ]
    header = "TEMPLATE_ID,SUBJECT_ID"
    for name, lines in {
        "ijbc_face_tid_mid.txt": media,
        "ijbc_name_5pts_score.txt": points,
        "ijbc_template_pair_label.txt": pairs,
        "ijbc_1N_gallery_G1.csv": [header, *galleries[0]],
        "ijbc_1N_gallery_G2.csv": [header, *galleries[1]],
        "ijbc_1N_probe_mixed.csv": [header, *probes],
    }.items():
        (meta / name).write_text("\n".join(lines) + "\n")
    return np.array(rows, np.float32)
