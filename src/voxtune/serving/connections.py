"""HTTP/1.1 by uvicorn, with an end to requests that never get past their head: nobody holds a place without saying who he is."""

import asyncio
from typing import Any, ClassVar

from h11 import IDLE
from uvicorn.protocols.http.h11_impl import H11Protocol

HEAD_SECONDS = 10.0
"""For the head of a request, from its connection or from the first byte after an earlier request."""
MOST_HALF_OPEN = 64
"""Connections without a whole head; for one more the oldest ends."""


class TimedProtocol(H11Protocol):
    """One connection; those that have not sent a whole head yet are known to all."""

    half_open: ClassVar[dict["TimedProtocol", asyncio.TimerHandle]] = {}

    def connection_made(self, transport: Any) -> None:
        """A connection: its head is awaited."""
        super().connection_made(transport)
        self._await_head()

    def data_received(self, data: bytes) -> None:
        """Bytes: a head may be whole now, or another may begin."""
        super().data_received(data)
        if self.conn.their_state is not IDLE:
            self._have_head()
        elif self not in self.half_open:
            self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of the connection."""
        self._have_head()
        super().connection_lost(exc)

    def _await_head(self) -> None:
        while len(self.half_open) >= MOST_HALF_OPEN:
            next(iter(self.half_open)).give_up()
        self.half_open[self] = self.loop.call_later(HEAD_SECONDS, self.give_up)

    def _have_head(self) -> None:
        timer = self.half_open.pop(self, None)
        if timer is not None:
            timer.cancel()

    def give_up(self) -> None:
        """End a connection whose head does not come."""
        self._have_head()
        if not self.transport.is_closing():
            self.transport.abort()
