"""An engine of tests: tasks one after the other in this process, in any order, up to a number of them."""

from __future__ import annotations

from probefusion.archives.engines.engine import Engine

__all__ = ["InOrder", "Stopped"]


class Stopped(Exception):
    """As a driver that is killed."""


class InOrder(Engine):
    """Tasks one after the other in this process, in an order, up to a number of them."""

    name = "in order"
    num_workers = 1

    def __init__(self, order=None, most=None):
        self._order, self._most = order, most
        self.done = []

    def run(self, work, tasks):
        do = work.open()
        places = list(range(len(tasks)))
        for place in self._order(places) if self._order else places:
            if self._most is not None and len(self.done) >= self._most:
                raise Stopped
            self.done.append(tasks[place][0])
            yield place, do(tasks[place])

    def close(self):
        pass
