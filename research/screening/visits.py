"""How often would a gallery hold back right visits, and visits of others? On the people inside the package.

    python -m research.screening.visits

Half of the 64 people are enrolled from 8 or 16 degraded images; visits of 1 to 8 other degraded images are said to be
of them. Shares of visits that are unlike the person (`probefusion.gallery.verbs.guard`), and of those closer to
another enrolled person: of the person, of another enrolled one, and of somebody who is not enrolled.
"""

from __future__ import annotations

import argparse

import numpy as np

from probefusion.files import bundled_folder
from probefusion.fusion import Fuser
from probefusion.gallery.verbs.guard import UNLIKE, unlikeness
from probefusion.types import EmbeddingSet
from probefusion.zoo import load_fuser

FUSERS = ("exact", "exact-fast", "mean")
SIZES = ((8, 1), (8, 4), (8, 8), (16, 4))
FIRST_VISIT = 16


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    data = np.load(bundled_folder() / "demo_probes.npz")
    embedder = str(data["embedder"])
    count = len(data["probe_subjects"])
    embeddings = data["probe_embeddings"].astype(np.float32).reshape(count, -1, 128)
    style = data["probe_style"].astype(np.float32).reshape(count, embeddings.shape[1], -1, 2)
    people = [
        EmbeddingSet(embeddings=embeddings[who], style=style[who], embedder=embedder)
        for who in range(count)
    ]
    for name in FUSERS:
        fuser = load_fuser(name, embedder=embedder, num_threads=1)
        for enrolled, visit in SIZES:
            print(
                f"{fuser.name}, {enrolled} enrolled, visits of {visit}: {measure(people, fuser, enrolled, visit)}"
            )


def measure(people: list[EmbeddingSet], fuser: Fuser, enrolled: int, visit: int) -> str:
    """Shares of the visits that would be held, in words."""
    half = len(people) // 2
    known = [fuser.encode(images[:enrolled]) for images in people[:half]]
    templates = np.stack([fuser.finish(state).vector for state in known])
    held: dict[str, list[tuple[bool, bool]]] = {"right": [], "another's": [], "a stranger's": []}
    for draw in range((len(people[0]) - FIRST_VISIT) // visit):
        first = FIRST_VISIT + draw * visit
        visits = [fuser.encode(images[first : first + visit]) for images in people]
        similarities = templates @ np.stack([fuser.finish(state).vector for state in visits]).T
        for who in range(half):
            others = {
                "right": who,
                "another's": (who + 1 + draw) % half,
                "a stranger's": half + (who + draw) % half,
            }
            for kind, other in others.items():
                own = float(similarities[who, other])
                found = unlikeness(visits[other], known[who], own, fuser)
                is_unlike = found is not None and found[0] > UNLIKE
                nearest = float(np.delete(similarities[:, other], who).max())
                held[kind].append((is_unlike, nearest > own))
    return "; ".join(
        f"{kind} unlike {np.mean([one for one, _ in shares]):.3f}, closer to another "
        f"{np.mean([two for _, two in shares]):.3f}, either {np.mean([one or two for one, two in shares]):.3f}"
        for kind, shares in held.items()
    )


if __name__ == "__main__":
    main()
