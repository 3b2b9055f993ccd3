"""Looking through a gallery's audit trail, and giving its keys another master key."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from probefusion.errors import ConfigError
from probefusion.gallery.audit.trail import Anchor
from probefusion.gallery.audit.trail_check import AuditReport, verify_chain
from probefusion.gallery.keys.master_key import MasterKey

if TYPE_CHECKING:
    from probefusion.gallery.gallery import Gallery

__all__ = ["rotate_master_key", "verify_audit"]


def verify_audit(gallery: Gallery, *, anchors: Iterable[Anchor] = ()) -> AuditReport:
    """Looks through the audit trail of a collection, its signatures where the gallery has keys.

    Args:
        gallery: The gallery.
        anchors: Places that were noted elsewhere earlier: without one, a chain that was cut at its end looks whole.

    Raises:
        ProbeFusionError: If the store cannot be read.
    """
    with gallery.store.reading(gallery.collection) as reader:
        return verify_chain(
            reader.audit(),
            collection=gallery.collection,
            key=gallery.sealer.audit_key(),
            anchors=anchors,
        )


def rotate_master_key(gallery: Gallery, master_key: MasterKey) -> tuple[str, ...]:
    """Wraps all keys of a gallery by another master key, all or none; what is kept stays as it is.

    Args:
        gallery: The gallery, opened by the old master key. Open it anew by the new one afterwards.
        master_key: The new one.

    Returns:
        What still keeps the old wraps, in words; () if nothing does.

    Raises:
        ConfigError: If the gallery has no keys.
        ProbeFusionError: As for `KeyStore.rotate`.
    """
    if gallery.sealer.keys is None:
        raise ConfigError(
            f"{gallery.address}: it is not encrypted, so it has no key to rotate. Make a new gallery with a master "
            f"key (probefusion gallery new-key FILE), export this one and import it there."
        )
    return gallery.sealer.keys.rotate(master_key)
