"""At which rate or similarity is decided."""

from __future__ import annotations

import argparse
from typing import Any

__all__ = ["DECISIONS", "add_rate_options", "rates_of"]

DECISIONS = {None: "no threshold", True: "match", False: "no match"}
"""Words for whether a threshold is reached."""


def add_rate_options(parser: argparse.ArgumentParser, *, searches: bool = False) -> None:
    """At which rate or similarity is decided.

    Args:
        parser: The command's.
        searches: Whether a rate of whole searches can be named.
    """
    rates = parser.add_mutually_exclusive_group()
    rates.add_argument(
        "--fmr",
        type=float,
        metavar="RATE",
        help="rate of false matches per comparison to decide at, a fraction (default 0.001)",
    )
    if searches:
        rates.add_argument(
            "--fpir",
            type=float,
            metavar="RATE",
            help="rate at which a search for somebody who is not in a gallery of this size finds a match",
        )
    rates.add_argument("--threshold", type=float, metavar="SIM", help="similarity to decide at")
    parser.add_argument(
        "--calibration",
        metavar="FILE",
        help="what probefusion calibrate -o FILE measured (default: that of the fuser, where there is one)",
    )


def rates_of(options: argparse.Namespace) -> dict[str, Any]:
    """The named rate or threshold.

    Raises:
        ConfigError: If it is none.
    """
    from probefusion.errors import ConfigError

    names = ("fmr", "fpir", "threshold")
    given = {name: getattr(options, name, None) for name in names}
    found = {name: float(value) for name, value in given.items() if value is not None}
    for name, value in found.items():
        if name == "threshold" and not -1 <= value <= 1:
            raise ConfigError(f"--threshold: expected a cosine from -1 to 1, got {value}.")
        if name != "threshold" and not 0 < value < 1:
            raise ConfigError(f"--{name}: expected a fraction between 0 and 1, got {value}.")
    return found
