"""Which options of `probefusion video` go together."""

from __future__ import annotations

import argparse

from probefusion.cli.effects import STRANGERS, refuse
from probefusion.cli.gallery.rates import rates_of

__all__ = ["check_options"]

_TIMEOUT = 30.0
"""As --timeout is where it is not given."""
_WITH_GALLERY = "a video beside --gallery"


def check_options(options: argparse.Namespace) -> None:
    """Refuses options that contradict each other, or have no effect.

    Raises:
        ConfigError: If there are such.
    """
    from probefusion.errors import ConfigError

    if options.output is None and not options.events:
        raise ConfigError("-o, --events: expected at least one of -o DIR, --events; got none.")
    if options.events and options.json:
        raise ConfigError("--events, --json: expected one of the two, got both.")
    if options.output is None and (options.annotate or options.merge_tracks is not None):
        flag = "--annotate" if options.annotate else "--merge-tracks"
        raise ConfigError(f"{flag}: needs a folder for the results. Give -o DIR, or leave it out.")
    rates_of(options)
    _check_gallery(options)
    value = options.merge_tracks
    if value is not None and not -1 <= value <= 1:
        raise ConfigError(f"--merge-tracks: expected a similarity from -1 to 1, got {value}.")


def _check_gallery(options: argparse.Namespace) -> None:
    """Refuses options about whom to look for that have no effect."""
    from probefusion.errors import ConfigError
    from probefusion.files.reading import in_one_line
    from probefusion.pipeline.video_gallery import gallery_address

    is_kept = options.gallery is not None and gallery_address(options.gallery) is not None
    if not is_kept:
        stray = [
            flag
            for flag, is_given in (
                ("--collection", options.collection != "people"),
                ("--keys", options.keys is not None),
                ("--key-file", options.key_file is not None),
                ("--fpir", options.fpir is not None),
                ("--timeout", options.timeout != _TIMEOUT),
            )
            if is_given
        ]
        if stray:
            raise ConfigError(
                f"{stray[0]}: expected a gallery with it, got none. Give --gallery GALLERY.db, or leave it out."
            )
    if options.calibration is not None and options.gallery is not None and not is_kept:
        raise refuse(
            "--calibration",
            f"stills ({in_one_line(options.gallery[0])}), about which the fuser's own threshold decides",
            "a video alone, whose templates it judges, and galleries that are kept",
        )
    for flag, is_idle in (
        ("--fmr", options.gallery is None and options.fmr is not None),
        ("--threshold", options.gallery is None and options.threshold is not None),
    ):
        if is_idle:
            raise refuse(flag, f"a video alone ({in_one_line(options.video)})", _WITH_GALLERY)
    if (is_kept or options.gallery is None) and options.strangers not in ("tell", "no-screening"):
        beside = " beside a gallery that is kept" if is_kept else " alone"
        given = f"a video{beside} ({in_one_line(options.video)})"
        raise refuse(STRANGERS[options.strangers], given, "images of --gallery")
