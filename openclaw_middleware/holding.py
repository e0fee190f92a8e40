"""One socket's or stream's hold on its session, whatever carries it.

The start of it is activity of its person, as any request is; afterwards only what they send is.
How it is told of the end, and what it does then, is its own business.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace

from .core.exchange import Exchange
from .core.record import EndReason
from .runtime import Runtime
from .watch import Watch

# Seconds from the start until the session is watched: what is over by then costs nothing.
GRACE = 0.5
_BETWEEN_EVENTS = (b"\n\n", b"\r\n\r\n", b"\r\r")


class Holding:
    """Holds the session of an exchange from now on, if and when the application uses it.

    Args:
        told: called once, when the session is over.
    """

    def __init__(
        self, runtime: Runtime, exchange: Exchange, told: Callable[[EndReason], None]
    ) -> None:
        self._runtime = runtime
        self._exchange = exchange
        self._told = told
        self._counts = not exchange.request.passive
        self._watch: Watch | None = None
        self._over = False
        self._used_at: float | None = None
        self._loop = asyncio.get_running_loop()
        self._starting: asyncio.TimerHandle | None = self._loop.call_later(GRACE, self._started)

    def use(self) -> None:
        """The person has sent something; nothing is waited for."""
        if self._is_activity:
            self._used_at = self._exchange.desk.monotonic()
            if self._watch is not None:
                self._watch.use(self, self._used_at)
            else:
                self.look()

    @property
    def _is_activity(self) -> bool:
        # Where a fresh sign-in is asked for nobody stays by talking.
        return self._counts and self._exchange.state.lapse is None

    def look(self) -> None:
        """Hold the session, if the application has come to use it only now."""
        x = self._exchange
        record = x.state.record
        idle = self._watch is None and self._starting is None and not self._over
        if idle and x.accessed and record is not None and x.clocked:
            self._watch = self._runtime.watch()
            self._watch.join(self, record, x.at(x.desk.monotonic()), used_at=self._used_at)

    async def release(self) -> None:
        """Let go of the session."""
        self._over = True
        self._exchange.on_access = None
        if self._starting is not None:
            self._starting.cancel()
        if self._watch is not None:
            await self._watch.leave(self)

    def _started(self) -> None:
        self._starting = None
        if self._is_activity:
            self._used_at = self._exchange.desk.monotonic()
        # It may come to use the session later, with nothing sent or received for a long time.
        self._exchange.on_access = self._accessed
        self.look()
        # What the exchange does from here on, late saves included, is nobody's activity.
        self._exchange.request = replace(self._exchange.request, passive=True)

    def _accessed(self) -> None:
        with suppress(RuntimeError):  # the loop is closed, and the socket with it
            self._loop.call_soon_threadsafe(self.look)

    def session_used(self, last_active_at: float) -> None:
        """See `watch.Holder`."""
        self._exchange.state.touched(last_active_at)

    def session_ended(self, reason: EndReason) -> None:
        """See `watch.Holder`."""
        self._over = True
        self._told(reason)


def last_words(reason: EndReason, content_type: str, encoding: str | None, sent: bytes) -> bytes:
    """What a stream says before it ends: an event, where it is made of events.

    Args:
        encoding: of the content, such as gzip, which could not be continued.
        sent: what was sent last; nothing is put into an event that is not complete.
    """
    events = content_type.startswith("text/event-stream") and not encoding
    if not events or not (not sent or sent.endswith(_BETWEEN_EVENTS)):
        return b""
    data = json.dumps({"reason": str(reason)})
    return f"event: session-ended\ndata: {data}\n\n".encode()
