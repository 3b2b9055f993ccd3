"""One transaction on one connection, as all databases give it."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from probefusion.errors import ConfigError, StoreError

__all__ = ["Session"]


class Session(ABC):
    """One transaction on one connection. In statements `?` stands for a value.

    Attributes:
        keep: Whether it is to be committed.
        ended: Whether the block that it belongs to is over.
        failed: Whether the database refused a statement, so that nothing of the block can be kept.
    """

    keep: bool = False
    ended: bool = False
    failed: bool = False

    @contextmanager
    def using(self, translated: AbstractContextManager[None]) -> Iterator[None]:
        """Lets statements through, in this context, as long as the transaction is whole.

        Raises:
            ConfigError: If the block is over.
            StoreError: If a statement failed before.
        """
        if self.ended:
            raise ConfigError(
                "the block that this reader or writer belongs to is over; open a new one"
            )
        if self.failed:
            raise StoreError(
                "an earlier statement of this block failed; nothing was changed by the block"
            )
        try:
            with translated:
                yield
        except BaseException:
            self.failed = True
            raise

    @abstractmethod
    def rows(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """All rows that a statement gives."""

    @abstractmethod
    def stream(self, statement: str, values: Sequence[Any] = ()) -> Iterator[tuple[Any, ...]]:
        """Rows that a statement gives, some at a time."""

    @abstractmethod
    def run(self, statement: str, values: Sequence[Any] = ()) -> int:
        """Runs a statement; gives the number of rows that it changed."""

    @abstractmethod
    def run_many(self, statement: str, rows: Sequence[Sequence[Any]]) -> None:
        """Runs a statement once for each row of values."""

    @abstractmethod
    def index_anew(self) -> None:
        """Makes all indexes anew from the tables, where damage may have brought them apart and a store can."""
