"""Made once, kept while there is room: what several visitors ask for is rendered a single time."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future

ENTRY = 2048  # bytes that a key and its place take, about


class ByteCache:
    """Files by key, the least recently used dropped once they hold more than `limit` bytes together, ENTRY for each.

    Threads that ask for the same key at once make it once; an error reaches them all and is not kept.
    """

    def __init__(self, limit: int):
        self.limit = limit
        self.size = 0
        self._kept: OrderedDict[Hashable, bytes] = OrderedDict()
        self._making: dict[Hashable, Future[bytes]] = {}
        self._lock = threading.Lock()

    def kept(self, key: Hashable) -> bytes | None:
        """The bytes under `key`, or None where they are not kept."""
        with self._lock:
            return self._find(key)

    def get(self, key: Hashable, make: Callable[[], bytes]) -> bytes:
        """The bytes under `key`, made now if they are not kept."""
        with self._lock:
            if (kept := self._find(key)) is not None:
                return kept
            making = self._making.get(key)
            if making is None:
                own = self._making[key] = Future()
        if making is not None:
            return making.result()
        try:
            made = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            own.set_exception(error)
            raise
        with self._lock:
            del self._making[key]
            self._keep(key, made)
        own.set_result(made)
        return made

    def _find(self, key: Hashable) -> bytes | None:
        if key in self._kept:
            self._kept.move_to_end(key)
        return self._kept.get(key)

    def _keep(self, key: Hashable, made: bytes) -> None:
        self.size += len(made) + ENTRY
        self._kept[key] = made
        while self.size > self.limit:
            _, dropped = self._kept.popitem(last=False)
            self.size -= len(dropped) + ENTRY
