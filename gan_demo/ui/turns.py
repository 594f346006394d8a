"""Who paints next: a few pictures at a time, one for each visitor in turn, and no line without an end."""

import asyncio
import os
from collections import Counter, OrderedDict, deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from gan_demo.errors import GanDemoError
from gan_demo.machine import cores

AT_ONCE = max(2, cores())  # what the machine can paint
EACH = 100  # of one visitor, painted or waiting: a class behind one address is one visitor
TOGETHER = 400


class TooManyError(GanDemoError):
    """More than may wait; the same may be asked again in a moment."""


class Turns:
    """A round of visitors: whoever asks for a hundred pictures waits for their own, and others for one of them at most.

    All of it happens in one event loop.
    """

    def __init__(self, at_once: int = AT_ONCE, each: int = EACH, together: int = TOGETHER):
        self.each, self.together = each, together
        self._free = at_once
        self._inside: Counter[str] = Counter()  # of each visitor, those that wait and those that are painted
        self._lines: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()  # in the order of their turns

    @asynccontextmanager
    async def turn(self, visitor: str) -> AsyncIterator[None]:
        """Paint inside of it. Raises TooManyError at once where too many wait already."""
        if self._inside[visitor] >= self.each:
            raise TooManyError(f"{self.each} pictures are on their way to you already: ask again when some have come")
        if self._inside.total() >= self.together:
            raise TooManyError(f"{self.together} pictures are waiting to be painted here: try again in a moment")
        self._inside[visitor] += 1
        try:
            await self._wait(visitor)
            try:
                yield
            finally:
                self._pass_on()
        finally:
            self._inside[visitor] -= 1
            self._inside += Counter()  # forget who has gone

    async def _wait(self, visitor: str) -> None:
        called: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lines.setdefault(visitor, deque()).append(called)
        self._call()
        try:
            await called
        except asyncio.CancelledError:
            if not called.cancelled():  # called, and gone in the same moment
                self._pass_on()
            raise

    def _pass_on(self) -> None:
        self._free += 1
        self._call()

    def _call(self) -> None:
        while self._free and self._lines:
            visitor, line = self._lines.popitem(last=False)
            called = line.popleft()
            if line:
                self._lines[visitor] = line  # behind all others
            if not called.done():
                called.set_result(None)
                self._free -= 1


def visitor(connection: Any) -> str:
    """Whom to count a request (Starlette's or Gradio's) to: an address. On a Space its proxy says for whom it asks."""
    host = connection.client.host if connection.client else ""
    return f"{host} {connection.headers.get('x-forwarded-for', '')[:200]}" if "SPACE_ID" in os.environ else host
