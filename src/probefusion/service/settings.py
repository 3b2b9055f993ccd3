"""What a service is started with."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from probefusion.errors import ConfigError
from probefusion.gallery.stores.opening import is_server

if TYPE_CHECKING:
    from probefusion.gallery.stores.records import Keep

__all__ = ["Limits", "ServiceSettings", "is_loopback"]


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What a client may ask for; more is refused at once.

    Args:
        max_body: Bytes of a request.
        max_images: Images or embeddings of a request, and of a session.
        max_pixels: Pixels of an image.
        max_request_pixels: Pixels of all images of a request.
        max_running: Requests that are worked on or wait at the same time; more get 429.
        requests_per_minute: Of one key, or of one address where there are no keys; more get 429.
        head_seconds: Within which the head of a request must have arrived, from its first byte on.
        body_seconds: Within which the rest of a request must have arrived.
        send_seconds: Within which a client must have taken an answer.
        decode_seconds: Within which an image must be decoded.
        decode_memory: Bytes of memory of the process that decodes images.
        request_seconds: Within which an answer must have begun; for which a request waits for others, and its images
            for each other.
        max_sessions: Streaming sessions open at the same time.
        max_sessions_of_one: Of one key, or of all where there are no keys.
        max_session_bytes: Bytes that a session holds.
        session_seconds: After which an untouched session is closed.

    Raises:
        ConfigError: If one is not positive.
    """

    max_body: int = 32_000_000
    max_images: int = 512
    max_pixels: int = 40_000_000
    max_request_pixels: int = 120_000_000
    max_running: int = 128
    requests_per_minute: int = 6000
    head_seconds: float = 10.0
    body_seconds: float = 30.0
    send_seconds: float = 60.0
    decode_seconds: float = 10.0
    decode_memory: int = 2_000_000_000
    request_seconds: float = 60.0
    max_sessions: int = 256
    max_sessions_of_one: int = 64
    max_session_bytes: int = 16_000_000
    session_seconds: float = 900.0

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if not value > 0:
                raise ConfigError(f"{name}: expected more than 0, got {value}.")


@dataclass(frozen=True, kw_only=True)
class ServiceSettings:
    """What a service is started with.

    Args:
        gallery: Path of an SQLite file, or `postgresql://...`.
        collections: Collections that are served.
        host: Address to listen at.
        port: Port to listen at; 0 takes a free one.
        access_file: File of the keys of clients (`probefusion serve-keys`); None lets everybody in, which is refused
            unless `host` is of this machine alone.
        access_log: File to which every reading and writing of people is noted, or None.
        master_key: The gallery's master key or its file; None looks at PROBEFUSION_MASTER_KEY.
        key_file: Where the keys lie that the master key wraps; None is beside the SQLite file.
        embedder: Name or file of the embedder for images; None takes the one inside the package.
        detector: Name or file of the face detector; None: images are aligned crops.
        knows_stance: Whether the detector asks the small network inside the package which faces stand upright.
        fuser: Name or folder of the fuser, or "auto".
        keep: What the gallery keeps, "features" or "state".
        num_threads: Threads of networks; None for one per core.
        tls_certificate: File of the certificate chain, or None for plain HTTP.
        tls_key: File of its private key.
        workers: Processes that serve at the same time; more than one needs a gallery in PostgreSQL.
        limits: What a client may ask for.

    Raises:
        ConfigError: If it would listen to other machines without keys, TLS is half given, several processes are
            asked for where the gallery is a file, or `knows_stance` is said of no detector.
    """

    gallery: str
    collections: tuple[str, ...] = ("people",)
    host: str = "127.0.0.1"
    port: int = 8470
    access_file: Path | None = None
    access_log: Path | None = None
    master_key: str | None = None
    key_file: Path | None = None
    embedder: str | None = None
    detector: str | None = None
    knows_stance: bool = True
    fuser: str = "auto"
    keep: Keep = "features"
    num_threads: int | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    workers: int = 1
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        if not self.collections:
            raise ConfigError("collections: expected at least one, got none.")
        if not 0 <= self.port < 65536:
            raise ConfigError(f"port: expected 0 to 65535, got {self.port}.")
        if self.workers < 1:
            raise ConfigError(f"workers: expected 1 or more, got {self.workers}.")
        if self.workers > 1 and not is_server(self.gallery):
            raise ConfigError(
                f"workers: a gallery in a file is served by one process, got {self.workers}. Leave --workers out, or "
                f"move the gallery to PostgreSQL (probefusion gallery export, then gallery import) and give "
                f"--gallery postgresql://..."
            )
        if not self.knows_stance and self.detector is None:
            raise ConfigError(
                "--no-stance (knows_stance=False): has no effect on crops, in which no faces are looked for: it is for "
                "photos (--detector). Leave it out."
            )
        if self.access_file is None and not is_loopback(self.host):
            raise ConfigError(
                f"host: {self.host!r} lets other machines in, which needs keys. Make some with probefusion serve-keys "
                f"and give their file (access_file=, --access), or listen at 127.0.0.1."
            )
        if (self.tls_certificate is None) != (self.tls_key is None):
            raise ConfigError(
                "tls: expected a certificate and its key, got one of them. Give --tls-certificate and --tls-key."
            )


def is_loopback(host: str) -> bool:
    """Whether only processes of this machine can reach an address."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may mean anything
        return False
