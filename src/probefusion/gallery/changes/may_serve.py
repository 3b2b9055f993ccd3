"""Whether a model can find everybody, before it serves."""

from __future__ import annotations

from probefusion.errors import ConfigError
from probefusion.fusion import Fuser
from probefusion.gallery.contributions.kept_parts import KeptParts, has_images, is_forgotten
from probefusion.gallery.contributions.models import embedder_name
from probefusion.gallery.keys.sealing import Sealer
from probefusion.gallery.stores.records import ModelRow
from probefusion.gallery.stores.store import Reader

__all__ = ["check_may_serve"]


def check_may_serve(
    reader: Reader, model: ModelRow, fuser: Fuser, *, parts: KeptParts, sealer: Sealer, action: str
) -> None:
    """Refuses to let a model serve that cannot find everybody.

    Args:
        reader: Of the collection.
        model: The model.
        fuser: Its fuser.
        parts: Of the gallery.
        sealer: Of the collection.
        action: What is being done, for the message.

    Raises:
        ConfigError: If contributions are missing in it, or templates of people.
    """
    missing: list[str] = []
    stale = 0
    for person in reader.people():
        missing += parts.missing_of_person(reader, person.id, model, fuser)
        stored = reader.vector(model.id, person.id)
        if stored is None or stored.vector is None:
            stale += not is_forgotten(sealer, person.key_id) and any(
                has_images(reader, row) for row in reader.contributions(person.id)
            )
    if missing:
        raise ConfigError(
            f"{action}: {len(missing)} contributions have nothing of {embedder_name(model.embedder)} by "
            f"{model.fuser} (first: {missing[0]}). Add it: re_embed, then re_fuse; missing({model.id!r}) lists them."
        )
    if stale:
        raise ConfigError(
            f"{action}: {stale} people have no template by {model.id} yet. Call re_fuse({model.id!r})."
        )
