"""Contributions as users see them."""

from __future__ import annotations

from probefusion.gallery.stores.records import ContributionRow
from probefusion.gallery.stores.store import Reader
from probefusion.gallery.views import ContributionView, ImageView

__all__ = ["view_of"]


def view_of(reader: Reader, row: ContributionRow) -> ContributionView:
    """A contribution as users see it."""
    with_picture = reader.with_chips(row.id)
    return ContributionView(
        id=row.id,
        kind=row.kind,
        keep=row.keep,
        time=row.time,
        source=row.source,
        num_images=row.num_images,
        images=tuple(
            ImageView(
                id=image.id,
                source=image.source,
                media_id=image.media_id,
                is_left_out=image.left_out,
                has_chip=image.id in with_picture,
            )
            for image in reader.images(row.id)
        ),
    )
