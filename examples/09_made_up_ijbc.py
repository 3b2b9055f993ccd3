"""A tiny made-up copy of IJB-C, to try `evaluate ijbc` without the licensed data. Its figures mean nothing.

Writes `IJBC/` in the layout that the reader expects, without images, and `ijbc_r100.npy` with a feature
per image. Eight people, each with a gallery template of two images and a probe template of three.
"""

from pathlib import Path

import numpy as np

DIM = 512
PEOPLE = range(8)

random = np.random.default_rng(0)
meta = Path("IJBC/meta")
meta.mkdir(parents=True)
Path("IJBC/loose_crop").mkdir()

templates, points, features = [], [], []
for person in PEOPLE:
    centre = random.standard_normal(DIM)
    for template in (10 + person, 10 + person, 50 + person, 50 + person, 50 + person):
        image = f"{len(features) + 1}.jpg"
        templates.append(f"{image} {template} {template}")  # image, template, medium
        points.append(f"{image} 38 52 73 52 56 72 42 92 71 92 0.9")  # five points, score
        features.append(centre + 0.5 * random.standard_normal(DIM))
np.save("ijbc_r100.npy", np.array(features, np.float32))  # in the order of the lines of `points`

header = "TEMPLATE_ID,SUBJECT_ID"
tables = {
    "face_tid_mid.txt": templates,
    "name_5pts_score.txt": points,
    "template_pair_label.txt": [f"{10 + a} {50 + b} {int(a == b)}" for a in PEOPLE for b in PEOPLE],
    "1N_gallery_G1.csv": [header, *(f"{10 + person},{person}" for person in PEOPLE[::2])],
    "1N_gallery_G2.csv": [header, *(f"{10 + person},{person}" for person in PEOPLE[1::2])],
    "1N_probe_mixed.csv": [header, *(f"{50 + person},{person}" for person in PEOPLE)],
}
for name, lines in tables.items():
    (meta / f"ijbc_{name}").write_text("\n".join(lines) + "\n")
print(len(features), "images of", len(PEOPLE), "people")
