"""What was measured of one person's sets, by fuser; made by `python -m research.screening.measure --constants`."""

from __future__ import annotations

from probefusion.screening.expectation import Expectation

__all__ = ["CAUTIOUS", "expectation_for", "is_measured"]

_KNOWN: dict[str, Expectation] = {
    "exact.mobilefacenet_128d-lfw112.r2@4880e740dca3": Expectation(
        cosine=(
            0.33392,
            0.083671,
            -0.0086258,
            -0.0055662,
            -0.0019898,
            0.0076018,
            -0.058066,
            -0.075755,
            0.1319,
            -0.036862,
        ),
        log_spread=(
            -1.8025,
            0.079257,
            -0.044238,
            -0.013064,
            -0.0042654,
            -0.012481,
            -0.0074728,
            -0.0049639,
            0.029575,
            -0.17149,
        ),
        limits=((-2.708, 6.044), (0.0, 3.871)),
        threshold=5.48,
        measured_on="poor images of 166 people of LFW, films of 56 actors",
    ),
    "exact-fast.mobilefacenet_128d-lfw112.r3@3eb979373e6a": Expectation(
        cosine=(
            0.36866,
            0.14769,
            -0.014727,
            0.0053534,
            -0.0051836,
            -0.0029792,
            -0.086412,
            -0.098661,
            0.1688,
            -0.33928,
        ),
        log_spread=(
            -1.8199,
            0.046568,
            -0.098949,
            -0.022712,
            0.0012068,
            -0.013674,
            0.023984,
            0.052588,
            -0.00081686,
            0.058062,
        ),
        limits=((-2.739, 5.264), (0.0, 3.871)),
        threshold=8.09,
        measured_on="poor images of 166 people of LFW, films of 56 actors",
    ),
    "exact.compact_128d-lfw112.r3@b80051ccb93e": Expectation(
        cosine=(
            0.22,
            -0.003858,
            0.047425,
            -0.013132,
            -0.0062516,
            0.021912,
            -0.044664,
            -0.088944,
            0.13561,
            0.2531,
        ),
        log_spread=(
            -1.5463,
            0.16968,
            -0.057188,
            -0.011069,
            -0.0035305,
            -0.023374,
            0.015132,
            0.0023039,
            -0.00081084,
            -0.72365,
        ),
        limits=((-2.653, 6.214), (0.0, 3.871)),
        threshold=5.69,
        measured_on="poor images of 166 people of LFW, films of 56 actors",
    ),
    "exact-fast.compact_128d-lfw112.r3@edb1a81654cd": Expectation(
        cosine=(
            0.21413,
            0.028569,
            0.058254,
            -0.0099372,
            -0.0084224,
            0.017807,
            -0.061025,
            -0.098868,
            0.15162,
            0.13658,
        ),
        log_spread=(
            -1.6381,
            0.16341,
            -0.05554,
            -0.010836,
            -0.010053,
            -0.02886,
            0.0041788,
            -0.036859,
            0.082913,
            -0.74893,
        ),
        limits=((-2.463, 5.537), (0.0, 3.871)),
        threshold=5.43,
        measured_on="poor images of 166 people of LFW, films of 56 actors",
    ),
    "universal@1": Expectation(
        cosine=(
            0.28462,
            0.062162,
            -0.015886,
            -0.0015294,
            -0.0045004,
            0.01024,
            -0.072669,
            -0.07693,
            0.16754,
            0.0095682,
        ),
        log_spread=(
            -1.8536,
            0.049904,
            -0.057116,
            -0.018611,
            -0.00011228,
            -0.010181,
            0.025173,
            0.048737,
            -0.022088,
            -0.092651,
        ),
        limits=((-2.554, 5.774), (0.0, 3.871)),
        threshold=5.62,
        measured_on="poor images of 166 people of LFW, films of 56 actors",
    ),
    "mean@1": Expectation(
        cosine=(
            0.014857,
            -0.039346,
            0.19508,
            -0.012105,
            -0.029035,
            0.027942,
            -0.039346,
            0.19508,
            -0.15138,
            0.7628,
        ),
        log_spread=(
            -1.1272,
            0.063585,
            -1.0417,
            0.0093465,
            0.036894,
            -0.0092128,
            0.063585,
            -1.0417,
            1.7387,
            -3.664,
        ),
        limits=((0.0, 3.85), (0.0, 3.871)),
        threshold=6.52,
        measured_on="poor images of 166 people of LFW, films of 56 actors",
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
