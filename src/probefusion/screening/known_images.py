"""What was measured of one person's images, by view; made by `python -m research.screening.measure --constants`."""

from __future__ import annotations

from probefusion.screening.expectation import Expectation

__all__ = ["CAUTIOUS", "NORMS", "expectation_of_images"]

NORMS = {"mobilefacenet_128d": 13.4, "compact_128d": 0.77}
"""Usual length of an embedding, of embedders of which it says how good the image is."""

_PEOPLE = "poor images of 166 people of LFW, and films of 56 actors"

_KNOWN: dict[str, Expectation] = {
    "norms of compact_128d": Expectation(
        cosine=(0.034928, -0.054707, 0.26557, -0.022027, -0.027138, 0.047252, -0.10194, -0.032066, 0.0062891, 0.81987),
        log_spread=(-2.2831, -0.36343, 0.15518, -0.050537, -0.027886, 0.064381, 0.13359, 0.21099, -0.2062, 1.1038),
        limits=((-1.761, 4.507), (0.0, 3.871)),
        threshold=6.19,
        measured_on=_PEOPLE,
    ),
    "mean@1": Expectation(
        cosine=(-0.17662, -0.085624, 0.27074, -0.020128, -0.038645, 0.0518, -0.085624, 0.27074, -0.22727, 1.1872),
        log_spread=(-0.90097, 0.13988, -1.2341, 0.013485, 0.052922, -0.033764, 0.13988, -1.2341, 2.0155, -4.6239),
        limits=((0.0, 3.85), (0.0, 3.871)),
        threshold=4.51,
        measured_on=_PEOPLE,
    ),
    "exact-fast.mobilefacenet_128d-lfw112.r3@3eb979373e6a": Expectation(
        cosine=(0.39555, 0.13528, -0.037158, 0.0049848, -0.0013685, -0.00058934, -0.085883, -0.10067, 0.17143, -0.30138),
        log_spread=(-1.8524, -0.00046726, -0.067944, -0.019633, -0.00036078, -0.0054556, 0.020168, 0.051111, -0.022594, 0.049085),
        limits=((-2.737, 5.346), (0.0, 3.871)),
        threshold=5.26,
        measured_on=_PEOPLE,
    ),
    "exact.mobilefacenet_128d-lfw112.r2@4880e740dca3": Expectation(
        cosine=(0.35059, 0.07214, -0.018146, -0.00539, -0.00084057, 0.0093746, -0.059549, -0.084221, 0.14551, -0.042429),
        log_spread=(-1.935, 0.0074882, 0.012278, -0.014908, -0.0086642, -0.00097581, -0.013638, 0.010422, 0.00087922, 0.087918),
        limits=((-2.7, 6.104), (0.0, 3.871)),
        threshold=4.5,
        measured_on=_PEOPLE,
    ),
    "exact.mobilefacenet_128d-lfw112.r3@1bcb327b785c": Expectation(
        cosine=(0.33704, 0.076755, -0.019905, -0.005242, -0.0013937, 0.009588, -0.06612, -0.086243, 0.15268, -0.044976),
        log_spread=(-1.9207, 0.022474, -0.00028471, -0.015589, -0.0064504, -0.0030835, -0.0152, 0.0071354, 0.0027275, 0.077574),
        limits=((-2.7, 6.103), (0.0, 3.871)),
        threshold=4.4,
        measured_on=_PEOPLE,
    ),
    "norms of mobilefacenet_128d": Expectation(
        cosine=(0.30143, 0.093775, 0.0071211, -0.00013446, -0.0093872, 0.014939, -0.12316, -0.081611, 0.16995, 0.014205),
        log_spread=(-2.1901, -0.24917, 0.11093, -0.04112, -0.012474, 0.048522, 0.043244, 0.085315, -0.11404, 0.94791),
        limits=((-2.424, 4.903), (0.0, 3.871)),
        threshold=5.31,
        measured_on=_PEOPLE,
    ),
    "universal@1": Expectation(
        cosine=(0.336, 0.044594, -0.017149, -0.0038174, -0.0041731, 0.013904, -0.070154, -0.082771, 0.1677, 0.00031338),
        log_spread=(-1.6865, 0.039767, -0.062507, -0.014914, 0.0011378, -0.0071304, -0.0052489, 0.027068, -0.035603, -0.057222),
        limits=((-2.576, 5.84), (0.0, 3.871)),
        threshold=4.42,
        measured_on=_PEOPLE,
    ),
}

CAUTIOUS = _KNOWN["mean@1"]
"""For images of which nothing is known but their embeddings, by any embedder."""


def expectation_of_images(view: str) -> Expectation | None:
    """What to expect by a view: the fingerprint of a fuser, or "norms of" an embedder; None if it was not measured."""
    return _KNOWN.get(view)
