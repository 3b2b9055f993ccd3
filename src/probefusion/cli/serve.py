"""`probefusion serve`: a gallery over HTTP, with a page."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

from probefusion.cli.options import add_stance_option, positive

__all__ = ["add_parser", "run"]


def add_parser(commands: Any) -> None:
    """Declares the command."""
    parser = commands.add_parser(
        "serve",
        help="serve a gallery over HTTP, with a page to look at",
        description="Serves a gallery over HTTP until it is interrupted: an API (openapi.json) and a page. It listens "
        "to this machine alone; other machines need keys (probefusion serve-keys), and TLS here or at a proxy.",
    )
    parser.add_argument(
        "--gallery", required=True, metavar="FILE|URL", help="SQLite file, or postgresql://..."
    )
    parser.add_argument(
        "--collection",
        action="append",
        metavar="NAME",
        help="collection that is served; may be given several times (default people)",
    )
    parser.add_argument(
        "--host", default="127.0.0.1", help="address to listen at (default 127.0.0.1)"
    )
    parser.add_argument(
        "--port", type=int, default=8470, help="port, 0 for a free one (default 8470)"
    )
    parser.add_argument(
        "--workers",
        type=positive,
        default=1,
        metavar="N",
        help="processes; more than one needs a gallery in PostgreSQL (default 1)",
    )
    parser.add_argument(
        "--keys", metavar="FILE", help="master key of an encrypted gallery, as for gallery commands"
    )
    parser.add_argument(
        "--key-file",
        type=Path,
        metavar="FILE",
        help="where the keys lie that the master key wraps (default: GALLERY.keys; needed for a server)",
    )
    parser.add_argument(
        "--keep", choices=("features", "state"), default="features", help="what is kept of images"
    )
    models = parser.add_argument_group("models")
    models.add_argument(
        "--embedder",
        metavar="NAME|FILE",
        help="network for images (default: the one in the package)",
    )
    models.add_argument(
        "--detector",
        metavar="NAME|FILE",
        help="face detector; without one images are aligned crops",
    )
    add_stance_option(models)
    models.add_argument(
        "--fuser", default="auto", metavar="NAME|DIR", help="fuser (default: what the gallery has)"
    )
    models.add_argument("--threads", type=positive, metavar="N", help="threads of networks")
    access = parser.add_argument_group("access")
    access.add_argument(
        "--access", type=Path, metavar="FILE", help="keys of clients, made by serve-keys"
    )
    access.add_argument(
        "--access-log",
        type=Path,
        metavar="FILE",
        help="note every reading and writing of people there",
    )
    access.add_argument(
        "--tls-certificate", type=Path, metavar="FILE", help="certificate chain (PEM)"
    )
    access.add_argument("--tls-key", type=Path, metavar="FILE", help="its private key (PEM)")
    limits = parser.add_argument_group("limits")
    limits.add_argument("--max-body", type=positive, metavar="MB", help="of a request (default 32)")
    limits.add_argument(
        "--max-images", type=positive, metavar="N", help="of a request and a session (default 512)"
    )
    limits.add_argument(
        "--rate", type=positive, metavar="N", help="requests a minute and key (default 6000)"
    )
    limits.add_argument(
        "--max-running", type=positive, metavar="N", help="requests under way (default 128)"
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace) -> int:
    """Serves until interrupted."""
    from probefusion.service.processes.server import listening_socket, serve
    from probefusion.service.settings import Limits, ServiceSettings

    given = {
        "max_body": None if options.max_body is None else 1_000_000 * options.max_body,
        "max_images": options.max_images,
        "requests_per_minute": options.rate,
        "max_running": options.max_running,
    }
    settings = ServiceSettings(
        gallery=options.gallery,
        collections=tuple(options.collection or ("people",)),
        host=options.host,
        port=options.port,
        access_file=options.access,
        access_log=options.access_log,
        master_key=options.keys,
        key_file=options.key_file,
        embedder=options.embedder,
        detector=options.detector,
        knows_stance=not options.no_stance,
        fuser=options.fuser,
        keep=options.keep,
        num_threads=options.threads,
        tls_certificate=options.tls_certificate,
        tls_key=options.tls_key,
        workers=options.workers,
        limits=Limits(**{name: value for name, value in given.items() if value is not None}),
    )
    with listening_socket(settings) as listening:
        scheme = "http" if settings.tls_key is None else "https"
        host, port = listening.getsockname()[:2]
        shown = f"[{host}]" if ":" in host else host

        def tell(gallery: str) -> None:
            where = f"{scheme}://{shown}:{port}/"
            print(f"serving {gallery} at {where} (Ctrl-C ends it)", file=sys.stderr, flush=True)

        serve(settings, listening, started=tell)
    return 0
