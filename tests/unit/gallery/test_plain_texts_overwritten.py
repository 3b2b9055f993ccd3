"""What names and sources were before they were sealed is overwritten until nothing is left of it."""

from __future__ import annotations

from probefusion.gallery.keys.sealing import _seal_texts


class Store:
    """A store of an older version, in which somebody reads at first."""

    def __init__(self, remains: list[tuple[str, ...]], *, has_plain: bool = True) -> None:
        self.remains, self.has_plain, self.known = remains, has_plain, {}

    def use_texts(self, texts) -> None:
        self.texts = texts

    def facts(self, name: str) -> str | None:
        return self.known.get(name)

    def set_fact(self, name: str, value: str) -> None:
        self.known[name] = value

    def seal_texts(self, name: str, value: str) -> bool:
        self.known[name] = value
        return self.has_plain

    def overwrite(self) -> tuple[str, ...]:
        return self.remains.pop(0)


class Keys:
    """Derives keys of nothing."""

    def derive(self, name: str) -> bytes:
        return name.encode().ljust(32, b"0")


def test_overwriting_is_tried_until_nothing_is_left() -> None:
    store = Store([("a reader holds 3 pages",), ("a reader holds 1 page",), ()])
    for left in (2, 1, 0, 0):  # at each opening, and no more once it is done
        _seal_texts(store, Keys())
        assert len(store.remains) == left
    assert store.facts("texts") == "sealed 1"


def test_a_new_gallery_has_nothing_to_overwrite() -> None:
    store = Store([], has_plain=False)
    _seal_texts(store, Keys())
    _seal_texts(store, Keys())
    assert store.facts("texts") == "sealed 1"
