"""What was measured of one person's sets, by fuser; made by `python -m research.screening.measure --constants`."""

from __future__ import annotations

from probefusion.screening.expectation import Expectation

__all__ = ["CAUTIOUS", "expectation_for", "is_measured"]

_PEOPLE = "poor images of 166 people of LFW, and films of 56 actors"

_KNOWN: dict[str, Expectation] = {
    "exact.mobilefacenet_128d-lfw112.r3@1bcb327b785c": Expectation(
        cosine=(
            0.35414,
            0.085694,
            -0.025569,
            -0.0044316,
            -0.00037333,
            0.0078026,
            -0.06351,
            -0.077938,
            0.13833,
            -0.077506,
        ),
        log_spread=(
            -1.8725,
            0.047284,
            -0.028398,
            -0.01482,
            -0.0038861,
            -0.0066926,
            -0.01884,
            -0.013783,
            0.030724,
            -0.020942,
        ),
        limits=((-2.7, 6.102), (0.0, 3.871)),
        threshold=5.45,
        measured_on=_PEOPLE,
    ),
    "exact.mobilefacenet_128d-lfw112.r2@4880e740dca3": Expectation(
        cosine=(
            0.33402,
            0.083469,
            0.00041212,
            -0.0053818,
            -0.0030002,
            0.0075775,
            -0.059011,
            -0.079382,
            0.13001,
            -0.057326,
        ),
        log_spread=(
            -1.7894,
            0.077916,
            -0.073495,
            -0.010334,
            -0.0018451,
            -0.013127,
            -0.013754,
            -0.0082428,
            0.053494,
            -0.22791,
        ),
        limits=((-2.689, 6.034), (0.0, 3.871)),
        threshold=5.5,
        measured_on=_PEOPLE,
    ),
    "exact-fast.mobilefacenet_128d-lfw112.r3@3eb979373e6a": Expectation(
        cosine=(
            0.36911,
            0.14622,
            -0.016008,
            0.0054262,
            -0.0049523,
            -0.0026984,
            -0.086342,
            -0.10103,
            0.17198,
            -0.35026,
        ),
        log_spread=(
            -1.7629,
            0.049521,
            -0.148,
            -0.022605,
            0.0089791,
            -0.014827,
            0.026587,
            0.0643,
            -0.012285,
            0.12726,
        ),
        limits=((-2.733, 5.259), (0.0, 3.871)),
        threshold=7.95,
        measured_on=_PEOPLE,
    ),
    "exact.compact_128d-lfw112.r3@b80051ccb93e": Expectation(
        cosine=(
            0.22514,
            -0.0017961,
            0.046326,
            -0.013084,
            -0.0059995,
            0.021538,
            -0.044963,
            -0.089707,
            0.13507,
            0.23951,
        ),
        log_spread=(
            -1.6118,
            0.117,
            -0.067428,
            -0.014991,
            -0.0038763,
            -0.012039,
            0.0066043,
            -0.018106,
            0.061772,
            -0.60611,
        ),
        limits=((-2.642, 6.173), (0.0, 3.871)),
        threshold=5.44,
        measured_on=_PEOPLE,
    ),
    "exact-fast.compact_128d-lfw112.r3@edb1a81654cd": Expectation(
        cosine=(
            0.24512,
            0.033117,
            0.040459,
            -0.0094785,
            -0.0058682,
            0.016626,
            -0.060303,
            -0.097419,
            0.14993,
            0.11952,
        ),
        log_spread=(
            -1.6212,
            0.13698,
            -0.087131,
            -0.010607,
            -0.0053213,
            -0.024142,
            0.0075154,
            -0.026773,
            0.080899,
            -0.65383,
        ),
        limits=((-2.463, 5.539), (0.0, 3.871)),
        threshold=5.21,
        measured_on=_PEOPLE,
    ),
    "universal@1": Expectation(
        cosine=(
            0.2808,
            0.06491,
            -0.0091511,
            -0.001037,
            -0.0053505,
            0.0093541,
            -0.07276,
            -0.07791,
            0.1652,
            -0.0082031,
        ),
        log_spread=(
            -1.8902,
            0.030993,
            -0.055161,
            -0.019021,
            0.0021401,
            -0.0055092,
            0.01181,
            0.033719,
            -0.012817,
            0.066745,
        ),
        limits=((-2.549, 5.931), (0.0, 3.871)),
        threshold=5.63,
        measured_on=_PEOPLE,
    ),
    "mean@1": Expectation(
        cosine=(
            -0.053535,
            -0.065385,
            0.2381,
            -0.017117,
            -0.031804,
            0.041566,
            -0.065385,
            0.2381,
            -0.21,
            1.0242,
        ),
        log_spread=(
            -0.77506,
            0.17015,
            -1.0773,
            0.035882,
            0.064305,
            -0.070814,
            0.17015,
            -1.0773,
            1.6167,
            -4.2549,
        ),
        limits=((0.0, 3.85), (0.0, 3.871)),
        threshold=6.41,
        measured_on=_PEOPLE,
    ),
}

CAUTIOUS = _KNOWN["mean@1"]
"""For embedders and fusers that were not measured: no embedder that was had more false alarms by it."""

_MEASURED = ("mobilefacenet_128d@", "compact_128d@", "edgeface")


def expectation_for(fuser: str) -> Expectation | None:
    """What to expect of a fuser's halves, by its fingerprint; None where it was not measured."""
    return _KNOWN.get(fuser)


def is_measured(embedder: str | None) -> bool:
    """Whether the fusers that take any embedder were measured with this one."""
    return embedder is not None and embedder.lower().startswith(_MEASURED)
