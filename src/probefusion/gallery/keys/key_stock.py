"""Keys for many people, made at once: each time costs a commit of the file of keys."""

from __future__ import annotations

from collections.abc import Sequence

from probefusion.gallery.keys.encryption import DataKey
from probefusion.gallery.keys.sealing import Sealer

__all__ = ["StockedSealer"]


class StockedSealer(Sealer):
    """A sealer whose new keys are there already.

    Args:
        sealer: Of the collection.
        num_keys: How many keys are made; where more are asked for, they are made as usual. Those that nobody asks for
            stay in the file and seal nothing.
    """

    def __init__(self, sealer: Sealer, num_keys: int) -> None:
        super().__init__(sealer.collection, sealer.keys)
        self._stock = list(sealer.new_keys(num_keys))

    def new_keys(self, count: int) -> Sequence[DataKey | None]:
        """New keys, of the stock as long as it lasts."""
        if len(self._stock) < count:
            return super().new_keys(count)
        taken, self._stock = self._stock[:count], self._stock[count:]
        return taken
