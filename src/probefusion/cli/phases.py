"""Progress of a command that does one thing after the other: one bar at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager

from probefusion.cli.progress import progress_bar

__all__ = ["progress_by_unit", "progress_of_phases"]

Update = Callable[[int, int | None], None]


@contextmanager
def progress_of_phases() -> Iterator[Callable[[str, str], Update]]:
    """Gives a function (title, unit) -> progress of that phase.

    The bar of a phase opens with its first report and closes with the first report of another.
    """
    with ExitStack() as current:
        shown: list[str] = []

        def phase(title: str, unit: str) -> Update:
            updates: list[Update] = []

            def update(done: int, total: int | None) -> None:
                if shown != [title]:
                    current.close()
                    updates[:] = [current.enter_context(progress_bar(title, unit=unit))]
                    shown[:] = [title]
                updates[0](done, total)

            return update

        yield phase


@contextmanager
def progress_by_unit(
    titles: Mapping[str, str], *, units: Mapping[str, str] | None = None
) -> Iterator[Callable[[str, int, int | None], None]]:
    """Gives a function (what is counted, done, in all or None), with a phase for each thing counted.

    Args:
        titles: What is being done, by what is counted.
        units: What is printed for what is counted, where that is another word.
    """
    with progress_of_phases() as phase:
        updates = {
            unit: phase(title, (units or {}).get(unit, unit)) for unit, title in titles.items()
        }
        yield lambda unit, done, total: updates[unit](done, total)
