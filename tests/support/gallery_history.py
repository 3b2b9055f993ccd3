"""A long history of a gallery, made in one transaction: what a thousand changes would cost is not what is tested."""

from __future__ import annotations

from probefusion.gallery import Gallery
from probefusion.gallery.stores.records import ChangeRow


def add_changes(gallery: Gallery, number: int, *, of: tuple[str, ...]) -> None:
    """Adds changes that changed nothing, of the people with the ids `of` in turn."""
    with gallery.store.writing(gallery.collection) as writer:
        for place in range(number):
            change = ChangeRow(
                revision=writer.revision,
                time=f"2026-01-01T00:{place // 60 % 60:02}:{place % 60:02}+00:00",
                actor="test",
                action="ignore",
                subjects=(of[place % len(of)],),
            )
            writer.put_change(change)
            if place + 1 < number:
                writer.revision += 1
                writer.changed = False
